import { describe, expect, it } from "vitest";
import { GroupCommit } from "../../src/state/group-commit.ts";
import type { WriteOp } from "../../src/state/key-value.ts";

function recording() {
  const batches: { keys: string[]; sync: boolean }[] = [];
  const held: (() => void)[] = [];
  const state = { batches, held, hold: false, failures: 0, reopened: 0, refuseReopening: false };
  const commit = new GroupCommit({
    name: "test",
    write: async (ops, sync) => {
      if (state.hold) await new Promise<void>((resolve) => held.push(resolve));
      if (state.failures > 0) {
        state.failures--;
        throw new Error("disk on fire");
      }
      batches.push({ keys: ops.map((op) => op.key), sync });
    },
    async reopen() {
      if (state.refuseReopening) throw new Error("still on fire");
      state.reopened++;
    },
    onFailure: () => undefined,
  });
  return { commit, state };
}

const put = (key: string, more: { sync?: boolean; exclusive?: boolean } = {}) => ({
  sync: more.sync ?? false,
  ...(more.exclusive ? { exclusive: true } : {}),
  prepare: (ops: WriteOp[]) => {
    ops.push({ type: "put", key, value: new Uint8Array(1) });
    return key;
  },
});

describe("GroupCommit", () => {
  it("writes what waits in one batch, in order, synced when one of it asks for that", async () => {
    const { commit, state } = recording();
    expect(await Promise.all([put("a"), put("b", { sync: true }), put("c")].map((job) => commit.submit(job)))).toEqual([
      "a",
      "b",
      "c",
    ]);
    expect(state.batches).toEqual([{ keys: ["a", "b", "c"], sync: true }]);
  });

  it("gives an exclusive job a batch of its own, in its turn", async () => {
    const { commit, state } = recording();
    await Promise.all([put("a"), put("b", { exclusive: true }), put("c"), put("d")].map((job) => commit.submit(job)));
    expect(state.batches.map((batch) => batch.keys)).toEqual([["a"], ["b"], ["c", "d"]]);
  });

  it("fails a job that cannot be prepared alone", async () => {
    const { commit, state } = recording();
    const bad = {
      sync: false,
      prepare: (ops: WriteOp[]): never => {
        ops.push({ type: "del", key: "never" });
        throw new Error("no");
      },
    };
    const results = await Promise.allSettled([commit.submit(put("a")), commit.submit(bad), commit.submit(put("c"))]);
    expect(results.map((result) => result.status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(state.batches.map((batch) => batch.keys)).toEqual([["a", "c"]]);
  });

  it("reopens the database before the first batch after one that failed", async () => {
    const { commit, state } = recording();
    state.failures = 1;
    await expect(commit.submit(put("a"))).rejects.toMatchObject({
      code: "ORCH_STORE_FAILED",
      message: expect.stringContaining("disk on fire"),
    });
    expect(state.reopened).toBe(0);
    await commit.submit(put("b"));
    await commit.submit(put("c"));
    expect(state.reopened).toBe(1);
  });

  it("prepares nothing before the database is open again, and fails what waits when it cannot be", async () => {
    const { commit, state } = recording();
    state.failures = 1;
    await expect(commit.submit(put("a"))).rejects.toMatchObject({ code: "ORCH_STORE_FAILED" });
    state.refuseReopening = true;
    await expect(commit.submit(put("b"))).rejects.toMatchObject({
      code: "ORCH_STORE_FAILED",
      message: expect.stringContaining("still on fire"),
    });
    state.refuseReopening = false;
    let reopenedBefore = 0;
    await commit.submit({ sync: false, prepare: () => void (reopenedBefore = state.reopened) });
    expect(reopenedBefore).toBe(1);
  });

  it("keeps the order of submission when more is submitted than may wait", async () => {
    const { commit, state } = recording();
    const names = Array.from({ length: 25_000 }, (_, i) => String(i));
    await Promise.all(names.map((name) => commit.submit(put(name))));
    expect(state.batches.flatMap((batch) => batch.keys)).toEqual(names);
    expect(Math.max(...state.batches.map((batch) => batch.keys.length))).toBeLessThanOrEqual(1000);
  });

  it("writes what waits before it closes, and takes no more", async () => {
    const { commit, state } = recording();
    state.hold = true;
    const waiting = commit.submit(put("a"));
    const closed = commit.close();
    await expect(commit.submit(put("b"))).rejects.toMatchObject({ code: "ORCH_CLOSED" });
    while (state.held.length === 0) await Promise.resolve();
    state.held[0]?.();
    await Promise.all([waiting, closed]);
    expect(state.batches.map((batch) => batch.keys)).toEqual([["a"]]);
  });
});
