// How a run begins.

import { compilePlan } from "../topology/compile.ts";
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
  const cleared = fact.fresh === true ? { ...ended.state, context: {}, agentState: {}, runs: [] } : ended.state;
  const session: SessionState = {
    ...cleared,
    status: "running",
    runCount: state.runCount + 1,
    context: fact.context === undefined ? cleared.context : { ...cleared.context, ...fact.context },
  };
  const plan = compilePlan(fact.topology, { errorRouting: fact.limits.errorRouting });
  const draft = new Draft(session, newRun(fact, session.runCount, plan.nodes.length, atMs), plan, atMs);
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
    callers: [],
    live: 0,
    deliveries: [],
    failed: 0,
    failures: [],
    skipped: [],
  });
  if (fact.limits.durationMs !== false) {
    draft.armTimer("duration", { kind: "duration", dueAtMs: atMs + fact.limits.durationMs, heldSinceMs: null });
  }
  const input = { kind: "value", value: fact.task } as const;
  const root = draft.startBranch({ parent: null, frame: 0, instance: 0, order: [], node: plan.entry, input });
  if (plan.nodes[plan.entry]!.act === "pass") leave(draft, root, fact.task, { held: fact.held, input });
  else enter(draft, root, input);
  return finish(draft, fact.held);
}

/** `fresh` on a session that has a run: that run is cancelled first. */
function endBefore(state: SessionState, atMs: number): Reduction {
  const run = state.run!;
  const draft = new Draft(state, run, compilePlan(run.topology, { errorRouting: run.limits.errorRouting }), atMs);
  cancelRun(draft, "the session was started over");
  return { state: { ...draft.session, run: draft.run }, effects: draft.effects, events: draft.events };
}

function newRun(fact: Started, seq: number, nodeCount: number, atMs: number): RunState {
  return {
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
    ...(fact.conditions !== undefined && { conditions: fact.conditions }),
    steps: 0,
    usage: NO_USAGE,
    invocations: Array.from({ length: nodeCount }, () => 0),
    ignored: 0,
    nextBranch: 1,
    nextStep: 1,
    nextFrame: 1,
    nextInstance: 1,
    nextQuestion: 1,
    visits: {},
    branches: IntMap.empty(),
    frames: IntMap.empty(),
    instances: IntMap.empty(),
    steppers: IntMap.empty(),
    queue: [],
    timers: {},
    questions: [],
    boundsHit: [],
    missing: [],
    timedOut: [],
    partial: false,
    warned: [],
    pause: null,
    end: null,
  };
}
