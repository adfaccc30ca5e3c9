// Resume facts: what is committed to go on with a run that stands still, with what whoever resumes it brings.

import type { Fact } from "../actors/facts.ts";
import type { SessionState } from "../actors/session-state.ts";
import { openQuestions } from "../actors/view.ts";
import { isOrchestraError, OrchestraError } from "../base/errors.ts";
import { assignAnswers } from "./answers.ts";
import { answerFact, expiredFact, resumedFact, type CommandPorts } from "./answer-fact.ts";
import type { Move } from "./move-on-resume.ts";
import type { NewBlobs } from "./values.ts";

export interface Brought {
  readonly context?: Readonly<Record<string, unknown>>;
  readonly userResponse?: unknown;
  readonly answers?: Readonly<Record<string, unknown>>;
}

/** @throws {OrchestraError} `ORCH_AMBIGUOUS_ANSWER`, `ORCH_QUESTION_UNKNOWN`, `ORCH_CONDITION`, `ORCH_NOT_SERIALIZABLE` */
export async function factsOfResume(
  state: SessionState,
  brought: Brought,
  ports: CommandPorts,
  blobs: NewBlobs,
  move?: Move,
): Promise<Fact[]> {
  const facts: Fact[] = [];
  if (brought.context !== undefined)
    facts.push({ type: "context.added", context: ports.values.storeAll(brought.context, "context", blobs) });
  const answers = assignAnswers(state.sessionId, openQuestions(state), brought);
  if (state.status === "paused" || state.status === "awaiting_user") facts.push(resumedFact(state, ports.nowMs));
  if (move !== undefined) facts.push(move.fact);
  for (const [questionId, value] of answers)
    facts.push(await answerFact(move?.state ?? state, questionId, value, ports, blobs));
  facts.push(...(await expiredFacts(move?.state ?? state, ports, blobs)));
  return facts;
}

/** Questions that are too late by now. Where it depends on conditions that are not here, whoever has them finds out. */
async function expiredFacts(state: SessionState, ports: CommandPorts, blobs: NewBlobs): Promise<Fact[]> {
  const facts: Fact[] = [];
  for (const question of openQuestions(state)) {
    if (question.dueAtMs === undefined || question.dueAtMs > ports.nowMs) continue;
    try {
      facts.push(await expiredFact(state, question, ports, blobs));
    } catch (error) {
      if (!isOrchestraError(error, "ORCH_CONDITION_UNKNOWN") && !isOrchestraError(error, "ORCH_SESSION_STATE"))
        throw error;
    }
  }
  return facts;
}

/** There is no run that could be resumed. */
export function notUnderWay({ sessionId, run, status }: SessionState): OrchestraError {
  const what = run === null ? "nothing was run in it" : `its run ended ${run.end?.status ?? ""}`;
  return new OrchestraError("ORCH_SESSION_STATE", `session "${sessionId}" cannot be resumed: ${what}`, {
    details: { sessionId, status },
  });
}
