// Answers: what the answer to a question, or the lack of one, sets going again.

import type { ErrorData } from "../base/errors.ts";
import type { Stored } from "../base/stored.ts";
import type { Draft } from "./draft.ts";
import type { Fact } from "./facts.ts";
import { failOnward, failStep, leave } from "./outcomes.ts";
import { answerInsufficient } from "./settling.ts";
import type { Branch, OpenQuestion } from "./session-state.ts";
import { enter, offer } from "./steps.ts";

type Answered = Extract<Fact, { type: "user.answered" }>;

export function answered(draft: Draft, fact: Answered): string | undefined {
  const question = draft.run.questions.find((q) => q.questionId === fact.questionId);
  if (question === undefined) return `question ${fact.questionId} is not open`;
  if (question.kind === "recovery" && fact.action === undefined)
    return `question ${fact.questionId} asks what to do about a failure, and the answer does not say`;
  if (draft.run.pause !== null) {
    const { pause } = draft.run;
    if (pause.pending.some(({ fact: known }) => "questionId" in known && known.questionId === fact.questionId))
      return `question ${fact.questionId} is answered`;
    draft.run.pause = { ...pause, pending: [...pause.pending, { fact, atMs: draft.atMs }] };
    return undefined;
  }
  draft.closeQuestion(question.questionId);
  const { questionId, value, action } = fact;
  draft.events.push({ type: "user.answered", questionId, value, ...(action === undefined ? {} : { action }) });
  follow(draft, question, fact);
  return undefined;
}

/** Nobody answered in time. A pause takes no notice: what is too late by then shows when the run is resumed. */
export function expired(draft: Draft, fact: Extract<Fact, { type: "question.expired" }>): string | undefined {
  const question = draft.run.questions.find((q) => q.questionId === fact.questionId);
  if (question?.dueAtMs === undefined) return `question ${fact.questionId} is not open, or has no time limit`;
  if (draft.run.pause !== null) return "the run is paused";
  const { questionId, node, branchId } = question;
  const { value, held } = fact;
  draft.withdraw(questionId);
  draft.noteOnce("timedOut", node);
  draft.events.push({
    type: "user.timed_out",
    questionId,
    branchId,
    node,
    ...(value === undefined ? {} : { value }),
  });
  const branch = draft.branch(question.branch);
  switch (question.kind) {
    case "recovery":
      decideRecovery(draft, question, branch, { action: "abort", value: NOTHING, held });
      return undefined;
    case "nested":
      // The nested run finds out by itself: its own question is too late.
      askNestedAgain(draft, branch);
      return undefined;
    default:
      if (value === undefined) failUnanswered(draft, question, branch, held);
      else follow(draft, question, { value, held });
      return undefined;
  }
}

const NOTHING: Stored = Object.freeze({ v: null });

type Answer = Pick<Answered, "value" | "held" | "action">;

function follow(draft: Draft, question: OpenQuestion, answer: Answer): void {
  const { value, held } = answer;
  if (question.kind === "insufficient") {
    answerInsufficient(draft, question, wordOf(value));
    return;
  }
  const branch = draft.branch(question.branch);
  switch (question.kind) {
    case "nested":
      takeNestedAnswer(draft, branch, question.questionId, value);
      return;
    case "recovery":
      decideRecovery(draft, question, branch, answer);
      return;
    case "node": {
      const { idle, input } = release(draft, branch);
      leave(draft, idle, value, { held, input });
      return;
    }
    case "ask": {
      const { idle, input } = release(draft, branch);
      const asked = { id: question.questionId, prompt: question.prompt, input };
      enter(draft, idle, { kind: "value", value }, { question: asked });
    }
  }
}

/** The branch asks no more. */
function release(draft: Draft, branch: Branch) {
  const { phase } = branch;
  if (phase.kind !== "asking") throw new TypeError(`branch ${branch.id} asks nothing`);
  return { ...phase, idle: draft.putBranch({ ...branch, phase: { kind: "idle" } }) };
}

function failUnanswered(draft: Draft, question: OpenQuestion, branch: Branch, held: readonly number[]): void {
  const { idle, input } = release(draft, branch);
  failStep(draft, idle, unanswered(question), { held, input });
}

/** What a node fails with whose question nobody answered in time. */
export function unanswered({ node, branchId, askedAtMs, dueAtMs = askedAtMs }: OpenQuestion): ErrorData {
  const message = `nobody answered the question of ${node} within ${dueAtMs - askedAtMs} ms`;
  return { code: "ORCH_TIMEOUT", message, node, branchId };
}

/** Tried again, it is the same step in its next attempt: what `ctx.once` recorded stays. */
function decideRecovery(draft: Draft, question: OpenQuestion, branch: Branch, answer: Answer): void {
  const { idle, input, work } = release(draft, branch);
  const { held } = answer;
  switch (answer.action) {
    case "retry":
      if (work === undefined) enter(draft, idle, input);
      else {
        const { notBeforeMs: _past, ...again } = work;
        offer(draft, idle, { ...again, attempt: work.attempt + 1 });
      }
      return;
    case "skip":
      leave(draft, idle, answer.value, { held, input, woken: work?.woken ?? false });
      return;
    default:
      failOnward(draft, idle, question.error!, { held, input });
  }
}

/** The step runs again once all its nested questions are answered. It is the same step: nothing is counted twice. */
function takeNestedAnswer(draft: Draft, branch: Branch, questionId: string, value: Stored): void {
  if (branch.phase.kind !== "suspended") throw new TypeError(`branch ${branch.id} is not suspended`);
  const work = { ...branch.phase.work, answers: { ...branch.phase.work.answers, [questionId]: value } };
  const waiting = draft.putBranch({ ...branch, phase: { kind: "suspended", work } });
  if (!draft.run.questions.some((q) => q.branch === branch.id)) offer(draft, waiting, work);
}

/** Those of its questions that are still open are asked again by the step. */
function askNestedAgain(draft: Draft, branch: Branch): void {
  if (branch.phase.kind !== "suspended") throw new TypeError(`branch ${branch.id} is not suspended`);
  for (const { questionId } of draft.run.questions.filter((q) => q.branch === branch.id)) draft.withdraw(questionId);
  offer(draft, branch, branch.phase.work);
}

function wordOf(value: Stored): "proceed" | "fail" | Stored {
  if (!("v" in value)) return value;
  if (value.v === "proceed" || value.v === true) return "proceed";
  return value.v === "fail" || value.v === false ? "fail" : value;
}
