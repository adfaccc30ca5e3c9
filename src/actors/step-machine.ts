// Step machine
//
// One step from its offer to its end. Each is a root actor of its own, in a registry of the runtime: stopping a
// parent with a thousand children would block for seconds. Deadlines and back-off come in as events.

import { assign, createActor, setup, type ActorRefFrom } from "xstate";

export type StepEvent =
  /** A worker has taken it. */
  | { readonly type: "step.claim" }
  | { readonly type: "step.succeed" }
  /** The attempt failed; with `retryAtMs` another follows. */
  | { readonly type: "step.fail"; readonly retryAtMs?: number }
  /** It is offered again: a retry, or after its worker was lost. */
  | { readonly type: "step.offer"; readonly attempt: number }
  /** A nested run inside it waits for people. */
  | { readonly type: "step.suspend" }
  | { readonly type: "step.cancel" };

export interface StepContext {
  readonly stepId: string;
  readonly node: string;
  readonly attempt: number;
  readonly retryAtMs: number | null;
}

export const stepMachine = setup({
  types: {
    context: {} as StepContext,
    input: {} as Pick<StepContext, "stepId" | "node" | "attempt">,
    events: {} as StepEvent,
  },
  guards: {
    willRetry: ({ event }) => event.type === "step.fail" && event.retryAtMs !== undefined,
  },
  actions: {
    noteRetry: assign(({ event }) => ({ retryAtMs: event.type === "step.fail" ? (event.retryAtMs ?? null) : null })),
    noteAttempt: assign(({ context, event }) => ({
      attempt: event.type === "step.offer" ? event.attempt : context.attempt,
      retryAtMs: null,
    })),
  },
}).createMachine({
  id: "step",
  context: ({ input }) => ({ ...input, retryAtMs: null }),
  initial: "queued",
  on: {
    "step.cancel": { target: ".cancelled" },
  },
  states: {
    queued: {
      on: {
        "step.claim": { target: "running" },
        "step.offer": { actions: "noteAttempt" },
        // A worker took it, and its claim was not seen here.
        "step.succeed": { target: "succeeded" },
        "step.fail": [{ guard: "willRetry", target: "backing-off", actions: "noteRetry" }, { target: "failed" }],
        "step.suspend": { target: "suspended" },
      },
    },
    running: {
      on: {
        "step.succeed": { target: "succeeded" },
        "step.fail": [{ guard: "willRetry", target: "backing-off", actions: "noteRetry" }, { target: "failed" }],
        "step.suspend": { target: "suspended" },
        "step.offer": { target: "queued", actions: "noteAttempt" },
      },
    },
    "backing-off": { on: { "step.offer": { target: "queued", actions: "noteAttempt" } } },
    suspended: { on: { "step.offer": { target: "queued", actions: "noteAttempt" } } },
    succeeded: { type: "final" },
    failed: { type: "final" },
    cancelled: { type: "final" },
  },
});

export type StepActor = ActorRefFrom<typeof stepMachine>;

export function createStepActor(
  { stepId, node, attempt }: Pick<StepContext, "stepId" | "node" | "attempt">,
  onError: (error: unknown) => void,
): StepActor {
  // Begun from its resolved first state, because XState's search for it costs more than a step's other transitions together.
  const snapshot = stepMachine.resolveState({ value: "queued", context: { stepId, node, attempt, retryAtMs: null } });
  const actor = createActor(stepMachine, { snapshot, input: { stepId, node, attempt } });
  actor.subscribe({ error: onError });
  actor.start();
  return actor;
}
