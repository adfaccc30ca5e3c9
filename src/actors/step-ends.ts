// Step ends: what a step's own facts (its result, its failure, what it waits for, what it recorded) do to its branch.

import type { ErrorData } from "../base/errors.ts";
import type { Stored } from "../base/stored.ts";
import { branchName } from "./draft.ts";
import type { Draft } from "./draft.ts";
import type { KernelEvent } from "./effects.ts";
import type { Fact, StateWrite } from "./facts.ts";
import { findStep } from "./find-step.ts";
import { aheadKey, recordIn, withRecord } from "./journal.ts";
import { applyOutcome, failStep, refusalOf } from "./outcomes.ts";
import { agentStateOf } from "./session-state.ts";
import type { Branch, StepWork } from "./session-state.ts";
import { offer, openQuestion, refuseByBudget } from "./steps.ts";

type StepEnd = Extract<Fact, { type: "step.succeeded" | "step.failed" }>;

/** An attempt of a step ended: it is tried again, or its branch goes on. */
export function stepEnded(draft: Draft, fact: StepEnd): string | undefined {
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
  const { journal, woken, input } = work;
  const source = { held: fact.held, stepId: fact.stepId, journal, woken, input, work };
  if (fact.type === "step.succeeded") {
    const refusal = refusalOf(draft, branch, fact.outcome);
    if (refusal !== undefined) {
      settleStep(draft, work);
      draft.events.push(failure(draft, fact, branch, refusal));
      failStep(draft, branch, refusal, source);
      return undefined;
    }
    settleStep(draft, work);
    if (fact.state !== undefined) writeState(draft, branch, fact.state);
    draft.events.push(success(draft, fact, branch));
    applyOutcome(draft, branch, fact.outcome, source);
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
  settleStep(draft, work);
  draft.events.push(failure(draft, fact, branch, fact.error));
  if (refuseByBudget(draft, fact.error, draft.nodeName(branch.node))) return undefined;
  failStep(draft, branch, fact.error, source);
  return undefined;
}

function success(draft: Draft, fact: Extract<StepEnd, { type: "step.succeeded" }>, branch: Branch): KernelEvent {
  const { stepId, attempt, tookMs, outcome, usage } = fact;
  const event = {
    stepId,
    branchId: branchName(branch.id),
    node: draft.nodeName(branch.node),
    attempt,
    tookMs,
    type: "step.succeeded" as const,
    outcome,
  };
  return usage === undefined ? event : { ...event, usage };
}

function failure(draft: Draft, { stepId, attempt, tookMs }: StepEnd, branch: Branch, error: ErrorData): KernelEvent {
  return {
    stepId,
    branchId: branchName(branch.id),
    node: draft.nodeName(branch.node),
    attempt,
    tookMs,
    type: "step.failed",
    error,
  };
}

/** The step is out no more; what follows of its outcome writes down where its branch goes. */
function settleStep(draft: Draft, work: StepWork): void {
  draft.run.steppers = draft.run.steppers.delete(work.step);
}

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

export function stepSuspended(draft: Draft, fact: Extract<Fact, { type: "step.suspended" }>): string | undefined {
  const at = findStep(draft, fact.stepId);
  if (typeof at === "string") return at;
  const { branch, work } = at;
  if (fact.attempt !== work.attempt) return `attempt ${fact.attempt} of step ${fact.stepId} is not the one that is out`;
  if (draft.run.pause !== null) return "the run is paused; the step suspends again when it is resumed";
  if (fact.questions.length === 0) return `step ${fact.stepId} names no question it waits for`;
  draft.run.steppers = draft.run.steppers.delete(work.step);
  draft.putBranch({ ...branch, phase: { kind: "suspended", work } });
  for (const { questionId, prompt, sessionId, dueAtMs } of fact.questions) {
    openQuestion(draft, {
      questionId,
      branch: branch.id,
      branchId: branchName(branch.id),
      node: draft.nodeName(branch.node),
      prompt,
      kind: "nested",
      sessionId,
      askedAtMs: draft.atMs,
      ...(dueAtMs === undefined ? {} : { dueAtMs }),
    });
  }
  return undefined;
}

export function journaled(
  draft: Draft,
  { stepId, key, value }: Extract<Fact, { type: "journaled" }>,
): string | undefined {
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
