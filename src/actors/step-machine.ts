// Step machine
//
// One step from its offer to its end. Each is an actor of its own, in a registry of the runtime and nobody's child:
// stopping a parent with a thousand children would block for seconds. Deadlines and back-off come in as events.

import { loadedOnFirstUse, onFirstUse } from "../base/on-first-use.ts";
import { Chart } from "./chart.ts";
import type { ChartTable } from "./chart.ts";
import { ChartActor } from "./chart-actor.ts";
import { createInspectedActor } from "./inspected-actor.ts";
import type { ActorHooks, LiveActor } from "./live-actor.ts";

const xstate = loadedOnFirstUse<typeof import("xstate")>("xstate");

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

type StepInput = Pick<StepContext, "stepId" | "node" | "attempt">;

function begin({ stepId, node, attempt }: StepInput): StepContext {
  return { stepId, node, attempt, retryAtMs: null };
}

function fold(context: StepContext, event: StepEvent): StepContext {
  if (event.type === "step.offer") return begin({ ...context, attempt: event.attempt });
  if (event.type === "step.fail" && event.retryAtMs !== undefined) return { ...context, retryAtMs: event.retryAtMs };
  return context;
}

export const stepMachine = onFirstUse(() => {
  const { assign, setup } = xstate();
  return setup({
    types: {
      context: {} as StepContext,
      input: {} as StepInput,
      events: {} as StepEvent,
    },
    guards: {
      willRetry: ({ event }) => event.type === "step.fail" && event.retryAtMs !== undefined,
    },
    actions: {
      fold: assign(({ context, event }) => fold(context, event)),
    },
  }).createMachine({
    id: "step",
    context: ({ input }) => begin(input),
    initial: "queued",
    on: {
      "step.cancel": { target: ".cancelled" },
    },
    states: {
      queued: {
        on: {
          "step.claim": { target: "running" },
          "step.offer": { actions: "fold" },
          // A worker took it, and its claim was not seen here.
          "step.succeed": { target: "succeeded" },
          "step.fail": [{ guard: "willRetry", target: "backing-off", actions: "fold" }, { target: "failed" }],
          "step.suspend": { target: "suspended" },
        },
      },
      running: {
        on: {
          "step.succeed": { target: "succeeded" },
          "step.fail": [{ guard: "willRetry", target: "backing-off", actions: "fold" }, { target: "failed" }],
          "step.suspend": { target: "suspended" },
          "step.offer": { target: "queued", actions: "fold" },
        },
      },
      "backing-off": { on: { "step.offer": { target: "queued", actions: "fold" } } },
      suspended: { on: { "step.offer": { target: "queued", actions: "fold" } } },
      succeeded: { type: "final" },
      failed: { type: "final" },
      cancelled: { type: "final" },
    },
  });
});

type StepState = "queued" | "running" | "backing-off" | "suspended" | "succeeded" | "failed" | "cancelled";

const FROM_ANY = { "step.offer": "queued", "step.cancel": "cancelled" } as const;
const FROM_OUT = {
  ...FROM_ANY,
  "step.succeed": "succeeded",
  "step.fail": "failed",
  retry: "backing-off",
  "step.suspend": "suspended",
} as const;

/** What the machine answers; `retry` is a `step.fail` with an attempt to follow. */
export const STEP_TABLE: ChartTable<StepState> = {
  firsts: { "": "queued" },
  rows: {
    queued: { ...FROM_OUT, "step.claim": "running" },
    running: FROM_OUT,
    "backing-off": FROM_ANY,
    suspended: FROM_ANY,
  },
};

function kindOf(_: StepContext, event?: StepEvent): string {
  return event?.type === "step.fail" && event.retryAtMs !== undefined ? "retry" : (event?.type ?? "");
}

/** What live steps are actors of: the machine, by its table. */
const STEP_CHART = new Chart(stepMachine, STEP_TABLE, { begin, fold, kindOf });

export type StepActor = LiveActor<ReturnType<typeof stepMachine>>;

/** A live step. */
export function createStepActor(input: StepInput, { onError, inspect }: ActorHooks): StepActor {
  return inspect === undefined
    ? new ChartActor(STEP_CHART, input, onError)
    : createInspectedActor(stepMachine(), input, { id: `step ${input.stepId} ${input.node}`, inspect, onError });
}
