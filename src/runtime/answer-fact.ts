// Answer fact: an answer to an open question, its lack, and the end of a wait, as facts.

import type { Fact } from "../actors/facts.ts";
import type { OpenQuestion, SessionState } from "../actors/session-state.ts";
import { edgesToJudge, openQuestions, pausedSinceMs, unanswered } from "../actors/view.ts";
import { OrchestraError, type ErrorData } from "../base/errors.ts";
import type { Stored } from "../base/stored.ts";
import type { RunCode } from "./engine-api.ts";
import { assertConditionsKnown } from "./missing-code.ts";
import { readAnswer, type RecoveryAnswer } from "./prompts.ts";
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

/**
 * @throws {OrchestraError} `ORCH_QUESTION_UNKNOWN`, `ORCH_QUESTION_EXPIRED`, `ORCH_ANSWER_INVALID`, `ORCH_CONDITION`,
 *   `ORCH_CONDITION_UNKNOWN`, `ORCH_NOT_SERIALIZABLE`
 */
export async function answerFact(
  state: SessionState,
  questionId: string,
  value: unknown,
  ports: CommandPorts,
  blobs: NewBlobs,
): Promise<Fact> {
  const { question, answer } = await answerable(state, questionId, value, ports);
  const { kind, error } = question;
  if (kind !== "recovery") {
    const stored = ports.values.store(answer, "answer", blobs);
    return { type: "user.answered", questionId, value: stored, held: await holding(state, question, stored, ports) };
  }
  const said = answer as RecoveryAnswer;
  const { action } = said;
  const stored = ports.values.store(said.action === "skip" ? said.value : null, "answer.value", blobs);
  const held =
    action === "skip"
      ? await holding(state, question, stored, ports)
      : action === "abort"
        ? await holding(state, question, error!, ports)
        : [];
  return { type: "user.answered", questionId, value: stored, action, held };
}

/**
 * The question, when it can be answered so and now, and what the answer says.
 *
 * @throws {OrchestraError} `ORCH_QUESTION_UNKNOWN`, `ORCH_QUESTION_EXPIRED`, `ORCH_ANSWER_INVALID`
 */
export async function answerable(
  state: SessionState,
  questionId: string,
  value: unknown,
  { values, nowMs }: Pick<CommandPorts, "values" | "nowMs">,
): Promise<{ readonly question: OpenQuestion; readonly answer: unknown }> {
  const question = openQuestions(state).find((open) => open.questionId === questionId);
  if (question === undefined) throw unknownQuestion(state.sessionId, questionId);
  const { dueAtMs, prompt } = question;
  if (dueAtMs !== undefined && dueAtMs <= nowMs) {
    throw new OrchestraError(
      "ORCH_QUESTION_EXPIRED",
      `question "${questionId}" of session "${state.sessionId}" could be answered until ${new Date(dueAtMs).toISOString()}`,
      { details: { sessionId: state.sessionId, questionId, dueAtMs } },
    );
  }
  return { question, answer: readAnswer(await values.resolve(prompt), value) };
}

/** Nobody answered in time. What is to be taken for the answer is so only when it fits the prompt. */
export async function expiredFact(
  state: SessionState,
  question: OpenQuestion,
  ports: CommandPorts,
  blobs: NewBlobs,
): Promise<Fact> {
  const { questionId, kind, error } = question;
  if (kind === "nested") return { type: "question.expired", questionId, held: [] };
  if (kind === "recovery")
    return { type: "question.expired", questionId, held: await holding(state, question, error!, ports) };
  const fallback = fallbackOf(state, question);
  if (fallback !== undefined) {
    try {
      const answer = readAnswer(await ports.values.resolve(question.prompt), await ports.values.resolve(fallback));
      const value = ports.values.store(answer, "onTimeout.answer", blobs);
      return { type: "question.expired", questionId, value, held: await holding(state, question, value, ports) };
    } catch (refused) {
      if (!(refused instanceof OrchestraError) || refused.code !== "ORCH_ANSWER_INVALID") throw refused;
    }
  }
  return { type: "question.expired", questionId, held: await holding(state, question, unanswered(question), ports) };
}

function fallbackOf({ run }: SessionState, { fallback, kind, branch }: OpenQuestion): Stored | undefined {
  if (kind !== "node") return fallback;
  const node = run?.branches.get(branch)?.node;
  const onTimeout = node === undefined ? undefined : run?.topology.nodes[node]?.onTimeout;
  return typeof onTimeout === "object" ? { v: onTimeout.answer } : undefined;
}

/** Edges that hold where the branch goes on with a value, or as failed. */
async function holding(
  state: SessionState,
  { questionId }: OpenQuestion,
  outcome: Stored | ErrorData,
  { values, code }: CommandPorts,
): Promise<readonly number[]> {
  const failed = "code" in outcome;
  const edges = edgesToJudge(state, { questionId }, failed ? "error" : "value");
  if (edges.length === 0) return [];
  if (code === undefined || state.run === null) {
    throw new OrchestraError(
      "ORCH_SESSION_STATE",
      `question ${questionId}: where the answer leads depends on conditions this process was not given; answer it with resume`,
      {
        details: { sessionId: state.sessionId, questionId },
      },
    );
  }
  assertConditionsKnown(state.sessionId, state.run, code);
  return judgeEdges(state, edges, failed ? { v: outcome } : outcome, null, { values, code });
}

export function unknownQuestion(sessionId: string, questionId: string): OrchestraError {
  return new OrchestraError("ORCH_QUESTION_UNKNOWN", `session "${sessionId}" has no open question "${questionId}"`, {
    details: { sessionId, questionId },
  });
}
