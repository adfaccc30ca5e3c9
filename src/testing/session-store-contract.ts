// Contract of a session store
//
// What every SessionStore keeps, whichever way it keeps it.

import type { Commit, SessionEntry, SessionStore } from "../state/ports.ts";
import { codeOf, type ContractTest } from "./contract-test.ts";
import { blobOf, checkpointOf, commitOf, entryOf, everyKindOfFact, snapshotOf } from "./session-samples.ts";

/** Registers the suite. `open` gives a fresh, empty store each time. */
export function sessionStoreContract(name: string, open: () => Promise<SessionStore>, test: ContractTest): void {
  const { describe, it, expect, beforeEach, afterEach } = test;

  describe(`${name} keeps the SessionStore contract`, () => {
    let store: SessionStore;
    beforeEach(async () => {
      store = await open();
    });
    afterEach(() => store.close());

    const append = (sessionId: string, n: number, more: Partial<Commit> = {}): ReturnType<SessionStore["append"]> =>
      store.append({ sessionId, expected: n - 1, commit: commitOf(n, more), entry: entryOf(sessionId) });
    const fill = async (sessionId: string, count: number): Promise<void> => {
      for (let n = 1; n <= count; n++) await append(sessionId, n);
    };

    describe("appending", () => {
      it("gives commits back as they were, in order", async () => {
        const facts = everyKindOfFact();
        for (const [i, fact] of facts.entries()) await append("s1", i + 1, { facts: [fact], inbox: i, epoch: 3 });
        expect(await collect(store.read("s1"))).toEqual(
          facts.map((fact, i) => commitOf(i + 1, { facts: [fact], inbox: i, epoch: 3 })),
        );
        expect(await store.last("s1")).toEqual({ n: facts.length, epoch: 3, id: `c-${facts.length}` });
      });

      it("keeps every kind of user value", async () => {
        const value = {
          at: new Date(5),
          map: new Map([[1, "a"]]),
          set: new Set([2n]),
          bytes: new Uint8Array([1, 2]),
          text: "žluťoučký 🐎",
          "\0": [1],
        };
        await append("s1", 1, { facts: [{ type: "user.answered", questionId: "q", value: { v: value }, held: [] }] });
        const [commit] = await collect(store.read("s1"));
        expect(commit?.facts).toEqual([{ type: "user.answered", questionId: "q", value: { v: value }, held: [] }]);
      });

      it("knows nothing of a session nobody wrote to", async () => {
        expect(await store.last("nobody")).toBe(null);
        expect(await collect(store.read("nobody"))).toEqual([]);
        expect(await store.getSession("nobody")).toBe(null);
        expect(await store.latestSnapshot("nobody")).toBe(null);
        expect(await store.listCheckpoints("nobody")).toEqual([]);
        expect(await store.deleteSession("nobody")).toBe(false);
      });

      it("refuses a position that is taken and says what the log ends with (L1)", async () => {
        await fill("s1", 2);
        expect(await append("s1", 2, { id: "other" })).toEqual({ ok: false, last: { n: 2, epoch: 1, id: "c-2" } });
        expect(await append("s1", 1, { id: "other" })).toEqual({ ok: false, last: { n: 2, epoch: 1, id: "c-2" } });
        expect((await collect(store.read("s1"))).map((commit) => commit.id)).toEqual(["c-1", "c-2"]);
      });

      it("refuses a position that would leave a hole (L1)", async () => {
        expect(await append("s1", 2)).toEqual({ ok: false, last: null });
        expect(await store.append({ sessionId: "s1", expected: 0, commit: commitOf(5) })).toMatchObject({ ok: false });
        expect(await store.last("s1")).toBe(null);
      });

      it("takes a repeat of a stored commit as done, the last or an earlier one (L3)", async () => {
        await fill("s1", 3);
        expect(await append("s1", 3)).toEqual({ ok: true });
        expect(await append("s1", 1)).toEqual({ ok: true });
        expect((await collect(store.read("s1"))).length).toBe(3);
      });

      it("refuses another commit under the id of a stored one, the last or an earlier one (L3)", async () => {
        await fill("s1", 2);
        for (const n of [1, 2])
          expect(await append("s1", n, { atMs: 77 })).toEqual({ ok: false, last: { n: 2, epoch: 1, id: "c-2" } });
        const racing = await Promise.all([1, 2].map((atMs) => append("s2", 1, { id: "same", atMs })));
        expect(racing.map((result) => result.ok)).toEqual([true, false]);
        expect((await collect(store.read("s2"))).map((commit) => commit.atMs)).toEqual([1]);
      });

      it("lets exactly one of two racing appends win", async () => {
        const results = await Promise.all(["a", "b"].map((id) => append("s1", 1, { id })));
        expect(results.filter((result) => result.ok).length).toBe(1);
        const winner = results[0]?.ok ? "a" : "b";
        expect(results.find((result) => !result.ok)).toEqual({ ok: false, last: { n: 1, epoch: 1, id: winner } });
        expect((await collect(store.read("s1"))).map((commit) => commit.id)).toEqual([winner]);
      });

      it("takes appends to many sessions side by side, and several to one without waiting in between", async () => {
        const ids = Array.from({ length: 50 }, (_, i) => `s${i}`);
        const results = await Promise.all(ids.flatMap((id) => [1, 2, 3].map((n) => append(id, n))));
        expect(results.every((result) => result.ok)).toBe(true);
        for (const id of ids) expect((await collect(store.read(id))).map((commit) => commit.n)).toEqual([1, 2, 3]);
      });

      it("takes appends in the order of their calls, whatever they carry", async () => {
        const { ref, bytes } = blobOf("carried");
        const blobs = new Map([[ref, bytes]]);
        const results = await Promise.all(
          [1, 2, 3, 4].map((n) =>
            store.append({
              sessionId: "s1",
              expected: n - 1,
              commit: commitOf(n),
              ...(n % 2 === 1 ? { blobs } : {}),
              entry: entryOf("s1"),
            }),
          ),
        );
        expect(results).toEqual([1, 2, 3, 4].map(() => ({ ok: true })));
      });

      it("begins an imported log where that begins, unless the session is known", async () => {
        const begin = (id: string): ReturnType<SessionStore["append"]> =>
          store.append({
            sessionId: "s1",
            expected: 6,
            commit: commitOf(7, { id }),
            entry: entryOf("s1"),
            begins: true,
          });
        expect(await begin("first")).toEqual({ ok: true });
        expect(await begin("other")).toEqual({ ok: false, last: { n: 7, epoch: 1, id: "first" } });
        expect(await append("s1", 8)).toEqual({ ok: true });
        const behind = { sessionId: "s1", expected: 8, commit: commitOf(9), begins: true } as const;
        expect(await store.append(behind)).toEqual({ ok: false, last: { n: 8, epoch: 1, id: "c-8" } });
        expect((await collect(store.read("s1"))).map((commit) => commit.n)).toEqual([7, 8]);
        expect((await store.verify()).ok).toBe(true);
      });

      it("shows commit, blob and index entry together (L2)", async () => {
        const { ref, bytes } = blobOf("together");
        await store.append({
          sessionId: "s1",
          expected: 0,
          commit: commitOf(1),
          blobs: new Map([[ref, bytes]]),
          entry: entryOf("s1"),
        });
        expect(await store.last("s1")).toMatchObject({ n: 1 });
        expect(Buffer.from(await store.getBlob(ref)).equals(bytes)).toBe(true);
        expect(await store.getSession("s1")).toMatchObject({ sessionId: "s1", n: 1 });
      });

      it("stores nothing of an append it refuses", async () => {
        await fill("s1", 1);
        const { ref, bytes } = blobOf("refused");
        await store.append({
          sessionId: "s1",
          expected: 0,
          commit: commitOf(1, { id: "other" }),
          blobs: new Map([[ref, bytes]]),
          entry: { ...entryOf("s1"), status: "failed" },
        });
        expect(await codeOf(store.getBlob(ref))).toBe("ORCH_STORE_CORRUPT");
        expect(await store.getSession("s1")).toMatchObject({ status: "running" });
      });
    });

    describe("reading", () => {
      it("starts where it is told to", async () => {
        await fill("s1", 5);
        expect((await collect(store.read("s1", 4))).map((commit) => commit.n)).toEqual([4, 5]);
        expect(await collect(store.read("s1", 6))).toEqual([]);
      });

      it("keeps sessions apart whose ids begin alike", async () => {
        for (const id of ["a", "a.1", "a:1", "ab", "a-1", "ä"]) await append(id, 1, { id: `of ${id}` });
        for (const id of ["a", "a.1", "a:1", "ab", "a-1", "ä"])
          expect((await collect(store.read(id))).map((commit) => commit.id)).toEqual([`of ${id}`]);
        await store.deleteSession("a");
        expect((await store.listSessions()).map((entry) => entry.sessionId)).toEqual(["a-1", "a.1", "a:1", "ab", "ä"]);
      });

      it("reads long logs whole, in order", async () => {
        await Promise.all(Array.from({ length: 1200 }, (_, i) => append("s1", i + 1)));
        expect((await collect(store.read("s1"))).map((commit) => commit.n)).toEqual(
          Array.from({ length: 1200 }, (_, i) => i + 1),
        );
      });
    });

    describe("snapshots", () => {
      it("gives the newest at or before a position", async () => {
        await fill("s1", 6);
        for (const n of [6, 4]) await store.saveSnapshot("s1", snapshotOf(n));
        expect(await store.latestSnapshot("s1")).toEqual(snapshotOf(6));
        expect(await store.latestSnapshot("s1", 5)).toEqual(snapshotOf(4));
        expect(await store.latestSnapshot("s1", 3)).toBe(null);
      });

      it("keeps the last two, and the one a compacted log begins after", async () => {
        await fill("s1", 10);
        for (const n of [2, 4, 3, 6]) await store.saveSnapshot("s1", snapshotOf(n));
        expect(await store.latestSnapshot("s1", 5)).toEqual(snapshotOf(4));
        expect(await store.latestSnapshot("s1", 3)).toBe(null);
        await store.compact("s1", 10);
        for (const n of [8, 9]) await store.saveSnapshot("s1", snapshotOf(n));
        expect(await store.latestSnapshot("s1", 7)).toEqual(snapshotOf(4));
        expect((await store.stats()).snapshots).toBe(3);
        await store.compact("s1", 10);
        expect((await store.stats()).snapshots).toBe(2);
      });

      it("replaces one at the same position", async () => {
        await fill("s1", 1);
        await store.saveSnapshot("s1", snapshotOf(1));
        await store.saveSnapshot("s1", { ...snapshotOf(1), reducer: 2 });
        expect(await store.latestSnapshot("s1")).toMatchObject({ reducer: 2 });
        expect((await store.stats()).snapshots).toBe(1);
      });
    });

    describe("compaction", () => {
      it("drops what two snapshots cover, and the log goes on from there", async () => {
        await fill("s1", 10);
        for (const n of [2, 4, 8]) await store.saveSnapshot("s1", snapshotOf(n));
        await store.compact("s1", 10);
        expect((await collect(store.read("s1"))).map((commit) => commit.n)).toEqual([5, 6, 7, 8, 9, 10]);
        expect(await store.latestSnapshot("s1", 3)).toBe(null);
        expect(await store.latestSnapshot("s1", 7)).toEqual(snapshotOf(4));
        expect(await append("s1", 11)).toEqual({ ok: true });
        expect((await store.verify()).ok).toBe(true);
      });

      it("drops nothing without a second snapshot to fall back on (L5)", async () => {
        await fill("s1", 4);
        await store.compact("s1", 4);
        await store.saveSnapshot("s1", snapshotOf(3));
        await store.compact("s1", 4);
        expect((await collect(store.read("s1"))).length).toBe(4);
      });

      it("keeps checkpoints restorable", async () => {
        await fill("s1", 10);
        await store.saveCheckpoint(checkpointOf("cp1", "s1", 2));
        for (const n of [4, 6, 8]) await store.saveSnapshot("s1", snapshotOf(n));
        await store.compact("s1", 10);
        expect(await store.getCheckpoint("cp1")).toEqual(checkpointOf("cp1", "s1", 2));
      });

      it("may happen while the log is read: what is left is read on", async () => {
        await fill("s1", 700);
        for (const n of [500, 600]) await store.saveSnapshot("s1", snapshotOf(n));
        const seen: number[] = [];
        for await (const commit of store.read("s1")) {
          seen.push(commit.n);
          if (commit.n === 1) await store.compact("s1", 700);
        }
        expect(seen[0]).toBe(1);
        expect(seen.slice(-200)).toEqual(Array.from({ length: 200 }, (_, i) => 501 + i));
        expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b));
      });

      it("leaves the commit it is told to stop at, and what is left begins right after a snapshot", async () => {
        await fill("s1", 10);
        for (const n of [4, 8]) await store.saveSnapshot("s1", snapshotOf(n));
        await store.compact("s1", 4);
        expect((await collect(store.read("s1"))).length).toBe(10);
        await store.compact("s1", 6);
        expect((await collect(store.read("s1")))[0]?.n).toBe(5);
      });

      it("still refuses positions it has dropped", async () => {
        await fill("s1", 6);
        for (const n of [3, 5]) await store.saveSnapshot("s1", snapshotOf(n));
        await store.compact("s1", 6);
        expect(await append("s1", 2, { id: "other" })).toEqual({ ok: false, last: { n: 6, epoch: 1, id: "c-6" } });
      });
    });

    describe("checkpoints", () => {
      it("are found by id and listed by position", async () => {
        await fill("s1", 3);
        await fill("s2", 1);
        for (const one of [checkpointOf("b", "s1", 3), checkpointOf("a", "s1", 1), checkpointOf("c", "s2", 1)])
          await store.saveCheckpoint(one);
        expect(await store.getCheckpoint("a")).toEqual(checkpointOf("a", "s1", 1));
        expect((await store.listCheckpoints("s1")).map((one) => one.checkpointId)).toEqual(["a", "b"]);
        await store.deleteCheckpoint("a");
        expect(await store.getCheckpoint("a")).toBe(null);
        expect((await store.listCheckpoints("s1")).map((one) => one.checkpointId)).toEqual(["b"]);
      });
    });

    describe("blobs", () => {
      it("are shared by sessions and go with the last of them", async () => {
        const { ref, bytes } = blobOf("shared");
        const blobs = new Map([[ref, bytes]]);
        for (const sessionId of ["s1", "s2"])
          await store.append({ sessionId, expected: 0, commit: commitOf(1), blobs, entry: entryOf(sessionId) });
        expect((await store.stats()).blobs).toBe(1);
        await store.deleteSession("s1");
        expect(Buffer.from(await store.getBlob(ref)).equals(bytes)).toBe(true);
        await store.deleteSession("s2");
        expect(await codeOf(store.getBlob(ref))).toBe("ORCH_STORE_CORRUPT");
      });

      it("stay for a session that took over a reference without the bytes", async () => {
        const { ref, bytes } = blobOf("taken over");
        await store.append({
          sessionId: "s1",
          expected: 0,
          commit: commitOf(1),
          blobs: new Map([[ref, bytes]]),
          entry: entryOf("s1"),
        });
        await append("s2", 1, {
          facts: [{ type: "context.added", context: { document: { ref, bytes: bytes.byteLength } } }],
        });
        await store.deleteSession("s1");
        expect(Buffer.from(await store.getBlob(ref)).equals(bytes)).toBe(true);
      });
    });

    describe("the index", () => {
      it("follows the log", async () => {
        await append("s1", 1, { atMs: 100 });
        await store.append({
          sessionId: "s1",
          expected: 1,
          commit: commitOf(2, { atMs: 200 }),
          entry: { ...entryOf("s1"), status: "completed", n: 2, updatedAtMs: 200 },
        });
        await store.append({ sessionId: "s1", expected: 2, commit: commitOf(3, { atMs: 300 }) });
        expect(await store.getSession("s1")).toEqual({ ...entryOf("s1"), status: "completed", n: 3, updatedAtMs: 300 });
      });

      it("lists by id, page by page, and by status", async () => {
        for (let i = 0; i < 12; i++) {
          const sessionId = `s${String(i).padStart(2, "0")}`;
          await store.append({
            sessionId,
            expected: 0,
            commit: commitOf(1),
            entry: { ...entryOf(sessionId), status: i % 3 === 0 ? "failed" : "running" },
          });
        }
        const ids = (page: readonly SessionEntry[]): string[] => page.map((entry) => entry.sessionId);
        expect(ids(await store.listSessions({ limit: 3 }))).toEqual(["s00", "s01", "s02"]);
        expect(ids(await store.listSessions({ limit: 3, cursor: "s02" }))).toEqual(["s03", "s04", "s05"]);
        expect(ids(await store.listSessions({ limit: 3, cursor: "s11" }))).toEqual([]);
        expect(ids(await store.listSessions({ status: "failed", limit: 3 }))).toEqual(["s00", "s03", "s06"]);
        expect(ids(await store.listSessions({ status: "failed", limit: 3, cursor: "s06" }))).toEqual(["s09"]);
      });
    });

    describe("deleting a session", () => {
      it("removes all it left behind, and its id can be used anew", async () => {
        await fill("s1", 3);
        await fill("s2", 1);
        await store.saveSnapshot("s1", snapshotOf(2));
        await store.saveCheckpoint(checkpointOf("cp1", "s1", 2));
        expect(await store.deleteSession("s1")).toBe(true);
        expect(await store.deleteSession("s1")).toBe(false);
        expect(await store.last("s1")).toBe(null);
        expect(await store.getCheckpoint("cp1")).toBe(null);
        expect(await store.latestSnapshot("s1")).toBe(null);
        expect(await store.stats()).toMatchObject({ sessions: 1, commits: 1, snapshots: 0, checkpoints: 0 });
        expect(await append("s1", 1, { id: "again" })).toEqual({ ok: true });
        expect((await collect(store.read("s1"))).map((commit) => commit.id)).toEqual(["again"]);
      });
    });

    describe("its own health", () => {
      it("counts what it holds and finds nothing wrong", async () => {
        const { ref, bytes } = blobOf("counted");
        await fill("s1", 3);
        await store.append({
          sessionId: "s2",
          expected: 0,
          commit: commitOf(1),
          blobs: new Map([[ref, bytes]]),
          entry: entryOf("s2"),
        });
        await store.saveSnapshot("s1", snapshotOf(2));
        await store.saveCheckpoint(checkpointOf("cp1", "s1", 2));
        expect(await store.stats()).toMatchObject({ sessions: 2, commits: 4, snapshots: 1, checkpoints: 1, blobs: 1 });
        expect(await store.verify()).toEqual({ ok: true, sessions: 2, commits: 4, blobs: 1, problems: [] });
      });

      it("refuses everything with ORCH_CLOSED once closed; closing twice is fine", async () => {
        await fill("s1", 1);
        await store.close();
        await store.close();
        const closed = "ORCH_CLOSED";
        expect(await codeOf(store.open())).toBe(closed);
        expect(await codeOf(append("s1", 2))).toBe(closed);
        expect(await codeOf(collect(store.read("s1")))).toBe(closed);
        expect(await codeOf(store.last("s1"))).toBe(closed);
        expect(await codeOf(store.saveSnapshot("s1", snapshotOf(1)))).toBe(closed);
        expect(await codeOf(store.getSession("s1"))).toBe(closed);
        expect(await codeOf(store.listSessions())).toBe(closed);
        expect(await codeOf(store.deleteSession("s1"))).toBe(closed);
        expect(await codeOf(store.verify())).toBe(closed);
      });
    });
  });
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const out: T[] = [];
  for await (const item of items) out.push(item);
  return out;
}
