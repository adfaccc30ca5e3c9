// Communication
//
// Owns:      which channel carries questions, and where answers from outside go.
// Does not:  keep questions; they are facts of their session, so any process that opens the store can answer them.

import { fstatSync } from "node:fs";
import { OrchestraError } from "../base/errors.ts";
import type { Channel, UserQuestion } from "./channel.ts";
import { terminalChannel } from "./terminal-channel.ts";

/** An open question as `pending` lists it. */
export interface PendingQuestion extends UserQuestion {
  readonly askedAtMs: number;
}

/** Where a manager finds questions and leaves answers: an instance, or a run that is under way. */
export interface QuestionSource {
  pending(sessionId: string | undefined): Promise<readonly PendingQuestion[]>;
  answer(sessionId: string, questionId: string, value: unknown): Promise<void>;
}

export interface CommunicationOptions {
  /** How questions are carried to a person. Default "none": runs end `awaiting_user`. */
  readonly channel?: "terminal" | "none" | Channel;
}

export class CommunicationManager {
  readonly channel: Channel | undefined;
  readonly #sources = new Set<QuestionSource>();

  constructor({ channel = "none" }: CommunicationOptions = {}) {
    this.channel = toChannel(channel);
  }

  /** Open questions of every instance this manager was handed to, oldest first. */
  async pending({ sessionId }: { sessionId?: string } = {}): Promise<readonly PendingQuestion[]> {
    const lists = await Promise.all([...this.#sources].map((source) => source.pending(sessionId)));
    const byId = new Map(lists.flat().map((question) => [`${question.sessionId} ${question.questionId}`, question]));
    return [...byId.values()].sort((a, b) => a.askedAtMs - b.askedAtMs);
  }

  /**
   * Answers a question; durable once resolved. A run that is under way goes on by itself, one that ended
   * `awaiting_user` is continued by `resumeSession`.
   *
   * @throws {OrchestraError} `ORCH_QUESTION_UNKNOWN` when no such question is open, `ORCH_AMBIGUOUS_ANSWER` when several
   *   sessions have an open question of that id and `sessionId` does not choose.
   */
  async submitResponse(questionId: string, value: unknown, { sessionId }: { sessionId?: string } = {}): Promise<void> {
    for (const source of this.#sources) {
      const found = (await source.pending(sessionId)).filter((question) => question.questionId === questionId);
      const [question, ...others] = found;
      if (question === undefined) continue;
      if (others.length > 0) {
        const sessions = found.map((one) => one.sessionId).join(", ");
        throw new OrchestraError(
          "ORCH_AMBIGUOUS_ANSWER",
          `question "${questionId}" is open in several sessions (${sessions}); pass { sessionId }`,
        );
      }
      return source.answer(question.sessionId, questionId, value);
    }
    const where = sessionId === undefined ? "" : ` in session "${sessionId}"`;
    const hint = this.#sources.size === 0 ? "; hand this manager to an OrchestraInstance first" : "";
    throw new OrchestraError("ORCH_QUESTION_UNKNOWN", `no open question "${questionId}"${where}${hint}`);
  }

  /** Called by what runs sessions. Returns the way to detach. */
  attach(source: QuestionSource): () => void {
    this.#sources.add(source);
    return () => void this.#sources.delete(source);
  }
}

/** The channel of a configuration: a terminal only where a person sits, unless one is asked for. */
export function toChannel(channel: "terminal" | "none" | Channel | undefined): Channel | undefined {
  if (channel === undefined) return isAtTerminal() ? terminalChannel() : undefined;
  if (channel === "none") return undefined;
  return channel === "terminal" ? terminalChannel() : channel;
}

function isAtTerminal(): boolean {
  // What is no device is no terminal, and `process.stdin`, which opens a stream for whatever it is, need not be made.
  const isDevice = (fd: number): boolean => {
    try {
      return fstatSync(fd).isCharacterDevice();
    } catch {
      return false;
    }
  };
  return isDevice(0) && isDevice(2) && process.stdin.isTTY && process.stderr.isTTY;
}
