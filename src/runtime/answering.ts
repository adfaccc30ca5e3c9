// Answering: an answer to an open question, brought to wherever its session is.

import type { Fact } from "../actors/facts.ts";
import type { SessionState } from "../actors/session-state.ts";
import { openQuestions } from "../actors/view.ts";
import { commitAside } from "./aside.ts";
import type { EngineParts } from "./engine-parts.ts";
import type { Exclusive } from "./exclusive.ts";
import { answerable, answerFact, unknownQuestion } from "./answer-fact.ts";
import type { Elsewhere } from "./elsewhere.ts";
import { loadSession } from "./log-fold.ts";
import { unknownSession } from "./outcome.ts";
import { assertTaken } from "./posted-answers.ts";
import type { NewBlobs } from "./values.ts";

export interface AnsweringPorts {
  readonly parts: EngineParts;
  readonly exclusive: Exclusive;
  readonly elsewhere: Pick<Elsewhere, "adopted" | "ask" | "askAnyHost">;
  state(sessionId: string): Promise<SessionState>;
  /** Goes on with a session that waits, with the answers. */
  goOn(sessionId: string, answers: Readonly<Record<string, unknown>>): Promise<unknown>;
}

/**
 * Resolves once the answer is recorded, or the very same one was. Where the owner of the session goes away meanwhile, once
 * it is posted: the next owner takes it.
 *
 * @throws {OrchestraError} `ORCH_QUESTION_UNKNOWN`, `ORCH_SESSION_UNKNOWN`, `ORCH_CONDITION`, `ORCH_NOT_SERIALIZABLE`;
 *   `ORCH_SESSION_BUSY` when a host that owns the session has not seen to it in 30 s: it is posted, and may be taken yet.
 */
export async function answerQuestion(
  at: AnsweringPorts,
  sessionId: string,
  questionId: string,
  value: unknown,
): Promise<void> {
  const { live, ports, codes } = at.parts;
  const running = live.get(sessionId);
  if (running !== undefined) {
    const { session } = running;
    const blobs: NewBlobs = new Map();
    const fact = await answerFact(
      session.state,
      questionId,
      value,
      { values: ports.values, code: session.code, nowMs: ports.clock.nowMs() },
      blobs,
    );
    const committed = await live.commit(session, [fact], blobs);
    if (committed === undefined) return answerQuestion(at, sessionId, questionId, value);
    if (!committed.accepted) throw unknownQuestion(sessionId, questionId);
    return;
  }
  const loaded = await loadSession(ports.store, sessionId);
  if (loaded === null) throw unknownSession(sessionId);
  const { state } = loaded.position;
  const parent = state.run?.parent;
  // A nested run's question that has become its parent's is answered there, so that both go on.
  if (parent && (await asks(at, parent.sessionId, questionId)))
    return answerQuestion(at, parent.sessionId, questionId, value);
  if ((await at.parts.ownerElsewhere(sessionId, loaded.entry)) !== null) {
    await answerable(state, questionId, value, { values: ports.values, nowMs: ports.clock.nowMs() });
    // An owner that lets go meanwhile leaves it to the next.
    const seen = await at.elsewhere.ask(sessionId, { type: "answer", body: { questionId, value } });
    if (seen) await assertTaken(ports, loaded.position, { [questionId]: value });
    return;
  }
  if (!openQuestions(state).some((question) => question.questionId === questionId))
    throw unknownQuestion(sessionId, questionId);
  if (state.status === "awaiting_user" && state.run !== null && codes.has(state.run.topologyHash)) {
    await at.goOn(sessionId, { [questionId]: value });
    return;
  }
  const known = state.run === null || codes.has(state.run.topologyHash);
  if (!known && state.status === "awaiting_user" && (await at.elsewhere.adopted())) {
    const { values, clock } = ports;
    await answerable(state, questionId, value, { values, nowMs: clock.nowMs() });
    await at.elsewhere.askAnyHost(sessionId, { type: "answer", body: { questionId, value } });
    await assertTaken(ports, loaded.position, { [questionId]: value });
    return;
  }
  const moved = await at.exclusive.run(sessionId, async () => {
    // It may have become live, or been written to, while this waited its turn.
    const last = await ports.store.last(sessionId);
    if (live.get(sessionId) !== undefined || last?.n !== loaded.position.n) return true;
    const blobs: NewBlobs = new Map();
    const code = state.run === null ? undefined : codes.get(state.run.topologyHash);
    const fact = await answerFact(
      state,
      questionId,
      value,
      { values: ports.values, code, nowMs: ports.clock.nowMs() },
      blobs,
    );
    // Nobody here can go on with the run: the answer is kept, and followed when the run is resumed.
    const paused: Fact[] =
      state.status === "paused" ? [] : [{ type: "paused", reason: "answered; to be resumed", inFlight: "abort" }];
    const { accepted } = await commitAside(ports, sessionId, loaded.position, [...paused, fact], blobs);
    if (!accepted) throw unknownQuestion(sessionId, questionId);
    return false;
  });
  if (moved) return answerQuestion(at, sessionId, questionId, value);
}

async function asks(at: AnsweringPorts, sessionId: string, questionId: string): Promise<boolean> {
  const state = await at.state(sessionId).catch(() => null);
  return state !== null && openQuestions(state).some((question) => question.questionId === questionId);
}
