// The roles on a real server that denies everything else: what each needs works, and what it may not do does not.

import { connect, type NatsConnection } from "@nats-io/transport-node";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { natsBus, natsPermissions, openNatsAdmin, type NatsBus, type Role } from "orchestra/nats";
import type { Engine } from "../../src/runtime/engine-api.ts";
import type { HostingOptions } from "../../src/runtime/hosting.ts";
import { namesOf } from "../../src/nats/names.ts";
import { code, request, topology, world, type Agents } from "../runtime/world.ts";
import { startNats, type NatsServer } from "../support/nats.ts";

interface User {
  readonly user: string;
  readonly role: Role;
  readonly agents?: readonly string[];
  readonly tenant?: string;
}

const USERS: readonly User[] = [
  { user: "ops", role: "operator" },
  { user: "cli", role: "client" },
  { user: "host", role: "owner" },
  { user: "writers", role: "worker", agents: ["Writer", "tool.of all"] },
  { user: "editors", role: "worker", agents: ["Editor"] },
  { user: "acme-ops", role: "operator", tenant: "acme" },
  { user: "acme-host", role: "owner", tenant: "acme" },
];

const pass = (user: string): string => `secret-of-${user}`;
const inboxOf = (user: string): string => `_INBOX_${user}`;

function configuration(): string {
  const users = USERS.map(({ user, role, agents, tenant }) => {
    const { serverConfig } = natsPermissions(role, {
      inboxPrefix: inboxOf(user),
      ...(agents !== undefined && { agents }),
      ...(tenant !== undefined && { tenant }),
    });
    return `{ user: "${user}", password: "${pass(user)}", ${serverConfig} }`;
  });
  return `authorization { users: [\n${users.join("\n")}\n] }`;
}

let server: NatsServer;
beforeAll(async () => {
  server = await startNats({ config: configuration() });
  for (const user of ["ops", "acme-ops"]) {
    await using admin = await openNatsAdmin(as(user));
    await admin.init({ storage: "memory" });
    expect((await admin.check()).ok).toBe(true);
  }
});
afterAll(() => server[Symbol.asyncDispose]());

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function as(user: string) {
  const tenant = USERS.find((one) => one.user === user)?.tenant;
  return {
    servers: server.url,
    user,
    pass: pass(user),
    inboxPrefix: inboxOf(user),
    ...(tenant !== undefined && { tenant }),
  };
}

function busOf(user: string): NatsBus {
  const bus = natsBus({ ...as(user), connectTimeoutMs: 60_000, localFirst: false });
  closing.push(() => bus.close());
  return bus;
}

/** An engine as `user`; with agents it takes their steps. */
async function engineOf(user: string, agents: Agents | undefined, adopts = false): Promise<Engine> {
  const bus = busOf(user);
  const hosting: HostingOptions = {
    code: code(agents ?? {}),
    slots: 4,
    perAgent: {},
    adopts,
    topologies: [],
    version: "test",
  };
  const { engine } = world({
    bus,
    store: bus.sessions,
    host: `host-${user}`,
    ...(agents !== undefined && { hosting }),
  });
  closing.push(() => engine.close());
  if (agents !== undefined) await engine.host();
  return engine;
}

async function raw(user: string): Promise<NatsConnection> {
  const nc = await connect({ ...as(user), timeout: 20_000 });
  closing.push(() => nc.close());
  return nc;
}

describe("a client, a host and workers with no more rights than their roles need", () => {
  it("run a session together, and its steps where they are served", async () => {
    await engineOf("writers", { Writer: (task) => `${task} written` });
    await engineOf("editors", { Editor: (text) => `${text}, edited` });
    await engineOf("host", {}, true);
    const client = await engineOf("cli", undefined);
    const handle = await client.start(
      request("otters", topology("Writer -> Editor"), code({}), { sessionId: "together" }),
    );
    const outcome = await handle.outcome;
    expect([outcome.status, outcome.finalResponse]).toEqual(["completed", "otters written, edited"]);
  });

  it("carry large values, effects that are recorded, and names that are no tokens", async () => {
    const big = "x".repeat(400_000);
    await engineOf("writers", {
      "tool.of all": async (task, ctx) => `${String(await ctx.once("k", () => "once"))} ${String(task).length} ${big}`,
    });
    await engineOf("host", {}, true);
    const client = await engineOf("cli", undefined);
    const handle = await client.start(request(big, topology("tool.of all"), code({}), { sessionId: "große:s.1" }));
    expect((await handle.outcome).finalResponse).toBe(`once 400000 ${big}`);
  });

  it("pause, resume and cancel from a client", async () => {
    let calls = 0;
    await engineOf("writers", {
      Writer: async (_task, ctx) => {
        calls++;
        await new Promise((resolve) => ctx.signal.addEventListener("abort", resolve));
        throw new Error("aborted");
      },
    });
    await engineOf("host", {}, true);
    const client = await engineOf("cli", undefined);
    const handle = await client.start(request("t", topology("Writer"), code({}), { sessionId: "steered" }));
    await expect.poll(() => calls).toBe(1);
    expect(await client.cancel("steered")).toBe(true);
    expect((await handle.outcome).status).toBe("cancelled");
  });
});

describe("a worker", () => {
  const names = namesOf();

  it.each([
    ["a session's log", names.log("s")],
    ["an inbox", names.inbox("s")],
    ["a step for its own agent", names.work("Writer", "s", "1.0.1", 1)],
    ["a step for another", names.work("Editor", "s", "1.0.1", 1)],
    ["the list of sessions", `$KV.${names.buckets.sessions}.s`],
    ["a snapshot", `$KV.${names.buckets.snapshots}.s`],
    ["a large value", names.blob("0".repeat(64), 0)],
    ["a dead letter of another agent", names.dead("Editor", "s", "1.0.1", 1)],
  ])("cannot write %s", async (_what, subject) => {
    const js = jetstream(await raw("writers"));
    await expect(js.publish(subject, "forged")).rejects.toThrow(/Permissions Violation for Publish/);
    await using admin = await openNatsAdmin(as("ops"));
    const stored = (await admin.check()).assets.map(({ messages }) => messages);
    await expect(js.publish(subject, "forged")).rejects.toThrow();
    expect((await admin.check()).assets.map(({ messages }) => messages)).toEqual(stored);
  });

  it("cannot take another agent's steps, nor look into logs, inboxes and the queue", async () => {
    const jsm = await jetstreamManager(await raw("writers"), { checkAPI: false });
    const { work, log, inbox } = names.streams;
    const denied = /Permissions Violation for Publish/;
    await expect(
      jsm.consumers.add(work, {
        durable_name: "agent_Editor",
        filter_subject: names.pattern("work", "Editor", "*", "*", "*"),
      }),
    ).rejects.toThrow(denied);
    await expect(
      jsm.consumers.add(work, {
        durable_name: "agent_Writer",
        filter_subject: names.pattern("work", "*", "*", "*", "*"),
      }),
    ).rejects.toThrow(denied);
    await expect(jsm.consumers.info(work, "agent_Editor")).rejects.toThrow(denied);
    for (const stream of [log, inbox, work]) {
      await expect(jsm.streams.getMessage(stream, { seq: 1 })).rejects.toThrow(denied);
      await expect(jsm.streams.purge(stream)).rejects.toThrow(denied);
      await expect(jsm.streams.delete(stream)).rejects.toThrow(denied);
    }
  });

  it("cannot listen to what owners are asked, nor to what others are answered", async () => {
    const nc = await raw("writers");
    for (const subject of [names.pattern("rpc", "*"), names.pattern("done", "*"), "_INBOX_host.>", "_INBOX.>", ">"]) {
      const refused = new Promise((resolve) => nc.subscribe(subject, { callback: (error) => resolve(error) }));
      await nc.flush();
      expect(await refused).toMatchObject({ name: "PermissionViolationError" });
    }
  });
});

describe("what permissions do not cover", () => {
  it("is where the server sends answers: the guide says so as long as this is so", async () => {
    await using admin = await openNatsAdmin(as("ops"));
    const messages = async (): Promise<number> => (await admin.check()).assets[0]?.messages ?? 0;
    const before = await messages();
    const nc = await raw("writers");
    nc.publish("$JS.API.STREAM.INFO.ORCH_WORK", "", { reply: "o.log.victim" });
    await expect.poll(messages).toBe(before + 1);
  });
});

describe("a tenant", () => {
  it("cannot see, write or clear away what is another's", async () => {
    const mine = namesOf();
    const nc = await raw("acme-ops");
    const [js, jsm] = [jetstream(nc), await jetstreamManager(nc, { checkAPI: false })];
    const denied = /Permissions Violation/;
    await expect(js.publish(mine.log("s"), "x")).rejects.toThrow(denied);
    await expect(jsm.streams.info(mine.streams.log)).rejects.toThrow(denied);
    await expect(jsm.streams.delete(mine.streams.log)).rejects.toThrow(denied);
    await expect(jsm.streams.getMessage(mine.streams.log, { seq: 1 })).rejects.toThrow(denied);
    const refused = new Promise((resolve) => nc.subscribe("o.ev.*", { callback: (error) => resolve(error) }));
    await nc.flush();
    expect(String(await refused)).toMatch(denied);
  });

  it("runs its own sessions beside", async () => {
    const engine = await engineOf("acme-host", { Writer: (task) => `${task} at acme` }, true);
    const handle = await engine.start(
      request("otters", topology("Writer"), code({ Writer: () => "unused" }), { sessionId: "together" }),
    );
    expect((await handle.outcome).status).toBe("completed");
    const other = busOf("host");
    expect((await other.sessions.getSession("together"))?.topologyHash).not.toBe(
      (await engine.getSession("together"))?.topologyHash,
    );
  });
});
