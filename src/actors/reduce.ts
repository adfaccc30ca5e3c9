// Reducer: (state, fact) → (state, effects, events)
//
// A pure function: no clock, no chance, no I/O. A fact carries all that cannot be recomputed, and its time is
// that of its commit.
//
// R1  A fact the state cannot accept (stale attempt, settled branch, ended run) is refused and changes nothing
//     but the count of refusals.
// R2  What follows from a fact follows at once, within the same reduction: forks, arrivals, decisions, ends.
// R3  The same facts in the same order give the same state, effects and events, always.

import { assertNever } from "../base/errors.ts";
import type { Stored } from "../base/stored.ts";
import { compilePlan } from "../topology/compile.ts";
import type { Plan } from "../topology/plan.ts";
import { failBranch, timeOutBarrier } from "./barriers.ts";
import { adjustClocks } from "./clocks.ts";
import { Draft } from "./draft.ts";
import type { Effect, KernelEvent } from "./effects.ts";
import { cancelRun, failRun } from "./ending.ts";
import type { Fact, StateWrite } from "./facts.ts";
import { aheadKey, recordIn, withRecord } from "./journal.ts";
import { pauseRun, restoreSession, resumeRun } from "./lifecycle.ts";
import { answerInsufficient, applyOutcome, failStep, leave, refusalOf, settle } from "./outcomes.ts";
import { migrateRun } from "./migration.ts";
import type { Branch, OpenQuestion, RunState, SessionState, StepWork } from "./session-state.ts";
import type { CommitReduction, Reduction } from "./reduction.ts";
import { startRun } from "./start.ts";
import { agentStateOf } from "./session-state.ts";
import { enter, offer, openQuestion, releaseQueue } from "./steps.ts";
import { branchName } from "./draft.ts";
import { findStep } from "./find-step.ts";

export function initialState(sessionId: string): SessionState {
  return {
    sessionId,
    status: "idle",
    generation: 0,
    runCount: 0,
    runs: [],
    context: {},
    agentState: {},
    run: null,
    atMs: 0,
  };
}

export function planOfRun(run: RunState): Plan {
  return compilePlan(run.topology, { errorRouting: run.limits.errorRouting });
}

export function reduce(state: SessionState, fact: Fact, atMs: number): Reduction {
  switch (fact.type) {
    case "run.started":
      return startRun(state, fact, atMs, finish);
    case "migrated":
      return migrateRun(state, fact, atMs, finish);
    case "restored":
      return restoreSession(state, fact, atMs);
    case "context.added":
      return addContext(state, fact.context, atMs);
    case "checkpointed":
      return {
        state: { ...state, atMs },
        effects: [],
        events: [{ type: "checkpoint.created", checkpointId: fact.checkpointId, name: fact.name }],
      };
    default:
      return inRun(state, fact, atMs);
  }
}

/** Folds facts in order, dropping those the state cannot accept. */
export function reduceAll(state: SessionState, facts: readonly Fact[], atMs: number): CommitReduction {
  if (facts.length === 1) {
    const one = reduce(state, facts[0]!, atMs);
    const refused = one.refused === undefined ? [] : [{ fact: facts[0]!, reason: one.refused }];
    return {
      from: state,
      state: one.state,
      effects: one.effects,
      events: one.events,
      accepted: one.refused === undefined ? facts : [],
      refused,
    };
  }
  let folded = state;
  const effects: Effect[] = [];
  const events: KernelEvent[] = [];
  const accepted: Fact[] = [];
  const refused: { fact: Fact; reason: string }[] = [];
  for (const fact of facts) {
    const one = reduce(folded, fact, atMs);
    if (one.refused !== undefined) {
      refused.push({ fact, reason: one.refused });
      continue;
    }
    folded = one.state;
    for (const effect of one.effects) effects.push(effect);
    for (const event of one.events) events.push(event);
    accepted.push(fact);
  }
  return { from: state, state: folded, effects, events, accepted, refused };
}

type RunFact = Exclude<Fact, { type: "run.started" | "migrated" | "restored" | "context.added" | "checkpointed" }>;

function inRun(state: SessionState, fact: RunFact, atMs: number): Reduction {
  const { run } = state;
  if (run === null) return refuse(state, "no run was started");
  if (run.end !== null) return refuse(state, `the run has ended ${run.end.status}`);
  const draft = new Draft(state, run, planOfRun(run), atMs);
  const refusal = apply(draft, fact);
  return refusal === undefined ? finish(draft, heldOf(fact)) : refuse(state, refusal);
}

function refuse(state: SessionState, refused: string): Reduction {
  return { state, effects: [], events: [], refused };
}

/** Settles what is due, sets the status that shows, and closes the draft (R2). */
function finish(draft: Draft, held: readonly number[]): Reduction {
  const { session, run } = draft;
  for (;;) {
    settle(draft, held);
    if (run.queue.length === 0 || run.end !== null) break;
    const inLine = run.queue.length;
    releaseQueue(draft);
    if (run.queue.length === inLine) break;
  }
  if (run.end === null && run.pause === null) {
    const waiting = run.questions.length > 0 && run.steppers.size === 0 && run.queue.length === 0;
    const before = session.status;
    session.status = waiting ? "awaiting_user" : "running";
    if (waiting && before !== "awaiting_user") {
      draft.events.push({ type: "run.awaiting_user", questions: run.questions.map((q) => q.questionId) });
      draft.effects.push({ type: "run.settled", status: "awaiting_user" });
    }
    if (waiting !== (before === "awaiting_user")) draft.clocks = true;
  }
  adjustClocks(draft);
  session.run = run;
  session.atMs = draft.atMs;
  return { state: session, effects: draft.effects, events: draft.events };
}

function heldOf(fact: Fact): readonly number[] {
  return "held" in fact ? fact.held : [];
}

function apply(draft: Draft, fact: RunFact): string | undefined {
  switch (fact.type) {
    case "step.succeeded":
    case "step.failed":
      return stepEnded(draft, fact);
    case "step.suspended":
      return stepSuspended(draft, fact);
    case "journaled":
      return journaled(draft, fact);
    case "timer.fired":
      return timerFired(draft, fact.timerId);
    case "user.answered":
      return answered(draft, fact);
    case "paused":
      return pauseRun(draft, fact);
    case "resumed":
    case "owned":
      return resumeRun(draft, fact, (pending) => applyPending(draft, pending));
    case "cancelled":
      cancelRun(draft, fact.reason);
      return undefined;
    default:
      return assertNever(fact);
  }
}

/** Facts that came in during a pause are followed now; each was accepted when it was recorded. */
function applyPending(draft: Draft, pending: readonly { fact: Fact; atMs: number }[]): void {
  for (const { fact } of pending) {
    if (draft.run.end !== null) return;
    apply(draft, fact as RunFact);
    settle(draft, heldOf(fact));
  }
}

type StepEnd = Extract<Fact, { type: "step.succeeded" | "step.failed" }>;

function stepEnded(draft: Draft, fact: StepEnd): string | undefined {
  const at = findStep(draft, fact.stepId);
  if (typeof at === "string") return at;
  const { branch, work } = at;
  if (fact.attempt !== work.attempt)
    return `attempt ${fact.attempt} of step ${fact.stepId} is not the one that is out (${work.attempt})`;
  if (draft.run.pause !== null) {
    const { pause } = draft.run;
    if (pause.pending.some(({ fact: known }) => "stepId" in known && known.stepId === fact.stepId))
      return `step ${fact.stepId} has a result`;
    draft.run.pause = { ...pause, pending: [...pause.pending, { fact, atMs: draft.atMs }] };
    return undefined;
  }
  account(draft, fact);
  const source = { held: fact.held, stepId: fact.stepId, journal: work.journal, woken: work.woken, input: work.input };
  if (fact.type === "step.succeeded") {
    const refusal = refusalOf(draft, branch, fact.outcome);
    if (refusal !== undefined) {
      const idle = settleStep(draft, branch, work);
      draft.events.push({ ...shown(draft, fact, branch), type: "step.failed", error: refusal });
      failStep(draft, idle, refusal, source);
      return undefined;
    }
    const idle = settleStep(draft, branch, work);
    writeState(draft, branch, fact.state ?? []);
    draft.events.push({
      ...shown(draft, fact, branch),
      type: "step.succeeded",
      outcome: fact.outcome,
      ...(fact.usage === undefined ? {} : { usage: fact.usage }),
    });
    applyOutcome(draft, idle, fact.outcome, source);
    return undefined;
  }
  if (fact.retryAtMs !== undefined) {
    draft.events.push({
      type: "step.retrying",
      stepId: fact.stepId,
      branchId: branchName(branch.id),
      node: draft.nodeName(branch.node),
      attempt: fact.attempt,
      error: fact.error,
      retryAtMs: fact.retryAtMs,
    });
    offer(draft, branch, { ...work, attempt: work.attempt + 1, notBeforeMs: fact.retryAtMs });
    return undefined;
  }
  const idle = settleStep(draft, branch, work);
  draft.events.push({ ...shown(draft, fact, branch), type: "step.failed", error: fact.error });
  failStep(draft, idle, fact.error, source);
  return undefined;
}

function shown(draft: Draft, fact: StepEnd, branch: Branch) {
  return {
    stepId: fact.stepId,
    branchId: branchName(branch.id),
    node: draft.nodeName(branch.node),
    attempt: fact.attempt,
    tookMs: fact.tookMs,
  };
}

/** The step is out no more; its branch stands idle while its outcome is followed, which writes down where it goes. */
function settleStep(draft: Draft, branch: Branch, work: StepWork): Branch {
  draft.run.steppers = draft.run.steppers.delete(work.step);
  return { ...branch, phase: IDLE };
}

const IDLE = { kind: "idle" } as const;

function account(draft: Draft, { usage }: StepEnd): void {
  if (usage === undefined) return;
  const { run } = draft;
  const before = run.usage;
  run.usage = {
    inputTokens: before.inputTokens + usage.inputTokens,
    outputTokens: before.outputTokens + usage.outputTokens,
    costUsd: before.costUsd + usage.costUsd,
    apiCalls: before.apiCalls + usage.apiCalls,
    nestedSteps: before.nestedSteps + usage.nestedSteps,
  };
  run.steps += usage.nestedSteps;
}

function writeState(draft: Draft, branch: Branch, writes: readonly StateWrite[]): void {
  if (writes.length === 0) return;
  const node = draft.nodeName(branch.node);
  const known: Record<string, Stored> = { ...agentStateOf(draft.session, node) };
  for (const { key, value } of writes) {
    if (value === undefined) delete known[key];
    else known[key] = value;
  }
  draft.session.agentState = { ...draft.session.agentState, [node]: known };
}

function stepSuspended(draft: Draft, fact: Extract<Fact, { type: "step.suspended" }>): string | undefined {
  const at = findStep(draft, fact.stepId);
  if (typeof at === "string") return at;
  const { branch, work } = at;
  if (fact.attempt !== work.attempt) return `attempt ${fact.attempt} of step ${fact.stepId} is not the one that is out`;
  if (draft.run.pause !== null) return "the run is paused; the step suspends again when it is resumed";
  if (fact.questions.length === 0) return `step ${fact.stepId} names no question it waits for`;
  draft.run.steppers = draft.run.steppers.delete(work.step);
  draft.putBranch({ ...branch, phase: { kind: "suspended", work } });
  for (const { questionId, prompt, sessionId } of fact.questions) {
    openQuestion(draft, {
      questionId,
      branch: branch.id,
      branchId: branchName(branch.id),
      node: draft.nodeName(branch.node),
      prompt,
      kind: "nested",
      sessionId,
      askedAtMs: draft.atMs,
    });
  }
  return undefined;
}

function journaled(draft: Draft, { stepId, key, value }: Extract<Fact, { type: "journaled" }>): string | undefined {
  const [source = "", target] = stepId.split(">");
  let at = findStep(draft, source);
  let entry = target === undefined ? key : aheadKey(target, key);
  if (typeof at === "string" && target !== undefined) {
    // The source of a stream edge has ended, and its target has a step of its own by now.
    for (const branch of draft.run.branches.values()) {
      if (
        branch.phase.kind !== "step" ||
        branch.phase.work.streamedFrom !== source ||
        draft.nodeName(branch.node) !== target
      )
        continue;
      at = { branch, work: branch.phase.work };
      entry = key;
    }
  }
  if (typeof at === "string") return at;
  const { branch, work } = at;
  if (recordIn(work.journal, entry) !== undefined) return `${stepId} has a record of ${JSON.stringify(key)}`;
  draft.putBranch({
    ...branch,
    phase: { kind: "step", work: { ...work, journal: withRecord(work.journal, entry, value) } },
  });
  return undefined;
}

function timerFired(draft: Draft, timerId: string): string | undefined {
  const timer = draft.run.timers[timerId];
  if (timer === undefined || timer.heldSinceMs !== null) return `timer ${timerId} is not armed`;
  if (draft.run.pause !== null) return "the run is paused";
  draft.disarmTimer(timerId);
  switch (timer.kind) {
    case "duration": {
      const limit = draft.run.limits.durationMs;
      draft.noteOnce("boundsHit", "budget.durationMs");
      failRun(
        draft,
        { code: "ORCH_BUDGET", message: `the run may take ${String(limit)} ms of live time and has taken it` },
        "duration",
      );
      return undefined;
    }
    case "branch": {
      const branch = draft.branch(timer.branch!);
      const node = draft.nodeName(branch.node);
      draft.noteOnce("timedOut", node);
      failBranch(
        draft,
        branch,
        {
          code: "ORCH_TIMEOUT",
          message: `branch ${branchName(branch.id)} at ${node} took longer than ${String(draft.run.limits.branchTimeoutMs)} ms`,
          node,
        },
        "timed_out",
      );
      return undefined;
    }
    case "convergence": {
      const instance = draft.instance(timer.instance!);
      const barrier = instance.barriers.find((b) => b.end === timer.end)!;
      timeOutBarrier(draft, instance, barrier);
      return undefined;
    }
    default:
      return assertNever(timer.kind);
  }
}

function answered(draft: Draft, fact: Extract<Fact, { type: "user.answered" }>): string | undefined {
  const question = draft.run.questions.find((q) => q.questionId === fact.questionId);
  if (question === undefined) return `question ${fact.questionId} is not open`;
  if (draft.run.pause !== null) {
    const { pause } = draft.run;
    if (pause.pending.some(({ fact: known }) => "questionId" in known && known.questionId === fact.questionId))
      return `question ${fact.questionId} is answered`;
    draft.run.pause = { ...pause, pending: [...pause.pending, { fact, atMs: draft.atMs }] };
    return undefined;
  }
  draft.run.questions = draft.run.questions.filter((q) => q !== question);
  draft.clocks = true;
  draft.events.push({ type: "user.answered", questionId: question.questionId, value: fact.value });
  follow(draft, question, fact.value, fact.held);
  return undefined;
}

function follow(draft: Draft, question: OpenQuestion, value: Stored, held: readonly number[]): void {
  if (question.kind === "insufficient") {
    answerInsufficient(draft, question, wordOf(value));
    return;
  }
  const branch = draft.branch(question.branch);
  if (question.kind === "nested") {
    takeNestedAnswer(draft, branch, question.questionId, value);
    return;
  }
  if (branch.phase.kind !== "asking") throw new TypeError(`branch ${branch.id} asks nothing`);
  const { input } = branch.phase;
  const idle = draft.putBranch({ ...branch, phase: { kind: "idle" } });
  if (question.kind === "node") {
    leave(draft, idle, value, { held, input });
    return;
  }
  enter(
    draft,
    idle,
    { kind: "value", value },
    { question: { id: question.questionId, prompt: question.prompt, input } },
  );
}

/** The step runs again once all its nested questions are answered. It is the same step: nothing is counted twice. */
function takeNestedAnswer(draft: Draft, branch: Branch, questionId: string, value: Stored): void {
  if (branch.phase.kind !== "suspended") throw new TypeError(`branch ${branch.id} is not suspended`);
  const work = { ...branch.phase.work, answers: { ...branch.phase.work.answers, [questionId]: value } };
  const waiting = draft.putBranch({ ...branch, phase: { kind: "suspended", work } });
  if (!draft.run.questions.some((q) => q.branch === branch.id)) offer(draft, waiting, work);
}

function wordOf(value: Stored): "proceed" | "fail" | Stored {
  if (!("v" in value)) return value;
  if (value.v === "proceed" || value.v === true) return "proceed";
  return value.v === "fail" || value.v === false ? "fail" : value;
}

function addContext(state: SessionState, context: Readonly<Record<string, Stored>>, atMs: number): Reduction {
  return {
    state: { ...state, atMs, context: { ...state.context, ...context } },
    effects: [],
    events: [{ type: "context.added", keys: Object.keys(context) }],
  };
}
