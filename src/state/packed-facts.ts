// Packed facts
//
// The facts a log is full of, as lists without the names of their fields: two fifths of the bytes of a small step.
// All other facts stand as they are.

import type { Fact, Outcome } from "../actors/facts.ts";

type Succeeded = Extract<Fact, { type: "step.succeeded" }>;

const SUCCEEDED = "s";
const JOURNALED = "j";
const VALUE = 0;

/** `[tag, …fields]`, or the fact itself. */
export function packFact(fact: Fact): unknown {
  if (fact.type === "step.succeeded") {
    const { stepId, attempt, outcome, held, tookMs, usage, state } = fact;
    const packed: unknown[] = [SUCCEEDED, stepId, attempt, packOutcome(outcome), held, tookMs];
    if (usage !== undefined || state !== undefined) packed.push(usage ?? null);
    if (state !== undefined) packed.push(state);
    return packed;
  }
  if (fact.type === "journaled") return [JOURNALED, fact.stepId, fact.key, fact.value];
  return fact;
}

/** What `packFact` made a list of, as a fact; undefined for a list it did not make. */
export function unpackFact(packed: readonly unknown[]): unknown {
  const [tag, stepId, second, third, held, tookMs, usage, state] = packed;
  if (tag === JOURNALED && packed.length === 4) return { type: "journaled", stepId, key: second, value: third };
  if (tag !== SUCCEEDED || packed.length < 6 || packed.length > 8) return undefined;
  return {
    type: "step.succeeded",
    stepId,
    attempt: second,
    outcome: unpackOutcome(third),
    held,
    tookMs,
    ...(usage != null && { usage: usage as Succeeded["usage"] }),
    ...(state !== undefined && { state }),
  };
}

function packOutcome(outcome: Outcome): unknown {
  return outcome.kind === "value" ? [VALUE, outcome.value] : outcome;
}

function unpackOutcome(packed: unknown): unknown {
  return Array.isArray(packed) && packed[0] === VALUE ? { kind: "value", value: packed[1] } : packed;
}
