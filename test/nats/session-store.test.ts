import { createHash, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { headers } from "@nats-io/transport-node";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { encodeValue } from "../../src/base/codec.ts";
import { hashBytes } from "../../src/base/crc.ts";
import { streamOfBucket } from "../../src/nats/assets.ts";
import { createSessionStore } from "../../src/nats/session-store.ts";
import type { Commit, SessionStore } from "../../src/state/ports.ts";
import { codeOf } from "../../src/testing/contract-test.ts";
import { blobOf, checkpointOf, commitOf, entryOf, snapshotOf } from "../../src/testing/session-samples.ts";
import { isPubAck, startNatsProxy } from "../support/nats-proxy.ts";
import { type NatsServer, startNats } from "../support/nats.ts";
import { emptied, openStore, type StoreWorld } from "./store-world.ts";

const LOG = "ORCH_LOG";
const INDEX = streamOfBucket("orch_sessions");

let server: NatsServer;
let world: StoreWorld;
let store: SessionStore;
beforeAll(async () => {
  server = await startNats({ version: "2.15" });
  world = openStore(server.url);
});
afterAll(async () => {
  await world.close();
  await server[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await emptied(world.link);
  store = createSessionStore(world.link);
});

/** A connection of its own; by way of `servers` when given. */
function anotherWorld(options: Parameters<typeof openStore>[1] = {}, servers: string = server.url): StoreWorld {
  const made = openStore(servers, options);
  onTestFinished(() => made.close());
  return made;
}

function append(
  to: SessionStore,
  sessionId: string,
  n: number,
  more: Partial<Commit> = {},
): ReturnType<SessionStore["append"]> {
  const entry = { ...entryOf(sessionId), host: more.host ?? "host-1" };
  return to.append({ sessionId, expected: n - 1, commit: commitOf(n, more), entry });
}

async function fill(sessionId: string, count: number): Promise<void> {
  for (let n = 1; n <= count; n++) await append(store, sessionId, n);
}

async function idsOf(from: SessionStore, sessionId: string): Promise<string[]> {
  const ids: string[] = [];
  for await (const commit of from.read(sessionId)) ids.push(commit.id);
  return ids;
}

/** What a peer with the right to write to the stream could do. */
async function hostile(): Promise<Awaited<ReturnType<StoreWorld["link"]["connected"]>>> {
  return world.link.connected();
}

describe("an append whose answer is lost", () => {
  it("is recognised by its commit id and not repeated", async () => {
    const proxy = await startNatsProxy(server.url);
    const behind = anotherWorld({ ackTimeoutMs: 200 }, proxy.url);
    await append(behind.store, "s1", 1);
    const lost = proxy.intercept({ from: "server", when: isPubAck({ stream: LOG }), times: 1 });
    expect(await append(behind.store, "s1", 2)).toEqual({ ok: true });
    expect(lost.caught.length).toBe(1);
    expect(await append(behind.store, "s1", 3)).toEqual({ ok: true });
    expect(await idsOf(store, "s1")).toEqual(["c-1", "c-2", "c-3"]);
  });

  it("is done although another owner wrote behind it, and the next one is refused", async () => {
    const proxy = await startNatsProxy(server.url);
    const behind = anotherWorld({ ackTimeoutMs: 500 }, proxy.url);
    await append(behind.store, "s1", 1);
    const lost = proxy.intercept({ from: "server", when: isPubAck({ stream: LOG }), times: 1 });
    const pending = append(behind.store, "s1", 2);
    await lost.first;
    expect(await append(store, "s1", 3, { id: "claimed", epoch: 2 })).toEqual({ ok: true });
    expect(await pending).toEqual({ ok: true });
    expect(await append(behind.store, "s1", 3)).toEqual({ ok: false, last: { n: 3, epoch: 2, id: "claimed" } });
    expect(await idsOf(store, "s1")).toEqual(["c-1", "c-2", "claimed"]);
  });

  it("is refused when the request was lost and another owner wrote in its place", async () => {
    const proxy = await startNatsProxy(server.url);
    const behind = anotherWorld({ ackTimeoutMs: 2_000 }, proxy.url);
    await append(behind.store, "s1", 1);
    const lost = proxy.intercept({
      from: "client",
      when: ({ subject }) => subject === world.link.names.log("s1"),
      times: 1,
    });
    const pending = append(behind.store, "s1", 2);
    await lost.first;
    await append(store, "s1", 2, { id: "claimed", epoch: 2 });
    expect(await pending).toEqual({ ok: false, last: { n: 2, epoch: 2, id: "claimed" } });
    expect(await idsOf(store, "s1")).toEqual(["c-1", "claimed"]);
  });

  it("is stored once when its connection breaks in the middle", async () => {
    const proxy = await startNatsProxy(server.url);
    const behind = anotherWorld({ ackTimeoutMs: 500 }, proxy.url);
    await append(behind.store, "s1", 1);
    for (let n = 2; n <= 4; n++) {
      proxy.intercept({ from: "server", when: isPubAck({ stream: LOG }), then: "cut", times: 1 });
      expect(await append(behind.store, "s1", n)).toEqual({ ok: true });
    }
    expect(await idsOf(store, "s1")).toEqual(["c-1", "c-2", "c-3", "c-4"]);
  });

  it("waits for a server that is away, and fails loudly when it stays away", async () => {
    const own = await startNats({ version: "2.10" });
    onTestFinished(() => own[Symbol.asyncDispose]());
    const waiting = anotherWorld({ ackTimeoutMs: 300 }, own.url);
    const short = anotherWorld({ ackTimeoutMs: 300, patienceMs: 3_000, connectTimeoutMs: 3_000 }, own.url);
    await append(waiting.store, "s1", 1);
    await append(short.store, "s2", 1);
    await own.kill();
    const pending = append(waiting.store, "s1", 2);
    expect(await codeOf(append(short.store, "s2", 2))).toBe("ORCH_BUS_UNREACHABLE");
    await own.start();
    expect(await pending).toEqual({ ok: true });
    expect(await idsOf(waiting.store, "s1")).toEqual(["c-1", "c-2"]);
  });
});

describe("two owners of one log", () => {
  it("never both win a position, whatever the order of their calls", async () => {
    const other = anotherWorld().store;
    const mine = anotherWorld().store;
    for (let n = 1; n <= 60; n++) {
      const [a, b] = await Promise.all([
        append(mine, "s1", n, { id: `a${n}` }),
        append(other, "s1", n, { id: `b${n}` }),
      ]);
      expect([a.ok, b.ok].filter(Boolean).length).toBe(1);
      const winner = a.ok ? `a${n}` : `b${n}`;
      expect(a.ok ? b : a).toEqual({ ok: false, last: { n, epoch: 1, id: winner } });
      expect(await store.last("s1")).toMatchObject({ n, id: winner });
    }
    expect((await idsOf(store, "s1")).length).toBe(60);
  });

  it("keeps the log whole when it is compacted while it is appended to", async () => {
    await fill("s1", 20);
    for (const n of [8, 16]) await store.saveSnapshot("s1", snapshotOf(n));
    const other = anotherWorld().store;
    const appends = (async () => {
      for (let n = 21; n <= 60; n++) expect(await append(store, "s1", n)).toEqual({ ok: true });
    })();
    await other.compact("s1", 20);
    await appends;
    const ids = await idsOf(other, "s1");
    expect([ids[0], ids.at(-1), ids.length]).toEqual(["c-9", "c-60", 52]);
    expect((await other.verify()).problems).toEqual([]);
  });
});

describe("what another peer changed", () => {
  it("is reported when a message that says it is a commit is none, and nothing is appended behind it", async () => {
    await fill("s1", 2);
    const { js } = await hostile();
    const saying = headers();
    saying.set("Orch-Session", "s1");
    saying.set("Orch-N", "3");
    await js.publish(world.link.names.log("s1"), randomBytes(200), { headers: saying });
    const corrupt = "ORCH_STORE_CORRUPT";
    expect(await codeOf(store.last("s1"))).toBe(corrupt);
    expect(await codeOf(store.getSession("s1"))).toBe(corrupt);
    expect(await codeOf(idsOf(store, "s1"))).toBe(corrupt);
    expect(await codeOf(append(store, "s1", 3))).toBe(corrupt);
    expect((await store.verify()).problems).toMatchObject([{ sessionId: "s1", lastGoodN: 2 }]);
    expect(await store.deleteSession("s1")).toBe(true);
    expect((await store.verify()).ok).toBe(true);
  });

  it("is passed over when a message does not say that it is a commit, wherever it stands, and told by verify", async () => {
    const { js } = await hostile();
    const subject = world.link.names.log("s1");
    await js.publish(subject, randomBytes(200));
    expect(await store.last("s1")).toBeNull();
    for (let n = 1; n <= 3; n++) {
      expect(await append(n === 2 ? createSessionStore(world.link) : store, "s1", n)).toEqual({ ok: true });
      await js.publish(subject, randomBytes(200));
    }
    expect(await append(store, "s1", 3, { id: "late" })).toEqual({ ok: false, last: { n: 3, epoch: 1, id: "c-3" } });
    expect(await idsOf(createSessionStore(world.link), "s1")).toEqual(["c-1", "c-2", "c-3"]);
    expect(await store.getSession("s1")).toMatchObject({ n: 3 });
    const { commits, problems } = await store.verify();
    expect(commits).toBe(3);
    expect(problems).toMatchObject([{ sessionId: "s1", lastGoodN: 3, message: expect.stringMatching(/^4 messages/) }]);
  });

  it("is reported for every single byte of a commit", async () => {
    await fill("s1", 1);
    const { js, jsm } = await hostile();
    const subject = world.link.names.log("s1");
    const good = await jsm.streams.getMessage(LOG, { last_by_subj: subject });
    if (good === null) throw new Error("the commit is not there");
    good.header.delete("Nats-Expected-Last-Subject-Sequence");
    for (let i = 0; i < good.data.length; i += 7) {
      const bytes = Uint8Array.from(good.data);
      bytes[i] = (bytes[i] ?? 0) ^ 0x10;
      await jsm.streams.purge(LOG, { filter: subject });
      await js.publish(subject, bytes, { headers: good.header });
      expect([i, await codeOf(store.last("s1"))]).toEqual([i, "ORCH_STORE_CORRUPT"]);
    }
    await jsm.streams.purge(LOG, { filter: subject });
    await js.publish(subject, good.data, { headers: good.header });
    expect(await store.last("s1")).toMatchObject({ n: 1 });
  });

  it("is reported when a commit stands in another session's log, or at another place", async () => {
    await fill("s1", 1);
    const { js, jsm } = await hostile();
    const good = await jsm.streams.getMessage(LOG, { last_by_subj: world.link.names.log("s1") });
    if (good === null) throw new Error("the commit is not there");
    // Stored as it came; sent again it would be checked again.
    good.header.delete("Nats-Expected-Last-Subject-Sequence");
    await js.publish(world.link.names.log("s2"), good.data, { headers: good.header });
    good.header.set("Orch-Session", "s3");
    await js.publish(world.link.names.log("s3"), good.data, { headers: good.header });
    good.header.set("Orch-Session", "s1");
    good.header.set("Orch-N", "2");
    await js.publish(world.link.names.log("s1"), good.data, { headers: good.header });
    for (const sessionId of ["s1", "s2", "s3"])
      expect([sessionId, await codeOf(store.last(sessionId))]).toEqual([sessionId, "ORCH_STORE_CORRUPT"]);
  });

  it.each([
    ["the first", 1, null],
    ["one in the middle", 3, 2],
  ] as const)("is reported when a commit was removed: %s", async (_which, gone, lastGoodN) => {
    await fill("s1", 5);
    const { jsm } = await hostile();
    const { state } = await jsm.streams.info(LOG);
    await jsm.streams.deleteMessage(LOG, state.last_seq - 5 + gone);
    expect(await codeOf(idsOf(store, "s1"))).toBe("ORCH_STORE_CORRUPT");
    expect((await store.verify()).problems).toMatchObject([{ sessionId: "s1", lastGoodN, lastN: 5 }]);
  });

  it("is reported when the end of an ended session's log was removed", async () => {
    await fill("s1", 2);
    await store.append({
      sessionId: "s1",
      expected: 2,
      commit: commitOf(3),
      entry: { ...entryOf("s1"), status: "completed" },
    });
    await store.close();
    store = createSessionStore(world.link);
    const { jsm } = await hostile();
    const { seq } = (await jsm.streams.getMessage(LOG, { last_by_subj: world.link.names.log("s1") })) ?? { seq: 0 };
    await jsm.streams.deleteMessage(LOG, seq);
    expect((await store.verify()).problems).toMatchObject([{ sessionId: "s1", lastGoodN: 2, lastN: 3 }]);
  });

  it("is passed over in snapshots, and reported in checkpoints and blobs", async () => {
    await fill("s1", 4);
    for (const n of [2, 4]) await store.saveSnapshot("s1", snapshotOf(n));
    await store.saveCheckpoint(checkpointOf("cp", "s1", 2));
    const { ref, bytes } = blobOf("changed");
    await store.append({ sessionId: "s2", expected: 0, commit: commitOf(1), blobs: new Map([[ref, bytes]]) });
    const { js, jsm } = await hostile();
    for (const subject of [`$KV.orch_snapshots.s1.000000000004`, `$KV.orch_checkpoints.s1.cp`]) {
      const name = streamOfBucket(subject.split(".")[1] ?? "");
      const good = await jsm.streams.getMessage(name, { last_by_subj: subject });
      const changed = Uint8Array.from(good?.data ?? []);
      changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
      await js.publish(subject, changed, good === null ? {} : { headers: good.header });
    }
    await jsm.streams.purge("ORCH_BLOBS", { filter: world.link.names.blob(ref, 0) });
    await js.publish(world.link.names.blob(ref, 0), Buffer.from(bytes).fill(1, 0, 1));
    expect(await store.latestSnapshot("s1")).toEqual(snapshotOf(2));
    expect(await codeOf(store.getCheckpoint("cp"))).toBe("ORCH_STORE_CORRUPT");
    expect(await codeOf(store.getBlob(ref))).toBe("ORCH_STORE_CORRUPT");
    expect((await store.verify()).problems.length).toBe(3);
  });
});

describe("a long log", () => {
  it("is read from any position on, by whoever has not seen it before", async () => {
    await Promise.all(Array.from({ length: 300 }, (_, i) => append(store, "s1", i + 1)));
    for (const n of [100, 150]) await store.saveSnapshot("s1", snapshotOf(n));
    for (const from of [1, 2, 63, 64, 65, 130, 192, 257, 296, 299, 300, 301]) {
      const ns: number[] = [];
      for await (const { n } of anotherWorld().store.read("s1", from)) ns.push(n);
      expect([from, ns]).toEqual([from, Array.from({ length: 301 - from }, (_, i) => from + i)]);
    }
    await store.compact("s1", 300);
    for (const from of [1, 90, 101, 110, 299]) {
      const ns: number[] = [];
      for await (const { n } of anotherWorld().store.read("s1", from)) ns.push(n);
      expect([from, ns[0], ns.at(-1), ns.length]).toEqual([from, Math.max(from, 101), 300, 301 - Math.max(from, 101)]);
    }
  });

  it("is not sent whole to whoever reads its end", async () => {
    await Promise.all(Array.from({ length: 300 }, (_, i) => append(store, "s1", i + 1)));
    const proxy = await startNatsProxy(server.url);
    const { store: behind } = anotherWorld({}, proxy.url);
    await behind.open();
    let bytes = 0;
    proxy.intercept({
      from: "server",
      when: ({ payload }) => {
        bytes += payload?.byteLength ?? 0;
        return false;
      },
    });
    for await (const { n } of behind.read("s1", 280)) expect(n).toBeGreaterThanOrEqual(280);
    const { jsm } = await hostile();
    expect(bytes).toBeGreaterThan(0);
    expect(bytes).toBeLessThan((await jsm.streams.info(LOG)).state.bytes / 5);
  });
});

describe("the list of sessions", () => {
  const ids = async (from: SessionStore, status?: "running" | "completed" | "paused"): Promise<string[]> =>
    (await from.listSessions({ limit: 500, ...(status === undefined ? {} : { status }) })).map((one) => one.sessionId);
  const end = (to: SessionStore, sessionId: string, n: number, status: "completed" | "paused" | "running") =>
    to.append({ sessionId, expected: n - 1, commit: commitOf(n), entry: { ...entryOf(sessionId), status, n } });

  it("says what the log says when the word that a session rests was lost", async () => {
    const proxy = await startNatsProxy(server.url);
    const behind = anotherWorld({ ackTimeoutMs: 300 }, proxy.url);
    await fill("s1", 1);
    await append(behind.store, "s2", 1);
    proxy.intercept({ from: "client", when: ({ subject }) => subject?.startsWith("$KV.orch_sessions") === true });
    expect(await end(behind.store, "s2", 2, "completed")).toEqual({ ok: true });
    expect(await ids(store, "running")).toEqual(["s1"]);
    expect(await ids(store, "completed")).toEqual(["s2"]);
  });

  it("finds a session that goes on after it rested, by whichever host", async () => {
    const other = anotherWorld().store;
    await fill("s1", 1);
    await end(store, "s1", 2, "completed");
    expect(await ids(other, "running")).toEqual([]);
    for (let round = 0; round < 20; round++) {
      const n = 3 + round * 2;
      const [goesOn, rests] = round % 2 === 0 ? [other, store] : [store, other];
      expect(await end(goesOn, "s1", n, "running")).toEqual({ ok: true });
      expect(await ids(store, "running")).toEqual(["s1"]);
      expect(await end(rests, "s1", n + 1, "paused")).toEqual({ ok: true });
      expect(await ids(other, "paused")).toEqual(["s1"]);
      expect(await ids(other, "running")).toEqual([]);
    }
  });

  it("sees what a session has come to when that is said anew while the list is read", async () => {
    await fill("s1", 1);
    await end(store, "s1", 2, "completed");
    const proxy = await startNatsProxy(server.url);
    const behind = anotherWorld({ ackTimeoutMs: 5_000 }, proxy.url).store;
    await expect.poll(() => ids(behind, "completed")).toEqual(["s1"]);
    expect(await end(store, "s1", 3, "running")).toEqual({ ok: true });
    let rests: ReturnType<typeof end> | undefined;
    proxy.delay(() => rests ?? Promise.resolve());
    proxy.intercept({
      from: "client",
      when: ({ subject }) => {
        // What this asks for is gone by the time it arrives.
        if (subject?.startsWith(`$JS.API.DIRECT.GET.${INDEX}`)) rests ??= end(store, "s1", 4, "paused");
        return false;
      },
    });
    expect(await ids(behind, "paused")).toEqual(["s1"]);
    expect(await rests).toEqual({ ok: true });
  });

  it("finds a session that goes on before the word that it rests arrives", async () => {
    const proxy = await startNatsProxy(server.url);
    const slow = anotherWorld({ ackTimeoutMs: 5_000 }, proxy.url).store;
    await append(slow, "s1", 1);
    proxy.delay(150);
    await end(slow, "s1", 2, "completed");
    // Its word is under way for another 150 ms.
    expect(await end(store, "s1", 3, "running")).toEqual({ ok: true });
    await slow.close();
    expect(await ids(store, "running")).toEqual(["s1"]);
  });

  it("asks no log for sessions that rest", async () => {
    for (let i = 0; i < 5; i++) {
      await append(store, `s${i}`, 1);
      await end(store, `s${i}`, 2, "completed");
    }
    await store.close();
    const proxy = await startNatsProxy(server.url);
    const { store: behind } = anotherWorld({}, proxy.url);
    await behind.open();
    const looks = proxy.intercept({
      from: "client",
      when: ({ subject }) => subject?.endsWith(`GET.${LOG}`) === true,
    });
    const page = await behind.listSessions();
    expect(page.map((one) => [one.status, one.n])).toEqual(Array.from({ length: 5 }, () => ["completed", 2]));
    expect(looks.caught).toEqual([]);
  });

  it("is made anew from the logs when the index was lost", async () => {
    for (const sessionId of ["plain", "häßlich", "a.b"]) await append(store, sessionId, 1);
    await end(store, "plain", 2, "completed");
    await store.close();
    const { jsm } = await hostile();
    await jsm.streams.purge(INDEX);
    const other = anotherWorld().store;
    expect(await ids(other)).toEqual(["a.b", "häßlich", "plain"]);
    expect(await ids(other, "running")).toEqual(["a.b", "häßlich"]);
    expect((await jsm.streams.info(INDEX)).state.messages).toBe(3);
  });

  it("forgets a session that another host removed", async () => {
    await fill("s1", 1);
    await fill("s2", 1);
    const other = anotherWorld().store;
    expect(await ids(other)).toEqual(["s1", "s2"]);
    await store.deleteSession("s1");
    expect(await ids(other)).toEqual(["s2"]);
    await append(store, "s1", 1, { id: "again" });
    expect(await ids(other)).toEqual(["s1", "s2"]);
  });

  // Root cause: a list with a cursor was taken for one under way, and showed the index as of the last list.
  it("sees what was just written also where a list begins at a cursor of its own", async () => {
    await fill("s1", 1);
    const other = anotherWorld().store;
    expect(await ids(other)).toEqual(["s1"]);
    await fill("s1.1", 1);
    expect((await other.listSessions({ cursor: "s1." })).map((one) => one.sessionId)).toEqual(["s1.1"]);
  });

  it("gives every session once, in order, while others come and go", async () => {
    const names = Array.from({ length: 400 }, (_, i) => `s${String(i).padStart(4, "0")}`);
    await Promise.all(names.map((sessionId) => append(store, sessionId, 1)));
    const other = anotherWorld().store;
    const seen: string[] = [];
    for (let cursor: string | undefined; ;) {
      const page = await other.listSessions({ limit: 60, ...(cursor === undefined ? {} : { cursor }) });
      if (page.length === 0) break;
      seen.push(...page.map((one) => one.sessionId));
      cursor = seen.at(-1);
      await append(store, `t${seen.length}`, 1);
      await store.deleteSession(seen[0] ?? "");
    }
    expect(seen.filter((name) => name.startsWith("s"))).toEqual(names);
  });
});

describe("what is too large for one message", () => {
  it("is kept among the blobs, comes back as it was, and goes with its session", async () => {
    const text = randomBytes(900_000).toString("hex");
    const facts = [{ type: "context.added" as const, context: { text: { v: text } } }];
    const bytes = encodeValue({ text: randomBytes(1_200_000).toString("hex") });
    const ref = hashBytes(bytes);
    await store.append({ sessionId: "s1", expected: 0, commit: commitOf(1, { facts }), entry: entryOf("s1") });
    await store.append({
      sessionId: "s1",
      expected: 1,
      commit: commitOf(2),
      blobs: new Map([[ref, bytes]]),
      entry: entryOf("s1"),
    });
    const large = { ...snapshotOf(2), state: { text } };
    await store.saveSnapshot("s1", large);
    await store.saveCheckpoint({ ...checkpointOf("cp", "s1", 2), snapshot: large });
    const other = anotherWorld().store;
    for await (const commit of other.read("s1")) if (commit.n === 1) expect(commit.facts).toEqual(facts);
    expect(hashBytes(await other.getBlob(ref))).toBe(ref);
    expect(await other.latestSnapshot("s1")).toEqual(large);
    expect((await other.getCheckpoint("cp"))?.snapshot).toEqual(large);
    expect(await other.verify()).toMatchObject({ ok: true, blobs: 1 });
    await other.deleteCheckpoint("cp");
    await other.deleteSession("s1");
    const { jsm } = await hostile();
    expect((await jsm.streams.info("ORCH_BLOBS")).state.messages).toBe(0);
  });

  it("leaves nothing behind when snapshots replace each other", async () => {
    await fill("s1", 9);
    for (let n = 1; n <= 9; n++)
      await store.saveSnapshot("s1", { ...snapshotOf(n), state: { text: randomBytes(300_000).toString("hex") } });
    const { jsm } = await hostile();
    const { subjects = {} } = (await jsm.streams.info("ORCH_BLOBS", { subjects_filter: "o.ref.>" })).state;
    expect(Object.keys(subjects).length).toBe(2);
  });
});

describe("blobs that come and go at once", () => {
  it("are there for whoever committed a reference to them", async () => {
    const other = anotherWorld().store;
    const { ref, bytes } = blobOf(createHash("sha256").update("shared").digest("hex"));
    const blobs = new Map([[ref, bytes]]);
    const begin = (to: SessionStore, sessionId: string) =>
      to.append({ sessionId, expected: 0, commit: commitOf(1, { id: sessionId }), blobs, entry: entryOf(sessionId) });
    await begin(store, "s0");
    for (let round = 0; round < 40; round++) {
      const [next] = await Promise.all([
        begin(round % 2 === 0 ? other : store, `s${round + 1}`),
        sleep(round % 5).then(() => store.deleteSession(`s${round}`)),
      ]);
      expect(next).toEqual({ ok: true });
      expect([round, hashBytes(await other.getBlob(ref))]).toEqual([round, ref]);
    }
    await store.deleteSession("s40");
    expect(await codeOf(store.getBlob(ref))).toBe("ORCH_STORE_CORRUPT");
  });

  it("are stored anew when they are about to be removed", async () => {
    const proxy = await startNatsProxy(server.url);
    const slow = anotherWorld({ ackTimeoutMs: 5_000 }, proxy.url).store;
    const { ref, bytes } = blobOf("about to go");
    const begin = (sessionId: string) =>
      store.append({ sessionId, expected: 0, commit: commitOf(1), blobs: new Map([[ref, bytes]]) });
    await begin("s1");
    await slow.open();
    proxy.delay(100);
    const removed = slow.deleteSession("s1");
    const { jsm } = await hostile();
    const looking = async () => jsm.streams.getMessage("ORCH_BLOBS", { last_by_subj: `o.ref.${ref}` });
    while ((await looking()) === null) await sleep(10);
    // References are counted 200 ms after that, and the blob is removed after another 200.
    await sleep(300);
    expect(await begin("s2")).toEqual({ ok: true });
    expect(await removed).toBe(true);
    expect(hashBytes(await store.getBlob(ref))).toBe(ref);
  });

  it("stay with a session that two owners wrote the same blob to", async () => {
    const other = anotherWorld().store;
    const { ref, bytes } = blobOf("by both");
    const request = (id: string) => ({
      sessionId: "s1",
      expected: 0,
      commit: commitOf(1, { id }),
      blobs: new Map([[ref, bytes]]),
      entry: entryOf("s1"),
    });
    for (let round = 0; round < 10; round++) {
      const results = await Promise.all([store.append(request("a")), other.append(request("b"))]);
      expect(results.filter(({ ok }) => ok).length).toBe(1);
      expect(hashBytes(await store.getBlob(ref))).toBe(ref);
      await store.deleteSession("s1");
    }
  });
});

describe("a store on a link", () => {
  it("connects at first use, and closing it leaves the link to its owner", async () => {
    const fresh = anotherWorld();
    expect(fresh.link.status).toBe("idle");
    expect(fresh.store.durability).toBe("process");
    await fresh.store.last("s1");
    await fresh.store.close();
    expect(fresh.link.status).toBe("connected");
    expect(await codeOf(fresh.store.last("s1"))).toBe("ORCH_CLOSED");
    expect(await createSessionStore(fresh.link).last("s1")).toBe(null);
  });

  it("names the durability its servers give", async () => {
    const inMemory = anotherWorld({ tenant: "m", init: { storage: "memory" } }).store;
    await inMemory.open();
    expect(inMemory.durability).toBe("memory");
    const synced = createSessionStore(world.link, { syncAlways: true });
    await synced.open();
    expect([store.durability, synced.durability]).toEqual(["process", "disk"]);
  });

  it("keeps tenants apart", async () => {
    const acme = anotherWorld({ tenant: "acme" }).store;
    await append(acme, "s1", 1, { id: "of acme" });
    expect(await store.last("s1")).toBe(null);
    expect(await store.listSessions()).toEqual([]);
    expect((await acme.listSessions()).map((one) => one.sessionId)).toEqual(["s1"]);
  });
});
