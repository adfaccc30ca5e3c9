import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createActor } from "xstate";
import { stepLogic, stepMachine } from "../../src/actors/step-machine.ts";
import type { StepEvent } from "../../src/actors/step-machine.ts";

const events: fc.Arbitrary<StepEvent> = fc.oneof(
  fc.constantFrom<StepEvent>(
    { type: "step.claim" },
    { type: "step.succeed" },
    { type: "step.fail" },
    { type: "step.suspend" },
    { type: "step.cancel" },
  ),
  fc.record({ type: fc.constant("step.fail" as const), retryAtMs: fc.nat() }),
  fc.record({ type: fc.constant("step.offer" as const), attempt: fc.integer({ min: 1, max: 9 }) }),
);

/** What a watcher of the actor sees: each snapshot, its end, and what asking it what it can do says. */
function watched(logic: ReturnType<typeof stepMachine>, attempt: number, sent: readonly StepEvent[]): unknown[] {
  const seen: unknown[] = [];
  const actor = createActor(logic, { input: { stepId: "s1", node: "A", attempt } });
  actor.subscribe({
    next: (snapshot) =>
      seen.push({
        value: snapshot.value,
        context: snapshot.context,
        status: snapshot.status,
        canClaim: snapshot.can({ type: "step.claim" }),
        canRetry: snapshot.can({ type: "step.fail", retryAtMs: 1 }),
      }),
    complete: () => seen.push("complete"),
  });
  actor.start();
  for (const event of sent) if (actor.getSnapshot().status === "active") actor.send(event);
  seen.push(actor.getPersistedSnapshot());
  actor.stop();
  return seen;
}

describe("a step's actor", () => {
  it("shows the same with its transitions remembered as the bare machine", () => {
    fc.assert(
      fc.property(fc.nat({ max: 5 }), fc.array(events, { maxLength: 12 }), (attempt, sent) => {
        expect(watched(stepLogic(), attempt, sent)).toEqual(watched(stepMachine(), attempt, sent));
      }),
      { numRuns: 500 },
    );
  });

  it("keeps nothing of one step for the next", () => {
    const first = createActor(stepLogic(), { input: { stepId: "s1", node: "A", attempt: 1 } }).start();
    first.send({ type: "step.fail", retryAtMs: 500 });
    const second = createActor(stepLogic(), { input: { stepId: "s2", node: "B", attempt: 3 } }).start();
    second.send({ type: "step.fail", retryAtMs: 900 });

    expect(first.getSnapshot().context).toEqual({ stepId: "s1", node: "A", attempt: 1, retryAtMs: 500 });
    expect(second.getSnapshot().context).toEqual({ stepId: "s2", node: "B", attempt: 3, retryAtMs: 900 });
  });
});
