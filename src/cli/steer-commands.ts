// `pause`, `cancel` and `answer`: a session steered from outside, whether a process runs it at this moment or not.

import { OrchestraError } from "../index.ts";
import { EXIT } from "./exit-code.ts";
import type { Io } from "./io.ts";
import { json } from "./json.ts";
import { questionLine } from "./question-line.ts";
import { jsonOrText, readAll, type StoreFlags } from "./session-options.ts";
import { knownSession, resumeHint, withStore } from "./store-access.ts";

interface SteerFlags extends StoreFlags {
  readonly json?: boolean;
  readonly reason?: string;
}

export async function pauseCommand(
  sessionId: string,
  flags: SteerFlags & { readonly abort?: boolean },
  io: Io,
): Promise<number> {
  return withStore(flags, io, async (store) => {
    const { status } = await knownSession(store, sessionId);
    const done = await store.operations.pause({
      sessionId,
      ...(flags.reason !== undefined && { reason: flags.reason }),
      inFlight: flags.abort ? "abort" : "finish",
    });
    if (!done) throw nothingTo("pause", sessionId, status);
    const steps = store.pid !== null && !flags.abort ? "; its steps in flight finish" : "";
    told(io, flags, { sessionId, paused: true, pid: store.pid }, `paused ${sessionId}${at(store.pid)}${steps}`);
    return EXIT.ok;
  });
}

export async function cancelCommand(sessionId: string, flags: SteerFlags, io: Io): Promise<number> {
  return withStore(flags, io, async (store) => {
    const { status } = await knownSession(store, sessionId);
    const done = await store.operations.cancel({
      sessionId,
      ...(flags.reason !== undefined && { reason: flags.reason }),
    });
    if (!done) throw nothingTo("cancel", sessionId, status);
    told(io, flags, { sessionId, cancelled: true, pid: store.pid }, `cancelled ${sessionId}${at(store.pid)}`);
    return EXIT.ok;
  });
}

export async function answerCommand(
  sessionId: string,
  text: string,
  flags: StoreFlags & { readonly json?: boolean; readonly question?: string },
  io: Io,
): Promise<number> {
  const value = jsonOrText(text === "-" ? await readAll(io.stdin) : text);
  return withStore(flags, io, async (store) => {
    await knownSession(store, sessionId);
    const open = await store.operations.questions({ sessionId });
    const [first, ...more] = open;
    if (first === undefined)
      throw new OrchestraError("ORCH_QUESTION_UNKNOWN", `session "${sessionId}" has no open question`, {
        details: { sessionId },
      });
    const lines = open.map((question) => `\n  ${questionLine(question)}`).join("");
    if (flags.question === undefined && more.length > 0)
      throw new OrchestraError("ORCH_AMBIGUOUS_ANSWER", `which question? Name it with --question ID:${lines}`, {
        details: { sessionId, questions: open.map(({ questionId }) => questionId) },
      });
    const questionId = flags.question ?? first.questionId;
    if (!open.some((question) => question.questionId === questionId))
      throw new OrchestraError(
        "ORCH_QUESTION_UNKNOWN",
        `session "${sessionId}" has no open question "${questionId}"; open:${lines}`,
        { details: { sessionId, questionId } },
      );
    await store.operations.answer({ sessionId, questionId, value });
    const status = (await store.operations.session({ sessionId }))?.status;
    const goesOn =
      status === "running" || store.pid !== null ? "" : `; ${resumeHint(sessionId, store)} goes on with it`;
    told(
      io,
      flags,
      { sessionId, questionId, answered: true, status: status ?? null, pid: store.pid },
      `answered ${questionId} of ${sessionId}${at(store.pid)}${goesOn}`,
    );
    return EXIT.ok;
  });
}

function told(io: Io, flags: { readonly json?: boolean }, data: unknown, text: string): void {
  io.out(flags.json ? json(data) : text);
}

function at(pid: number | null): string {
  return pid === null ? "" : ` (store open in process ${pid})`;
}

function nothingTo(what: string, sessionId: string, status: string): OrchestraError {
  return new OrchestraError("ORCH_SESSION_STATE", `nothing to ${what}: session "${sessionId}" is ${status}`, {
    details: { sessionId, status },
  });
}
