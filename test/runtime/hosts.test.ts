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
  it("is not taken from it: its host is named where nothing else can be done, and its run goes on", async () => {
    const { a, b, agents, gate, handle } = await running();
    await expect(b.deleteSession("s")).rejects.toMatchObject(BUSY);
    await expect(b.start(request("t", topology("B"), agents, { sessionId: "s" }))).rejects.toMatchObject(BUSY);
    await expect(b.start(request("t", topology("B"), agents, { sessionId: "s", fresh: true }))).rejects.toMatchObject(
      BUSY,
    );
    expect(await b.recover({ code: () => agents })).toEqual([]);
    expect(b.isLive("s")).toBe(false);
    gate.resolve();
    expect((await handle.outcome).finalResponse).toBe("ab");
    await Promise.all([a.close(), b.close()]);
  });

  it("is followed by who resumes it here while it runs there", async () => {
    const { a, b, agents, gate, handle } = await running();
    const resumed = await b.resume("s", { code: agents });
    expect(resumed.runId).toBe(handle.runId);
    gate.resolve();
    expect((await resumed.outcome).finalResponse).toBe("ab");
    await Promise.all([a.close(), b.close()]);
  });

  it("has its checkpoints made and restored by its host when they are asked for here", async () => {
    const { a, b, agents, gate, handle, checkpointId } = await running();
    const made = await b.createCheckpoint("s", "from afar");
    expect((await a.listCheckpoints("s")).map(({ name, checkpointId: id }) => [id, name])).toContainEqual([
      made,
      "from afar",
    ]);
    expect(await b.restoreCheckpoint(checkpointId)).toBe(true);
    gate.resolve();
    // The checkpoint is from before this run.
    await handle.outcome;
    expect((await b.state("s")).run?.runId).not.toBe(handle.runId);
    expect(await b.restoreCheckpoint(made)).toBe(true);
    expect((await (await b.resume("s", { code: agents })).outcome).finalResponse).toBe("ab");
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

  it("may be paused from here, and is resumed there while its step in flight finishes", async () => {
    const { a, b, agents, gate, handle } = await running();
    expect(await b.pause("s")).toBe(true);
    await expect.poll(async () => (await b.getSession("s"))?.status).toBe("paused");
    const resumed = await b.resume("s", { code: agents, context: { k: 1 } });
    expect((await b.getSession("s"))?.status).toBe("running");
    gate.resolve();
    expect((await resumed.outcome).finalResponse).toBe("ab");
    expect((await handle.outcome).finalResponse).toBe("ab");
    expect(Object.keys((await b.state("s")).context)).toContain("k");
    await Promise.all([a.close(), b.close()]);
  });

  it("may be paused from here, and resumed here once its steps in flight have ended", async () => {
    const { a, b, agents, gate, handle } = await running();
    expect(await b.pause("s")).toBe(true);
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
