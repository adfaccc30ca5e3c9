// How a run begins.

import { compilePlan } from "../topology/compile.ts";
import type { Plan } from "../topology/plan.ts";
import { copyOfSession, type Mutable } from "./copies.ts";
import { Draft } from "./draft.ts";
import { cancelRun } from "./ending.ts";
import { NO_USAGE, type Fact } from "./facts.ts";
import { IntMap } from "./int-map.ts";
import { leave } from "./outcomes.ts";
import type { Reduction } from "./reduction.ts";
import type { RunState, SessionState } from "./session-state.ts";
import { enter } from "./steps.ts";

type Started = Extract<Fact, { type: "run.started" }>;

export function startRun(
  state: SessionState,
  fact: Started,
  atMs: number,
  finish: (draft: Draft, held: readonly number[]) => Reduction,
): Reduction {
  const live = state.run !== null && state.run.end === null;
  if (live && fact.fresh !== true)
    return { state, effects: [], events: [], refused: "the session has a run that has not ended" };
  const ended = live ? endBefore(state, atMs) : { state, effects: [], events: [] };
  const session = copyOfSession(ended.state);
  session.status = "running";
  session.runCount = state.runCount + 1;
  if (fact.fresh === true) {
    session.context = {};
    session.agentState = {};
    session.runs = [];
  }
  if (fact.context !== undefined) session.context = { ...session.context, ...fact.context };
  const plan = compilePlan(fact.topology, fact.limits);
  const draft = new Draft(session, newRun(fact, session.runCount, plan, atMs), plan, atMs);
  draft.effects.push(...ended.effects);
  draft.events.push(...ended.events, {
    type: "run.started",
    task: fact.task,
    topologyHash: fact.topologyHash,
    nodes: fact.topology.nodes.length,
    edges: fact.topology.edges.length,
  });
  draft.putFrame({
    id: 0,
    kind: "run",
    owner: null,
    parent: null,
    call: 0,
    node: plan.entry,
    callers: NONE,
    live: 0,
    deliveries: NONE,
    failed: 0,
    failures: NONE,
    skipped: NONE,
  });
  if (fact.limits.durationMs !== false) {
    draft.armTimer("duration", { kind: "duration", dueAtMs: atMs + fact.limits.durationMs, heldSinceMs: null });
  }
  const input = { kind: "value", value: fact.task } as const;
  const root = draft.startBranch({ parent: null, frame: 0, instance: 0, order: NONE, node: plan.entry, input });
  if (plan.nodes[plan.entry]!.act === "pass") leave(draft, root, fact.task, { held: fact.held, input });
  else enter(draft, root, input);
  return finish(draft, fact.held);
}

/** `fresh` on a session that has a run: that run is cancelled first. */
function endBefore(state: SessionState, atMs: number): Reduction {
  const run = state.run!;
  const draft = new Draft(state, run, compilePlan(run.topology, run.limits), atMs);
  cancelRun(draft, "the session was started over");
  return { state: { ...draft.session, run: draft.run }, effects: draft.effects, events: draft.events };
}

/** Shared by all runs, which begin with none of most things. */
const NONE: readonly never[] = Object.freeze([]);
const NO_VISITS: RunState["visits"] = Object.freeze({});
const NO_TIMERS: RunState["timers"] = Object.freeze({});

function newRun(fact: Started, seq: number, plan: Plan, atMs: number): RunState {
  const run: Mutable<RunState> = {
    runId: fact.runId,
    seq,
    topology: fact.topology,
    topologyHash: fact.topologyHash,
    limits: fact.limits,
    task: fact.task,
    startedAtMs: atMs,
    endedAtMs: null,
    parent: fact.parent ?? null,
    idempotencyKey: fact.idempotencyKey ?? null,
    followUp: fact.followUp ?? false,
    steps: 0,
    usage: NO_USAGE,
    invocations: plan.nodes.map(() => 0),
    ignored: 0,
    nextBranch: 1,
    nextStep: 1,
    nextFrame: 1,
    nextInstance: 1,
    nextQuestion: 1,
    visits: NO_VISITS,
    branches: IntMap.empty(),
    frames: IntMap.empty(),
    instances: IntMap.empty(),
    steppers: IntMap.empty(),
    queue: NONE,
    timers: NO_TIMERS,
    questions: NONE,
    boundsHit: NONE,
    missing: NONE,
    timedOut: NONE,
    partial: false,
    warned: NONE,
    pause: null,
    end: null,
  };
  if (fact.conditions !== undefined) run.conditions = fact.conditions;
  return run;
}
