import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Fact } from "../../src/actors/facts.ts";
import type { Stored } from "../../src/base/stored.ts";
import { decodeCommit, encodeCommit, isSameCommit } from "../../src/state/commit-format.ts";
import type { Commit } from "../../src/state/ports.ts";
import { REPRESENTATIVE_FACTS } from "./representative-session.ts";

// What copyValue lets pass: no -0, and no key that is the way to a prototype.
const json = fc
  .jsonValue()
  .map((value) => JSON.stringify(value))
  .filter((text) => !text.includes("__proto__"))
  .map((text): unknown => JSON.parse(text));
const stored: fc.Arbitrary<Stored> = fc.oneof(
  fc.record({ v: json }),
  fc.record({ ref: fc.string(), bytes: fc.nat() }),
  fc.record({ list: fc.array(fc.record({ v: fc.string() })) }),
) as fc.Arbitrary<Stored>;
const outcome = fc.oneof(
  fc.record({ kind: fc.constantFrom("value", "final"), value: stored }),
  fc.record({ kind: fc.constant("ask"), prompt: stored }),
  fc.record({ kind: fc.constant("invoke"), agent: fc.string(), input: stored }),
  fc.record({ kind: fc.constant("parallel"), items: fc.array(fc.record({ agent: fc.string(), input: stored })) }),
);
const number = fc.nat();
const usage = fc.record({
  inputTokens: number,
  outputTokens: number,
  costUsd: number,
  apiCalls: number,
  nestedSteps: number,
});
const fact = fc.oneof(
  fc.record(
    {
      type: fc.constant("step.succeeded"),
      stepId: fc.string(),
      attempt: number,
      outcome,
      held: fc.array(number),
      tookMs: number,
      usage,
      state: fc.array(fc.record({ key: fc.string(), value: stored }, { requiredKeys: ["key"] })),
    },
    { requiredKeys: ["type", "stepId", "attempt", "outcome", "held", "tookMs"] },
  ),
  fc.record({ type: fc.constant("journaled"), stepId: fc.string(), key: fc.string(), value: stored }),
  fc.constantFrom(...REPRESENTATIVE_FACTS),
) as fc.Arbitrary<Fact>;

describe("a commit as bytes", () => {
  it("is read back as it was written, whatever facts it holds", () => {
    fc.assert(
      fc.property(fc.array(fact), (facts) => {
        const commit: Commit = { v: 1, n: 7, epoch: 2, id: "c.1", host: "h", atMs: 5, inbox: 3, facts };
        const read = decodeCommit(encodeCommit(commit, "k"), "k");
        expect(read).toEqual(commit);
        expect(isSameCommit(read, commit)).toBe(true);
        expect(isSameCommit(read, { ...commit, facts: [...facts, { type: "paused", mode: "drain" } as never] })).toBe(
          false,
        );
      }),
      { numRuns: 500 },
    );
  });
});
