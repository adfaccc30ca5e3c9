import { expect, it } from "vitest";
import type { Fact } from "../../src/actors/facts.ts";
import { partingOf } from "../../src/runtime/parting.ts";

const usage = { inputTokens: 1, outputTokens: 2, costUsd: 0, apiCalls: 1, nestedSteps: 0 };
const ended = (stepId: string, value: string, inputTokens = 1, tookMs = 5): Fact => ({
  type: "step.succeeded",
  stepId,
  attempt: 1,
  outcome: { kind: "value", value: { v: value } },
  held: [],
  usage: { ...usage, inputTokens },
  tookMs,
});

it.each<[string, Fact[] | undefined, Fact[] | undefined, { a: string; b: string }]>([
  [
    "the value",
    [ended("1.0.1", "x")],
    [ended("1.0.1", "y", 1, 9)],
    { a: 'step.succeeded 1.0.1: outcome.value.v: "x"', b: 'step.succeeded 1.0.1: outcome.value.v: "y"' },
  ],
  [
    "what no line shows",
    [ended("1.0.1", "x")],
    [ended("1.0.1", "x", 7)],
    { a: "step.succeeded 1.0.1: usage.inputTokens: 1", b: "step.succeeded 1.0.1: usage.inputTokens: 7" },
  ],
  ["the kind", [{ type: "paused", inFlight: "finish" }], [{ type: "cancelled" }], { a: "paused", b: "cancelled" }],
  [
    "that one has more in a commit",
    [ended("1.0.1", "x")],
    [ended("1.0.1", "x"), { type: "cancelled" }],
    { a: "nothing more in this commit", b: "cancelled" },
  ],
  ["that one ends", undefined, [{ type: "cancelled" }], { a: "no further commit", b: "cancelled" }],
])("says in what two histories differ: %s", (_what, a, b, told) => {
  expect(partingOf(a, b)).toEqual(told);
});
