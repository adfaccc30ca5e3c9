import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { memoryStorage } from "../../src/state/memory-store.ts";
import type { SessionEntry } from "../../src/state/ports.ts";
import { applyRetention, decideCut, decideRetention, resolveRetention } from "../../src/state/retention.ts";

function entryOf(
  sessionId: string,
  status: SessionEntry["status"],
  updatedAtMs: number,
  parentSessionId?: string,
): SessionEntry {
  return {
    sessionId,
    status,
    runId: null,
    topologyHash: null,
    createdAtMs: 0,
    updatedAtMs,
    host: "h",
    n: 1,
    ...(parentSessionId === undefined ? {} : { parentSessionId }),
  };
}

describe("decideRetention", () => {
  const entries = [
    entryOf("a", "completed", 10),
    entryOf("b", "failed", 30),
    entryOf("c", "running", 1),
    entryOf("d", "cancelled", 20),
    entryOf("e", "awaiting_user", 2),
  ];

  it("drops nothing by default", () => {
    expect(decideRetention(resolveRetention(), entries, 1e12)).toEqual({ remove: [], compact: [] });
  });

  it("keeps the newest ended sessions, and whatever can still move", () => {
    expect(decideRetention(resolveRetention({ keepRuns: 1 }), entries, 100).remove.toSorted()).toEqual(["a", "d"]);
    expect(decideRetention(resolveRetention({ keepRuns: 0 }), entries, 100).remove.toSorted()).toEqual(["a", "b", "d"]);
  });

  it("drops ended sessions that are too old", () => {
    expect(decideRetention(resolveRetention({ maxAgeMs: 75 }), entries, 100).remove.toSorted()).toEqual(["a", "d"]);
  });

  it("drops nested sessions with their parent only", () => {
    const nested = [
      entryOf("a", "completed", 10),
      entryOf("a.1", "completed", 1, "a"),
      entryOf("a.1.1", "completed", 1, "a.1"),
      entryOf("c", "running", 1),
      entryOf("c.1", "completed", 1, "c"),
    ];
    expect(decideRetention(resolveRetention({ maxAgeMs: 95 }), nested, 100).remove).toEqual([]);
    expect(decideRetention(resolveRetention({ keepRuns: 0 }), nested, 100).remove.toSorted()).toEqual([
      "a",
      "a.1",
      "a.1.1",
    ]);
  });

  it("compacts what stays when history need not be kept", () => {
    expect(decideRetention(resolveRetention({ keepRuns: 1, keepHistory: false }), entries, 100).compact).toEqual([
      "b",
      "c",
      "e",
    ]);
  });

  it.each([[{ keepRuns: -1 }], [{ keepRuns: 1.5 }], [{ maxAgeMs: 0 }], [{ keepHistory: 1 }], [{ keepRun: 1 }]])(
    "refuses %j",
    (options) => {
      expect(() => resolveRetention(options as never)).toThrow(expect.objectContaining({ code: "ORCH_BAD_OPTION" }));
    },
  );
});

describe("applyRetention", () => {
  it("deletes and compacts in the store, page after page", async () => {
    const store = memoryStorage();
    for (let i = 0; i < 1100; i++) {
      const sessionId = `s${String(i).padStart(4, "0")}`;
      await store.append({
        sessionId,
        expected: 0,
        commit: { v: 1, n: 1, epoch: 1, id: "c", host: "h", atMs: i, facts: [] },
        entry: entryOf(sessionId, i === 0 ? "running" : "completed", i),
      });
    }
    for (let n = 2; n <= 6; n++)
      await store.append({
        sessionId: "s0000",
        expected: n - 1,
        commit: { v: 1, n, epoch: 1, id: `c${n}`, host: "h", atMs: n, facts: [] },
      });
    for (const n of [2, 4])
      await store.saveSnapshot("s0000", { n, reducer: 1, topologyHash: null, atMs: 0, state: null });
    await applyRetention(store, { keepRuns: 2, keepHistory: false }, 5000);
    expect((await store.listSessions()).map((entry) => entry.sessionId)).toEqual(["s0000", "s1098", "s1099"]);
    expect(await store.stats()).toMatchObject({ sessions: 3, commits: 4 + 2 });
  });
});

describe("decideCut", () => {
  it("always leaves two snapshots, every commit after the first of them, and the last commit", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { maxLength: 8 }),
        fc.integer({ min: 0, max: 100 }),
        (lastN, positions, belowN) => {
          const snapshots = positions.filter((n) => n <= lastN).sort((a, b) => a - b);
          const cut = decideCut(belowN, snapshots, lastN);
          if (cut === null) return;
          const kept = snapshots.filter((n) => n >= cut.firstSnapshot);
          expect(kept.length).toBeGreaterThanOrEqual(2);
          expect(cut.firstCommit).toBe((kept[0] ?? 0) + 1);
          expect(cut.firstCommit).toBeLessThanOrEqual(Math.min(belowN, lastN));
        },
      ),
    );
  });
});
