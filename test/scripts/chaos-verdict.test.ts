// The judge of the storm: it must find each thing it looks for, or a storm in which nothing is found says nothing.

import { describe, expect, it } from "vitest";
import type { Fact } from "../../src/actors/facts.ts";
import type { Commit } from "../../src/state/ports.ts";
import { planStorm, type Role } from "../../scripts/chaos/plan.ts";
import { isGood, judge, type SessionHistory } from "../../scripts/chaos/verdict.ts";

const owned = (host: string, epoch: number): Fact => ({ type: "owned", host, epoch, shiftMs: 0 });
const succeeded = (stepId: string): Fact => ({
  type: "step.succeeded",
  stepId,
  attempt: 1,
  outcome: { kind: "value", value: { v: 1 } },
  held: [],
  tookMs: 1,
});
const commit = (n: number, epoch: number, host: string, ...facts: Fact[]): Commit => ({
  v: 1,
  n,
  epoch,
  id: `c${n}`,
  host,
  atMs: n,
  facts,
});

const GOOD: SessionHistory = {
  sessionId: "s",
  commits: [
    commit(1, 1, "a", owned("a", 1)),
    commit(2, 1, "a", succeeded("1")),
    commit(3, 2, "b", owned("b", 2)),
    commit(4, 2, "b", succeeded("2")),
  ],
  status: "completed",
  result: "right",
  expected: "right",
  told: ["right"],
  starts: new Map([
    ["1", 1],
    ["2", 3],
  ]),
};

const verdictOf = (change: Partial<SessionHistory>): ReturnType<typeof judge> => judge([{ ...GOOD, ...change }]);

describe("the verdict on a storm", () => {
  it("is good where each session ended as it must, and counts take-overs and what was begun again", () => {
    const verdict = judge([GOOD]);
    expect(isGood(verdict)).toBe(true);
    expect(verdict).toMatchObject({ sessions: 1, steps: 2, takeovers: 1, executedTwice: 1 });
  });

  it.each([
    ["lost", "has no log", { status: undefined, commits: [] }],
    ["lost", "has not ended", { status: "running" }],
    ["wrong", "its log says", { result: "other" }],
    ["wrong", "its caller says", { told: ["right", "other"] }],
    ["repeated", "step 1 is recorded twice", { commits: [...GOOD.commits, commit(5, 2, "b", succeeded("1"))] }],
    ["forked", "commit 6 follows 4", { commits: [...GOOD.commits, commit(6, 2, "b")] }],
    ["forked", "commit 4 follows 4", { commits: [...GOOD.commits, commit(4, 2, "b")] }],
    ["forked", "epoch 1 of commit 5 follows epoch 2", { commits: [...GOOD.commits, commit(5, 1, "b")] }],
    ["forked", "both write in epoch 2", { commits: [...GOOD.commits, commit(5, 2, "a")] }],
    ["forked", "a torn record", { unreadable: "a torn record" }],
  ] as const)("says %s: %s", (kind, problem, change: Partial<SessionHistory>) => {
    const verdict = verdictOf(change);
    expect(isGood(verdict)).toBe(false);
    expect(verdict[kind].join("\n")).toContain(problem);
  });

  it("is not good where nothing was looked at", () => {
    expect(isGood(judge([]))).toBe(false);
  });
});

describe("the plan of a storm", () => {
  const counts: Record<Role, number> = { owner: 3, worker: 3, program: 2, client: 2, server: 3 };
  const plan = (seed: number): ReturnType<typeof planStorm> =>
    planStorm({ seed, forMs: 60_000, leaseMs: 4_000, counts });

  it("is the seed's", () => {
    expect(plan(5)).toEqual(plan(5));
    expect(plan(5)).not.toEqual(plan(6));
  });

  it("leaves one of each role standing, and of three servers two", () => {
    for (let seed = 0; seed < 50; seed++) {
      const blows = plan(seed);
      for (const { atMs } of blows)
        for (const role of Object.keys(counts) as Role[]) {
          const down = blows.filter((one) => one.role === role && one.atMs <= atMs && atMs < one.atMs + one.forMs);
          expect(down.length).toBeLessThanOrEqual(role === "server" ? 1 : counts[role] - 1);
        }
    }
  });
});
