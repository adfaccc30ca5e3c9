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
import { answered, expired } from "./answers.ts";
import { failBranch, timeOutBarrier } from "./barriers.ts";
import { adjustClocks } from "./clocks.ts";
import { branchName, Draft } from "./draft.ts";
import type { Effect, KernelEvent } from "./effects.ts";
import { cancelRun, failRun } from "./ending.ts";
import type { Fact } from "./facts.ts";
import { pauseRun, restoreSession, resumeRun } from "./lifecycle.ts";
import { migrateRun } from "./migration.ts";
import { settle } from "./settling.ts";
import type { RunState, SessionState } from "./session-state.ts";
import type { CommitReduction, Reduction } from "./reduction.ts";
import { startRun } from "./start.ts";
import { journaled, stepEnded, stepSuspended } from "./step-ends.ts";
import { releaseQueue } from "./steps.ts";

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
  return compilePlan(run.topology, run.limits);
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
    case "question.expired":
      return expired(draft, fact);
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

function addContext(state: SessionState, context: Readonly<Record<string, Stored>>, atMs: number): Reduction {
  return {
    state: { ...state, atMs, context: { ...state.context, ...context } },
    effects: [],
    events: [{ type: "context.added", keys: Object.keys(context) }],
  };
}
