// Answer fact: an answer to an open question, and the end of a wait, as facts.

import type { Fact } from "../actors/facts.ts";
import type { SessionState } from "../actors/session-state.ts";
import { edgesToJudge, openQuestions, pausedSinceMs } from "../actors/view.ts";
import { OrchestraError } from "../base/errors.ts";
import type { RunCode } from "./engine-api.ts";
import { assertConditionsKnown } from "./missing-code.ts";
import { readAnswer } from "./prompts.ts";
import { judgeEdges } from "./step-facts.ts";
import type { NewBlobs, Values } from "./values.ts";

export interface CommandPorts {
  readonly values: Values;
  readonly code: RunCode | undefined;
  readonly nowMs: number;
}

/** Moves open deadlines by the time the run stood still. */
export function resumedFact(state: SessionState, nowMs: number): Fact {
  const sinceMs = pausedSinceMs(state);
  return { type: "resumed", shiftMs: sinceMs === null ? 0 : Math.max(0, nowMs - sinceMs) };
}

/** @throws {OrchestraError} `ORCH_QUESTION_UNKNOWN`, `ORCH_ANSWER_INVALID`, `ORCH_CONDITION`, `ORCH_CONDITION_UNKNOWN`, `ORCH_NOT_SERIALIZABLE` */
export async function answerFact(
  state: SessionState,
  questionId: string,
  value: unknown,
  ports: CommandPorts,
  blobs: NewBlobs,
): Promise<Fact> {
  const question = openQuestions(state).find((open) => open.questionId === questionId);
  if (question === undefined) throw unknownQuestion(state.sessionId, questionId);
  const answer = readAnswer(await ports.values.resolve(question.prompt), value);
  const stored = ports.values.store(answer, "answer", blobs);
  const edges = edgesToJudge(state, { questionId }, "value");
  if (edges.length > 0 && ports.code === undefined) {
    throw new OrchestraError(
      "ORCH_SESSION_STATE",
      `question ${questionId}: where the answer leads depends on conditions this process was not given; answer it with resume`,
      {
        details: { sessionId: state.sessionId, questionId },
      },
    );
  }
  if (edges.length > 0 && ports.code !== undefined && state.run !== null)
    assertConditionsKnown(state.sessionId, state.run, ports.code);
  const held =
    ports.code === undefined
      ? []
      : await judgeEdges(state, edges, stored, null, { values: ports.values, code: ports.code });
  return { type: "user.answered", questionId, value: stored, held };
}

export function unknownQuestion(sessionId: string, questionId: string): OrchestraError {
  return new OrchestraError("ORCH_QUESTION_UNKNOWN", `session "${sessionId}" has no open question "${questionId}"`, {
    details: { sessionId, questionId },
  });
}
