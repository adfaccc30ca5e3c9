// Two engines on one bus, each with a store object of its own on the same data, as two processes of a cluster have it.

import { describe, expect, it } from "vitest";
import { memoryStorage } from "../../src/state/memory-store.ts";
import type { SessionStore } from "../../src/state/ports.ts";
import { code, deferred, request, topology, world } from "./world.ts";

function own(store: SessionStore): SessionStore {
  return new Proxy(store, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

async function running() {
  const store = memoryStorage();
  const a = world({ store: own(store), host: "host-a" });
  const b = a.again({ store: own(store), bus: a.bus, host: "host-b" });
  const gate = deferred();
  const reached = deferred();
  const agents = code({
    A: async () => {
      reached.resolve();
      await gate.promise;
      return "a";
    },
    B: (x) => `${x}b`,
  });
  const checkpointed = await a.engine.start(request("t", topology("B"), agents, { sessionId: "s" }));
  await checkpointed.outcome;
  const checkpointId = await a.engine.createCheckpoint("s");
  const handle = await a.engine.start(
    request("t", topology("A -> B"), agents, { sessionId: "s", idempotencyKey: "k" }),
  );
  await reached.promise;
  return { a: a.engine, b: b.engine, agents, gate, handle, checkpointId };
}

const BUSY = {
  code: "ORCH_SESSION_BUSY",
  message: expect.stringContaining("host-a"),
  details: { sessionId: "s", host: "host-a" },
};

describe("a session that runs on another host", () => {
  it("is not taken from it, by whatever way: its host is named, and its run goes on", async () => {
    const { a, b, agents, gate, handle, checkpointId } = await running();
    await expect(b.resume("s", { code: agents })).rejects.toMatchObject(BUSY);
    await expect(b.createCheckpoint("s")).rejects.toMatchObject(BUSY);
    await expect(b.restoreCheckpoint(checkpointId)).rejects.toMatchObject(BUSY);
    await expect(b.deleteSession("s")).rejects.toMatchObject(BUSY);
    await expect(b.start(request("t", topology("B"), agents, { sessionId: "s" }))).rejects.toMatchObject(BUSY);
    await expect(b.start(request("t", topology("B"), agents, { sessionId: "s", fresh: true }))).rejects.toMatchObject(
      BUSY,
    );
    expect(await b.recover({ code: () => agents })).toEqual([]);
    gate.resolve();
    expect((await handle.outcome).finalResponse).toBe("ab");
    await Promise.all([a.close(), b.close()]);
  });

  it("is followed by who asks for the same run", async () => {
    const { a, b, agents, gate, handle } = await running();
    const same = await b.start(request("t", topology("A -> B"), agents, { sessionId: "s", idempotencyKey: "k" }));
    expect(same.runId).toBe(handle.runId);
    gate.resolve();
    expect((await same.outcome).finalResponse).toBe("ab");
    expect((await handle.outcome).finalResponse).toBe("ab");
    await Promise.all([a.close(), b.close()]);
  });

  it("may be paused from here, and then resumed here", async () => {
    const { a, b, agents, gate, handle } = await running();
    expect(await b.pause("s")).toBe(true);
    await expect.poll(async () => (await b.getSession("s"))?.status).toBe("paused");
    // Its step in flight is still to finish there.
    await expect(b.resume("s", { code: agents })).rejects.toMatchObject(BUSY);
    gate.resolve();
    expect((await handle.outcome).status).toBe("paused");
    const resumed = await b.resume("s", { code: agents });
    expect((await resumed.outcome).finalResponse).toBe("ab");
    await Promise.all([a.close(), b.close()]);
  });

  it("is taken over once that host is gone", async () => {
    const { a, b, agents, gate } = await running();
    await a.close();
    gate.resolve();
    const resumed = await b.resume("s", { code: agents });
    expect((await resumed.outcome).finalResponse).toBe("ab");
    await b.close();
  });
});
