import { expect, it } from "vitest";
import { memoryStorage } from "../../src/state/memory-store.ts";
import type { Commit, SessionEntry, SessionStore } from "../../src/state/ports.ts";

async function endSession(store: SessionStore, sessionId: string): Promise<void> {
  const commit: Commit = { v: 1, n: 1, epoch: 1, id: `${sessionId}.1`, host: "h", atMs: 1, facts: [] };
  const entry: SessionEntry = {
    sessionId,
    status: "completed",
    runId: "r",
    topologyHash: null,
    createdAtMs: 1,
    updatedAtMs: 1,
    host: "h",
    n: 1,
  };
  await store.append({ sessionId, expected: 0, commit, entry });
}

it("drops the session that ended first beyond the bound, but none with a checkpoint", async () => {
  const store = memoryStorage({ endedSessionsMax: 2 });
  await endSession(store, "a");
  await endSession(store, "pinned");
  await store.saveCheckpoint({
    checkpointId: "cp",
    sessionId: "pinned",
    name: "cp",
    n: 1,
    atMs: 1,
    status: "completed",
    snapshot: { n: 1, reducer: 1, topologyHash: null, atMs: 1, state: null },
  });
  for (const id of ["b", "c", "d"]) await endSession(store, id);
  expect((await store.listSessions()).map((entry) => entry.sessionId)).toEqual(["c", "d", "pinned"]);
});

it("keeps everything when no bound is given", async () => {
  const store = memoryStorage();
  for (let i = 0; i < 50; i++) await endSession(store, `s${i}`);
  expect((await store.stats()).sessions).toBe(50);
});
