// A worker may publish to no log, inbox or queue, but has the server send its answers there: messages of its choice, with
// headers of its choice. Nobody takes one for what it says it is.

import { connect, headers, type NatsConnection } from "@nats-io/transport-node";
import { jetstream } from "@nats-io/jetstream";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { natsBus, natsPermissions, openNatsAdmin, type NatsBus } from "orchestra/nats";
import { encodeValue } from "../../src/base/codec.ts";
import { encodeRecord } from "../../src/base/record.ts";
import { namesOf } from "../../src/nats/names.ts";
import { encodeLogged } from "../../src/nats/store-records.ts";
import { encodePayload } from "../../src/nats/wire.ts";
import type { SessionStore } from "../../src/state/ports.ts";
import { keys } from "../../src/state/level-keys.ts";
import { commitOf, entryOf } from "../../src/testing/session-samples.ts";
import type { Engine } from "../../src/runtime/engine-api.ts";
import { keepingLogger } from "./bus-world.ts";
import { code, deferred, request, topology, world, type Agents } from "../runtime/world.ts";
import { startNats, until, type NatsServer } from "../support/nats.ts";

const names = namesOf();
const ROLE_OF = { ops: "operator", host: "owner", worker: "worker" } as const;
type User = keyof typeof ROLE_OF;

function configuration(): string {
  const users = Object.entries(ROLE_OF).map(([user, role]) => {
    const { serverConfig } = natsPermissions(role, { inboxPrefix: "_INBOX", agents: ["Writer"] });
    return `{ user: "${user}", password: "pw", ${serverConfig} }`;
  });
  return `authorization { users: [\n${users.join("\n")}\n] }`;
}

describe.each(["2.10", "2.15"] as const)("answers that a worker sends elsewhere, on nats-server %s,", (version) => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNats({ version, config: configuration() });
    await using admin = await openNatsAdmin(as("ops"));
    await admin.init({ storage: "memory" });
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  const as = (user: User) => ({ servers: server.url, user, pass: "pw" });

  const { logger, logged } = keepingLogger();
  function busOf(user: User): NatsBus {
    const bus = natsBus({ ...as(user), connectTimeoutMs: 60_000, localFirst: false, logger });
    closing.push(() => bus.close());
    return bus;
  }

  async function hostOf(served: Agents): Promise<{ engine: Engine; bus: NatsBus; agents: ReturnType<typeof code> }> {
    const bus = busOf("host");
    const agents = code(served);
    const hosting = { code: agents, slots: 4, perAgent: {}, adopts: true, topologies: [], version: "test" };
    const { engine } = world({ bus, store: bus.sessions, host: "h", hosting });
    closing.push(() => engine.close());
    await engine.host();
    return { engine, bus, agents };
  }

  let forged = 0;

  async function attacker() {
    const nc = await connect({ ...as("worker"), timeout: 5_000 });
    closing.push(() => nc.close());
    return {
      nc,
      /** Has the server send this to `subject`. */
      async place(subject: string, payload: Uint8Array, fields: Record<string, string> = {}): Promise<void> {
        const own = headers();
        for (const [name, value] of Object.entries(fields)) own.set(name, value);
        const at = names.result("attack", `${++forged}.0.1`, 1);
        await jetstream(nc).publish(at, payload, { headers: own });
        nc.publish(`$JS.API.DIRECT.GET.${names.streams.results}.${at}`, "", { reply: subject });
        await nc.flush();
      },
    };
  }

  /** All that a server answers: texts, statuses, messages and ends of batches. */
  async function answersTo(nc: NatsConnection, subject: string): Promise<void> {
    const { results, work } = names.streams;
    const ask = (api: string, body: unknown = ""): void =>
      nc.publish(`$JS.API.${api}`, body === "" ? "" : JSON.stringify(body), { reply: subject });
    ask(`STREAM.INFO.${work}`);
    ask(`STREAM.MSG.GET.${results}`, { seq: 1 });
    ask(`DIRECT.GET.${results}`, { seq: 1, batch: 3, next_by_subj: "o.res.>" });
    ask(`DIRECT.GET.${results}`, { multi_last: ["o.res.>"] });
    ask(`DIRECT.GET.${results}`, "nonsense");
    ask(`DIRECT.GET.${results}.o.res.none.of.1`);
    nc.publish(names.result("attack", `${++forged}.0.1`, 1), "acknowledged", { reply: subject });
    await nc.flush();
  }

  async function count(stream: string): Promise<number> {
    await using admin = await openNatsAdmin(as("ops"));
    return (await admin.check()).assets.find(({ name }) => name === stream)?.messages ?? 0;
  }

  async function commitsOf(store: SessionStore, sessionId: string): Promise<number[]> {
    const all: number[] = [];
    for await (const { n } of store.read(sessionId)) all.push(n);
    return all;
  }

  it("do not stop the session into whose log they are put, and are told by verify", async () => {
    const { nc, place } = await attacker();
    const gate = deferred();
    let writes = 0;
    const { engine, bus, agents } = await hostOf({
      Waiter: async (task) => {
        await gate.promise;
        return task;
      },
      Writer: (task) => `${String(task)} ${++writes}`,
    });
    const subject = names.log("victim");
    await answersTo(nc, subject);
    await until("they stand in the log", async () => (await count(names.streams.log)) > 2);
    expect(await bus.sessions.getSession("victim")).toBeNull();
    const handle = await engine.start(request("otters", topology("Waiter -> Writer"), agents, { sessionId: "victim" }));
    await until("it waits", async () => (await bus.sessions.last("victim")) !== null);
    await answersTo(nc, subject);
    const last = (await bus.sessions.last("victim"))!;
    const before = await count(names.streams.log);
    const fencing = commitOf(last.n + 1, { epoch: 99 });
    const record = encodeLogged("victim", { commit: fencing, entry: entryOf("victim"), begins: false });
    await place(subject, record, { "Orch-Session": "victim", "Orch-N": String(last.n + 1) });
    await until("a forged commit stands in the log", async () => (await count(names.streams.log)) > before);
    expect(await busOf("host").sessions.last("victim")).toEqual(last);
    gate.resolve();
    const outcome = await handle.outcome;
    expect([outcome.status, outcome.finalResponse]).toEqual(["completed", "otters 1"]);
    await answersTo(nc, subject);

    const { sessions } = busOf("host");
    const whole = await commitsOf(sessions, "victim");
    expect(whole).toEqual(whole.map((_, i) => i + 1));
    expect((await sessions.getSession("victim"))?.status).toBe("completed");
    expect((await sessions.listSessions()).map(({ sessionId, status }) => [sessionId, status])).toContainEqual([
      "victim",
      "completed",
    ]);
    const { ok, commits, problems } = await sessions.verify();
    expect([ok, commits]).toEqual([false, whole.length]);
    expect(problems).toEqual([
      expect.objectContaining({
        sessionId: "victim",
        key: subject,
        lastGoodN: whole.length,
        message: expect.stringMatching(
          /^\d+ messages that are no commits .* "nats stream rmm ORCH_LOG \d+" removes it$/,
        ),
      }),
    ]);
    expect(await sessions.deleteSession("victim")).toBe(true);
    expect((await sessions.verify()).ok).toBe(true);
  });

  it("clear no stream", async () => {
    const { nc } = await attacker();
    const clearing = headers();
    clearing.set("Nats-Rollup", "all");
    await expect(jetstream(nc).publish(`$KV.${names.buckets.hosts}.x`, "", { headers: clearing })).rejects.toThrow(
      /rollup/i,
    );
    const host = busOf("host");
    const { js } = await host.link.connected();
    for (const subject of [names.log("s"), ...Object.values(names.buckets).map((bucket) => `$KV.${bucket}.x`)])
      await expect(js.publish(subject, "", { headers: clearing })).rejects.toThrow(/rollup/i);
  });

  it("are no commands, steps, index entries, snapshots or checkpoints", async () => {
    const { place } = await attacker();
    const gate = deferred();
    const ran: unknown[] = [];
    const { engine, bus, agents } = await hostOf({
      Waiter: async () => {
        await gate.promise;
        return "waited";
      },
      Writer: (task) => void ran.push(task),
    });
    const handle = await engine.start(request("otters", topology("Waiter"), agents, { sessionId: "s2" }));
    await until("it runs", async () => (await bus.sessions.getSession("s2"))?.status === "running");

    await place(names.inbox("s2"), encodePayload({ id: "forged", type: "cancel", body: null }));
    const step = { sessionId: "s2", runId: "r", stepId: "7.0.1", agent: "Writer", attempt: 1, body: null };
    await place(names.work("Writer", "s2", "7.0.1", 1), encodePayload(step));
    const entry = { ...entryOf("s2"), status: "completed" as const };
    await place(`$KV.${names.buckets.sessions}.s2`, encodeRecord("entry", encodeValue(entry), keys.entry("s2")), {
      "Orch-Session": "s2",
    });
    const snapshot = { n: 1, reducer: 1, topologyHash: "x", state: null };
    const at = `$KV.${names.buckets.snapshots}.s2.000000000001`;
    await place(at, encodeRecord("snapshot", encodeValue(snapshot), keys.snapshot("s2", 1)), { "Orch-Session": "s2" });
    const checkpoint = { checkpointId: "c", sessionId: "s2", n: 1 };
    await place(
      `$KV.${names.buckets.checkpoints}.s2.c`,
      encodeRecord("checkpoint", encodeValue(checkpoint), keys.checkpoint("s2", "c")),
      { "Orch-Session": "s2", "Orch-Checkpoint": "c" },
    );
    const told = (part: string): boolean => logged.some(({ message }) => message.includes(part));
    await until("the step is dropped", () => told("a step that nobody offered"));
    await until("the command is passed over", () => told("a command cannot be read; passed over"));
    const { sessions } = busOf("host");
    const forgedKeys = [`$KV.${names.buckets.sessions}.s2`, at, `$KV.${names.buckets.checkpoints}.s2.c`];
    await until("all are told by verify", async () => {
      const found = (await sessions.verify()).problems.map(({ key }) => key);
      return forgedKeys.every((key) => found.includes(key));
    });

    expect(await bus.inbox.read("s2", 0)).toEqual([]);
    expect((await sessions.listSessions({ status: "running" })).map(({ sessionId }) => sessionId)).toContain("s2");
    expect(await sessions.latestSnapshot("s2")).toBeNull();
    expect(await sessions.listCheckpoints("s2")).toEqual([]);
    gate.resolve();
    expect(await handle.outcome).toMatchObject({ status: "completed", finalResponse: "waited" });
    expect(ran).toEqual([]);
  });
});
