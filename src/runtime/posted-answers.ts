// Posted answers: whether an answer that was put into a session's inbox is the one its log then holds.

import { isDeepStrictEqual } from "node:util";
import type { Fact } from "../actors/facts.ts";
import type { OpenQuestion, SessionState } from "../actors/session-state.ts";
import { openQuestions } from "../actors/view.ts";
import { OrchestraError } from "../base/errors.ts";
import type { SessionStore } from "../state/ports.ts";
import { unknownQuestion } from "./answer-fact.ts";
import type { LogPosition } from "./committer.ts";
import { loadSession } from "./log-fold.ts";
import { readAnswer, type RecoveryAnswer } from "./prompts.ts";
import type { Values } from "./values.ts";

export interface PostedPorts {
  readonly store: SessionStore;
  readonly values: Values;
}

/**
 * Resolves when each of the answers was taken, or the same was given by somebody else. `position`: where the session stood
 * when they were posted; the owner has seen to them since.
 *
 * @throws {OrchestraError} `ORCH_QUESTION_UNKNOWN` when another answer was taken, or none; `ORCH_SESSION_STATE` when the
 *   question is open still.
 */
export async function assertTaken(
  ports: PostedPorts,
  { n, state }: Pick<LogPosition, "n" | "state">,
  answers: Readonly<Record<string, unknown>>,
): Promise<void> {
  const { sessionId } = state;
  for (const [questionId, value] of Object.entries(answers)) {
    const question = openQuestions(state).find((open) => open.questionId === questionId);
    const end = await endOf(ports.store, sessionId, n, questionId);
    if (question === undefined || end === "compacted") continue;
    if (end === "open" && (await isOpen(ports.store, sessionId, questionId))) throw notFollowed(state, questionId);
    if (end === "open" || !(await says(ports.values, question, end, value)))
      throw unknownQuestion(sessionId, questionId);
  }
}

type QuestionEnd = Extract<Fact, { type: "user.answered" | "question.expired" }>;

/** How the question ended behind commit `n`, as far as the log tells. */
async function endOf(
  store: SessionStore,
  sessionId: string,
  n: number,
  questionId: string,
): Promise<QuestionEnd | "open" | "compacted"> {
  let next = n + 1;
  for await (const commit of store.read(sessionId, next)) {
    if (commit.n !== next) return "compacted";
    next = commit.n + 1;
    for (const fact of commit.facts as readonly Fact[])
      if ((fact.type === "user.answered" || fact.type === "question.expired") && fact.questionId === questionId)
        return fact;
  }
  return "open";
}

async function isOpen(store: SessionStore, sessionId: string, questionId: string): Promise<boolean> {
  const loaded = await loadSession(store, sessionId);
  return loaded !== null && openQuestions(loaded.position.state).some((open) => open.questionId === questionId);
}

async function says(
  values: Values,
  { prompt, kind }: OpenQuestion,
  end: QuestionEnd,
  value: unknown,
): Promise<boolean> {
  if (end.type === "question.expired") return false;
  const answer = readAnswer(await values.resolve(prompt), value);
  if (kind !== "recovery") return isDeepStrictEqual(values.store(answer, "answer", new Map()), end.value);
  const { action, ...said } = answer as RecoveryAnswer;
  const skipped = action === "skip" && "value" in said ? said.value : null;
  return action === end.action && isDeepStrictEqual(values.store(skipped, "answer.value", new Map()), end.value);
}

function notFollowed({ sessionId, status }: SessionState, questionId: string): OrchestraError {
  return new OrchestraError(
    "ORCH_SESSION_STATE",
    `question "${questionId}" of session "${sessionId}" is open still: its owner could not follow the answer, and logged why`,
    { details: { sessionId, questionId, status } },
  );
}
