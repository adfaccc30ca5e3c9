// Answers: what the answer to a question sets going again.

import type { Stored } from "../base/stored.ts";
import type { Draft } from "./draft.ts";
import type { Fact } from "./facts.ts";
import { answerInsufficient, leave } from "./outcomes.ts";
import type { Branch, OpenQuestion } from "./session-state.ts";
import { enter, offer } from "./steps.ts";

export function answered(draft: Draft, fact: Extract<Fact, { type: "user.answered" }>): string | undefined {
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
