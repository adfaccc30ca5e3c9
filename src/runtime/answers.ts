// Answers: which open question each value of a resume is meant for.

import type { Question } from "../actors/effects.ts";
import { OrchestraError } from "../base/errors.ts";
import { unknownQuestion } from "./answer-fact.ts";

export interface AnswerOptions {
  readonly userResponse?: unknown;
  readonly answers?: Readonly<Record<string, unknown>>;
}

/**
 * Pairs of question id and value. A single `userResponse` answers the only open question; where several are open it must
 * be a record by question id.
 * @throws {OrchestraError} `ORCH_AMBIGUOUS_ANSWER`, `ORCH_QUESTION_UNKNOWN`
 */
export function assignAnswers(
  sessionId: string,
  open: readonly Question[],
  options: AnswerOptions,
): readonly (readonly [string, unknown])[] {
  const pairs: (readonly [string, unknown])[] = Object.entries(options.answers ?? {});
  const { userResponse } = options;
  if (userResponse !== undefined) {
    const [only] = open;
    if (only === undefined)
      throw new OrchestraError("ORCH_QUESTION_UNKNOWN", `session "${sessionId}" has no open question to answer`, {
        details: { sessionId },
      });
    if (isByQuestion(userResponse, open)) pairs.push(...Object.entries(userResponse));
    else if (open.length === 1) pairs.push([only.questionId, userResponse]);
    else throw ambiguous(sessionId, open);
  }
  for (const [questionId] of pairs) {
    if (!open.some((question) => question.questionId === questionId)) throw unknownQuestion(sessionId, questionId);
  }
  return pairs;
}

function isByQuestion(value: unknown, open: readonly Question[]): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const keys = Object.keys(value);
  return keys.length > 0 && keys.every((key) => open.some((question) => question.questionId === key));
}

function ambiguous(sessionId: string, open: readonly Question[]): OrchestraError {
  return new OrchestraError(
    "ORCH_AMBIGUOUS_ANSWER",
    `session "${sessionId}" has ${open.length} open questions; expected a record of answers by question id (${open.map((q) => `${q.questionId} at "${q.node}"`).join(", ")})`,
    { details: { sessionId, questions: open.map((question) => question.questionId) } },
  );
}
