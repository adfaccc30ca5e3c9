// Copies of what every step changes, written out field by field: spread makes an object of as many fields as a run has by
// V8's slow path, which takes thirty times as long and leaves some 2 kB of garbage behind.

import type { Branch, RunState, SessionState } from "./session-state.ts";

export type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** All fields, those that may be absent set apart: a field that is forgotten here does not compile. */
type Present<T> = Mutable<{ [K in keyof T as undefined extends T[K] ? never : K]: T[K] }>;

export function copyOfSession(session: SessionState): Mutable<SessionState> {
  return {
    sessionId: session.sessionId,
    status: session.status,
    generation: session.generation,
    runCount: session.runCount,
    runs: session.runs,
    context: session.context,
    agentState: session.agentState,
    run: session.run,
    atMs: session.atMs,
  };
}

export function copyOfRun(run: RunState): Mutable<RunState> {
  const copy: Present<RunState> & Partial<Mutable<RunState>> = {
    runId: run.runId,
    seq: run.seq,
    topology: run.topology,
    topologyHash: run.topologyHash,
    limits: run.limits,
    task: run.task,
    startedAtMs: run.startedAtMs,
    endedAtMs: run.endedAtMs,
    parent: run.parent,
    idempotencyKey: run.idempotencyKey,
    followUp: run.followUp,
    steps: run.steps,
    usage: run.usage,
    invocations: run.invocations,
    ignored: run.ignored,
    nextBranch: run.nextBranch,
    nextStep: run.nextStep,
    nextFrame: run.nextFrame,
    nextInstance: run.nextInstance,
    nextQuestion: run.nextQuestion,
    visits: run.visits,
    branches: run.branches,
    frames: run.frames,
    instances: run.instances,
    steppers: run.steppers,
    queue: run.queue,
    timers: run.timers,
    questions: run.questions,
    boundsHit: run.boundsHit,
    missing: run.missing,
    timedOut: run.timedOut,
    partial: run.partial,
    warned: run.warned,
    pause: run.pause,
    end: run.end,
  };
  if (run.conditions !== undefined) copy.conditions = run.conditions;
  return copy;
}

export function copyOfBranch(branch: Branch): Mutable<Branch> {
  return {
    id: branch.id,
    parent: branch.parent,
    frame: branch.frame,
    instance: branch.instance,
    order: branch.order,
    node: branch.node,
    enteredByCall: branch.enteredByCall,
    mustAnswer: branch.mustAnswer,
    notify: branch.notify,
    conversed: branch.conversed,
    input: branch.input,
    phase: branch.phase,
    late: branch.late,
  };
}
