// Run machine
//
// The statechart around the reducer: a live session is one actor of it, sent the facts of each commit. Its
// context is the folded state; its state value is where a run can be. A test holds the two equal.
//
// No `after`, no invoked promises, no children: timers and steps belong to the runtime.

import { loadedOnFirstUse, onFirstUse } from "../base/on-first-use.ts";
import { Chart } from "./chart.ts";
import type { ChartTable } from "./chart.ts";
import { ChartActor } from "./chart-actor.ts";
import { createInspectedActor } from "./inspected-actor.ts";
import type { ActorHooks, LiveActor } from "./live-actor.ts";
import type { Fact } from "./facts.ts";
import { reduceAll } from "./reduce.ts";
import type { CommitReduction } from "./reduction.ts";
import type { SessionState } from "./session-state.ts";

const xstate = loadedOnFirstUse<typeof import("xstate")>("xstate");

export interface FactsCommitted {
  readonly type: "facts.committed";
  readonly facts: readonly Fact[];
  readonly atMs: number;
  /** What these facts come to, where they were judged before their commit; taken for the state it was folded on, else they are folded here. */
  readonly folded?: CommitReduction;
}

type Status = SessionState["status"];

interface RunContext {
  readonly session: SessionState;
}

function fold({ session }: RunContext, { facts, atMs, folded }: FactsCommitted): RunContext {
  return { session: folded?.from === session ? folded.state : reduceAll(session, facts, atMs).state };
}

/** A state that stays as long as the folded status is its own; most facts change nothing here. */
const at = <S extends Status>(status: S) => ({
  id: `run.${status}` as const,
  always: { guard: { type: "isNot" as const, params: { status } }, target: "#run.settling" as const },
});
const to = (status: Status) => ({
  guard: { type: "is" as const, params: { status } },
  target: `#run.${status}` as const,
});

export const runMachine = onFirstUse(() => {
  const { assign, setup } = xstate();
  return setup({
    types: {
      context: {} as RunContext,
      input: {} as RunContext,
      events: {} as FactsCommitted,
    },
    guards: {
      is: ({ context }, { status }: { status: Status }) => context.session.status === status,
      isNot: ({ context }, { status }: { status: Status }) => context.session.status !== status,
    },
    actions: {
      fold: assign(({ context, event }) => fold(context, event)),
    },
  }).createMachine({
    id: "run",
    context: ({ input }) => input,
    initial: "settling",
    on: { "facts.committed": { actions: "fold" } },
    states: {
      settling: {
        id: "run.settling",
        always: [
          to("running"),
          to("awaiting_user"),
          to("paused"),
          to("completed"),
          to("failed"),
          to("cancelled"),
          to("idle"),
        ],
      },
      idle: at("idle"),
      running: at("running"),
      awaiting_user: at("awaiting_user"),
      paused: at("paused"),
      completed: at("completed"),
      failed: at("failed"),
      cancelled: at("cancelled"),
    },
  });
});

/** Every status can follow every other; which does is the reducer's to say. */
const ANY: Readonly<Record<Status, Status>> = {
  idle: "idle",
  running: "running",
  awaiting_user: "awaiting_user",
  paused: "paused",
  completed: "completed",
  failed: "failed",
  cancelled: "cancelled",
};

/** What the machine answers, by the status that the facts lead to. */
export const RUN_TABLE: ChartTable<Status> = {
  firsts: ANY,
  rows: { idle: ANY, running: ANY, awaiting_user: ANY, paused: ANY, completed: ANY, failed: ANY, cancelled: ANY },
};

/** What live sessions are actors of: the machine, by its table. */
const RUN_CHART = new Chart(runMachine, RUN_TABLE, {
  begin: (input) => input,
  fold,
  kindOf: ({ session }) => session.status,
});

export type RunActor = LiveActor<ReturnType<typeof runMachine>>;

/** A live session. */
export function createRunActor(session: SessionState, { onError, inspect }: ActorHooks): RunActor {
  return inspect === undefined
    ? new ChartActor(RUN_CHART, { session }, onError)
    : createInspectedActor(runMachine(), { session }, { id: `session ${session.sessionId}`, inspect, onError });
}
