import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { createActor } from "xstate";
import type { SnapshotFrom } from "xstate";
import { createStepActor, stepMachine } from "../../src/actors/step-machine.ts";
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

interface Actor {
  send(event: StepEvent): void;
  getSnapshot(): SnapshotFrom<ReturnType<typeof stepMachine>>;
}

/** What is seen of an actor after its beginning and each event: where it stands, and what asking it what it can do says. */
function seenOf(actor: Actor, sent: readonly StepEvent[]): unknown[] {
  const seen: unknown[] = [];
  const look = (): void => {
    const snapshot = actor.getSnapshot();
    seen.push({
      value: snapshot.value,
      context: snapshot.context,
      status: snapshot.status,
      canClaim: snapshot.can({ type: "step.claim" }),
      canRetry: snapshot.can({ type: "step.fail", retryAtMs: 1 }),
      persisted: snapshot.machine.getPersistedSnapshot(snapshot),
    });
  };
  look();
  for (const event of sent) {
    actor.send(event);
    look();
  }
  return seen;
}

function noDefect(error: unknown): never {
  throw error;
}

describe("a step's actor", () => {
  it("shows the same as an actor that XState makes of the bare machine", () => {
    fc.assert(
      fc.property(fc.nat({ max: 5 }), fc.array(events, { maxLength: 12 }), (attempt, sent) => {
        const input = { stepId: "s1", node: "A", attempt };
        const bare = createActor(stepMachine(), { input }).start();
        // XState says in development that an ended actor was sent something.
        const warned = vi.spyOn(console, "warn").mockReturnValue();
        expect(seenOf(createStepActor(input, { onError: noDefect }), sent)).toEqual(seenOf(bare, sent));
        warned.mockRestore();
      }),
      { numRuns: 500 },
    );
  });

  it("keeps nothing of one step for the next", () => {
    const first = createStepActor({ stepId: "s1", node: "A", attempt: 1 }, { onError: noDefect });
    first.send({ type: "step.fail", retryAtMs: 500 });
    const second = createStepActor({ stepId: "s2", node: "B", attempt: 3 }, { onError: noDefect });
    second.send({ type: "step.fail", retryAtMs: 900 });

    expect(first.getSnapshot().context).toEqual({ stepId: "s1", node: "A", attempt: 1, retryAtMs: 500 });
    expect(second.getSnapshot().context).toEqual({ stepId: "s2", node: "B", attempt: 3, retryAtMs: 900 });
  });

  it("takes nothing any more once it is stopped", () => {
    const actor = createStepActor({ stepId: "s1", node: "A", attempt: 1 }, { onError: noDefect });
    actor.stop();
    actor.send({ type: "step.claim" });
    expect(actor.getSnapshot().value).toBe("queued");
  });

  it("is ended by a defect, which is told once and thrown at nobody", () => {
    const told: unknown[] = [];
    const actor = createStepActor({ stepId: "s1", node: "A", attempt: 1 }, { onError: (error) => told.push(error) });
    actor.send(undefined as unknown as StepEvent);
    actor.send({ type: "step.claim" });
    expect(told).toEqual([expect.any(TypeError)]);
    expect(actor.getSnapshot().value).toBe("queued");
  });
});
