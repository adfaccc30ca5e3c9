// Steps and questions: what a branch does at the node it has entered.

import type { ErrorData } from "../base/errors.ts";
import type { Stored } from "../base/stored.ts";
import type { PlanEdge } from "../topology/plan.ts";
import { copyOfBranch, type Mutable } from "./copies.ts";
import { asked, branchName, type Draft } from "./draft.ts";
import type { Arrival, StepInput, StepOffer } from "./effects.ts";
import { decideGate, decideWarnings, type GateVerdict } from "./gate.ts";
import { NO_RECORDS, type StepJournal } from "./journal.ts";
import type { BarrierKey, Branch, OpenQuestion, SessionState, StepWork } from "./session-state.ts";
import { stepIdOf } from "../base/ids.ts";

/** What comes along with the input when a node is entered. */
export interface Entering {
  readonly replies?: readonly Arrival[];
  readonly error?: ErrorData;
  readonly question?: StepWork["question"];
  readonly streamedFrom?: string;
  readonly journal?: StepJournal;
  readonly edgeTimeoutMs?: number;
  readonly woken?: boolean;
}

/** The branch, standing at its node, begins its activation with `input`. */
export function enter(draft: Draft, branch: Branch, input: StepInput, along: Entering = {}): void {
  const node = draft.plan.nodes[branch.node]!;
  // The entry User is a person too when a conversation, a peer or a notification comes to it.
  if (node.data.kind === "user") {
    const timeoutMs = along.edgeTimeoutMs ?? node.data.timeoutMs;
    ask(draft, { ...branch, input }, { kind: "node", prompt: promptOf(input), input, timeoutMs });
  } else schedule(draft, branch, input, along);
}

function promptOf(input: StepInput): Stored {
  return input.kind === "value"
    ? input.value
    : { list: input.items.flatMap((item) => ("value" in item ? [item.value] : [])) };
}

export function schedule(draft: Draft, branch: Branch, input: StepInput, along: Entering): void {
  const work: Mutable<StepWork> = {
    step: draft.run.nextStep++,
    attempt: 1,
    input,
    timeoutMs: timeoutOf(draft, branch, along.edgeTimeoutMs),
    journal: along.journal ?? NO_RECORDS,
    answers: NO_ANSWERS,
    woken: along.woken ?? false,
  };
  if (along.replies !== undefined) work.replies = along.replies;
  if (along.error !== undefined) work.error = along.error;
  if (along.question !== undefined) work.question = along.question;
  if (along.streamedFrom !== undefined) work.streamedFrom = along.streamedFrom;
  const verdict = decideGate(draft.run);
  switch (verdict.type) {
    case "refuse":
      draft.putBranch({ ...branch, input, phase: { kind: "queued", work } });
      refuse(draft, draft.nodeName(branch.node), verdict);
      return;
    case "wait":
      draft.putBranch({ ...branch, input, phase: { kind: "queued", work } });
      draft.run.queue = [...draft.run.queue, branch.id];
      return;
    case "pass":
      handOut(draft, branch, work);
  }
}

/** A step that could set nothing aside of this run's budget ends the run, as one refused at the gate does. */
export function refuseByBudget(draft: Draft, { code, message, data }: ErrorData, node: string): boolean {
  if (code !== "ORCH_BUDGET" || typeof data !== "object" || data === null) return false;
  const { budget, runId } = data as { budget?: unknown; runId?: unknown };
  if (runId !== draft.run.runId || (budget !== "tokens" && budget !== "costUsd")) return false;
  refuse(draft, node, {
    type: "refuse",
    reason: budget === "tokens" ? "tokens" : "cost",
    rule: `budget.${budget}`,
    message,
  });
  return true;
}

function refuse(draft: Draft, node: string, { rule, reason, message }: Extract<GateVerdict, { type: "refuse" }>): void {
  if (draft.refused !== null) return;
  draft.events.push({ type: "rule.refused", rule, node, message });
  draft.noteOnce("boundsHit", rule);
  const code = reason === "max_steps" ? "ORCH_MAX_STEPS" : "ORCH_BUDGET";
  draft.refused = { reason, error: { code, message: `${message}; refused: ${node}`, node } };
}

/** Hands out the step: it counts, and its offer is an effect. */
function handOut(draft: Draft, branch: Branch, work: StepWork): void {
  const { run } = draft;
  run.steps += 1;
  draft.countInvocation(branch.node);
  offer(draft, branch, work);
  for (const warning of decideWarnings(run)) {
    run.warned = [...run.warned, warning.budget];
    draft.events.push({ type: "budget.warning", ...warning });
  }
}

/** Offers a step that is already counted: its first attempt, or another one. */
export function offer(draft: Draft, branch: Branch, work: StepWork): void {
  draft.run.steppers = draft.run.steppers.set(work.step, branch.id);
  const busy = copyOfBranch(branch);
  if (work.question === undefined) busy.input = work.input;
  busy.phase = { kind: "step", work };
  draft.putBranch(busy);
  const made = offerOf(draft.session, busy, draft.nodeName(branch.node), draft.run.seq);
  draft.effects.push({ type: "step.offer", offer: made });
  draft.events.push({
    type: "step.started",
    stepId: made.stepId,
    branchId: made.branchId,
    node: made.node,
    attempt: made.attempt,
    input: made.input,
  });
}

export function offerOf(
  session: Pick<SessionState, "generation">,
  branch: Branch,
  node: string,
  runSeq: number,
): StepOffer {
  if (branch.phase.kind !== "step") throw new TypeError(`branch ${branch.id} has no step out`);
  const { work } = branch.phase;
  // Written out, because this runs once per step and taking objects apart by rest is slow.
  const made: Mutable<StepOffer> = {
    stepId: stepIdOf(runSeq, session.generation, work.step),
    branchId: branchName(branch.id),
    node,
    attempt: work.attempt,
    input: work.input,
    timeoutMs: work.timeoutMs,
  };
  if (work.notBeforeMs !== undefined) made.notBeforeMs = work.notBeforeMs;
  if (work.replies !== undefined) made.replies = work.replies;
  if (work.error !== undefined) made.error = work.error;
  if (work.question !== undefined) made.question = work.question;
  if (work.streamedFrom !== undefined) made.streamedFrom = work.streamedFrom;
  if (work.answers !== NO_ANSWERS && Object.keys(work.answers).length > 0) made.answers = work.answers;
  return made;
}

/** Shared by the many steps that have none. */
const NO_ANSWERS: Readonly<Record<string, Stored>> = Object.freeze({});

/** A step has ended: those that wait in line for the rule `max_agents` may go. */
export function releaseQueue(draft: Draft): void {
  const { run } = draft;
  while (run.queue.length > 0 && run.end === null && draft.refused === null) {
    const verdict = decideGate(run);
    if (verdict.type === "wait") return;
    const branch = draft.branch(run.queue[0]!);
    run.queue = run.queue.slice(1);
    if (branch.phase.kind !== "queued") throw new TypeError(`branch ${branch.id} is in line without a step`);
    if (verdict.type === "refuse") refuse(draft, draft.nodeName(branch.node), verdict);
    else handOut(draft, branch, branch.phase.work);
  }
}

function timeoutOf(draft: Draft, branch: Branch, edgeTimeoutMs: number | undefined): number | false {
  return (
    edgeTimeoutMs ??
    draft.plan.nodes[branch.node]!.data.timeoutMs ??
    draft.plan.topology.limits?.agentTimeoutMs ??
    draft.run.limits.stepTimeoutMs
  );
}

/** Opens a question on behalf of a branch, which waits for the answer. */
export function ask(
  draft: Draft,
  branch: Branch,
  what: {
    readonly kind: "ask" | "node";
    readonly prompt: Stored;
    readonly input: StepInput;
    readonly timeoutMs: number | false | undefined;
    readonly fallback?: Stored | undefined;
  },
): void {
  const questionId = newQuestionId(draft);
  draft.putBranch({ ...branch, phase: { kind: "asking", questionId, input: what.input } });
  openQuestion(draft, {
    questionId,
    branch: branch.id,
    branchId: branchName(branch.id),
    node: draft.nodeName(branch.node),
    prompt: what.prompt,
    kind: what.kind,
    askedAtMs: draft.atMs,
    ...dueIn(draft, what.timeoutMs),
    ...(what.fallback === undefined ? {} : { fallback: what.fallback }),
  });
}

/** Asks the person a recovery edge leads to. The branch stays where it failed. */
export function askRecovery(
  draft: Draft,
  branch: Branch,
  edge: PlanEdge,
  failed: { readonly error: ErrorData; readonly input: StepInput; readonly work: StepWork | undefined },
): void {
  const { code, message } = failed.error;
  const person = draft.plan.nodes[edge.to]!;
  const questionId = newQuestionId(draft);
  const work = failed.work === undefined ? {} : { work: failed.work };
  draft.putBranch({ ...branch, phase: { kind: "asking", questionId, input: failed.input, ...work } });
  openQuestion(draft, {
    questionId,
    branch: branch.id,
    branchId: branchName(branch.id),
    node: person.name,
    prompt: { v: { kind: "recovery", node: draft.nodeName(branch.node), error: { code, message } } },
    kind: "recovery",
    error: failed.error,
    askedAtMs: draft.atMs,
    ...dueIn(draft, edge.data.timeoutMs ?? person.data.timeoutMs),
  });
}

function dueIn(draft: Draft, timeoutMs: number | false | undefined): { readonly dueAtMs?: number } {
  return timeoutMs === undefined || timeoutMs === false ? {} : { dueAtMs: draft.atMs + timeoutMs };
}

/** Asks a person what to do about a barrier or frame that lacks some of its branches. */
export function askInsufficient(
  draft: Draft,
  node: string,
  of: { barrier: BarrierKey } | { frame: number },
  lacking: readonly string[],
  message = `${node} lacks ${lacking.join(", ")}`,
): void {
  openQuestion(draft, {
    questionId: newQuestionId(draft),
    branch: 0,
    branchId: "",
    node,
    prompt: { v: { message, missing: lacking, answers: ["proceed", "fail"] } },
    kind: "insufficient",
    askedAtMs: draft.atMs,
    ...of,
  });
}

export function openQuestion(draft: Draft, question: OpenQuestion): void {
  draft.run.questions = [...draft.run.questions, question];
  draft.effects.push(...asked(question));
  draft.events.push({
    type: "user.asked",
    questionId: question.questionId,
    branchId: question.branchId,
    node: question.node,
    prompt: question.prompt,
  });
  draft.clocks = true;
}

/** Unique over all sessions, and the same on every replay. */
function newQuestionId(draft: Draft): string {
  return `${draft.session.sessionId}/q${draft.run.seq}.${draft.session.generation}.${draft.run.nextQuestion++}`;
}
