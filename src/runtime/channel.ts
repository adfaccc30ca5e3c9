// Channels: the ways to a person. The question itself is durable in the session's log; a channel only carries it.

import { OrchestraError } from "../base/errors.ts";
import { readAnswer } from "./prompts.ts";

/** A question of a run to a person. */
export interface UserQuestion {
  readonly questionId: string;
  readonly sessionId: string;
  readonly node: string;
  readonly branchId: string;
  readonly prompt: unknown;
  /** `follow-up`: not a question of an agent, but whether the person has one. */
  readonly kind: "ask" | "node" | "insufficient" | "nested" | "recovery" | "follow-up";
  /** When it is too late to answer, in wall-clock milliseconds. Absent: never. */
  readonly dueAtMs?: number;
}

export interface Channel {
  readonly name: string;
  /**
   * Brings the question to a person and resolves with the answer. `signal` aborts when it was answered elsewhere or
   * is no longer asked; what the promise does then is ignored. For a `follow-up`, undefined or "" means none.
   */
  ask(question: UserQuestion, signal: AbortSignal): Promise<unknown>;
  /** Shows a person the result a follow-up question may be put to. */
  tell?(value: unknown): void;
  close?(): void;
}

/** Asks by a function of yours. */
export function callbackChannel(answer: (question: UserQuestion, signal: AbortSignal) => unknown): Channel {
  return { name: "callback", ask: async (question, signal) => answer(question, signal) };
}

/** Questions to be taken by code of yours, as they come: `for await (const question of channel) channel.respond(question.questionId, …)`. */
export interface QueueChannel extends Channel, AsyncIterable<UserQuestion> {
  /** @throws {OrchestraError} `ORCH_QUESTION_UNKNOWN` when no such question is open here, `ORCH_ANSWER_INVALID` when the value does not fit its prompt. */
  respond(questionId: string, value: unknown, options?: { sessionId?: string }): void;
  /** Ends the iteration. */
  close(): void;
}

/** Holds at most `capacity` (default 1,000) questions nobody has taken; beyond it a question is refused on this channel and stays open in its session. */
export function queueChannel({ capacity = 1000 }: { capacity?: number } = {}): QueueChannel {
  const waiting: UserQuestion[] = [];
  const open = new Map<string, (value: unknown) => void>();
  let wake: (() => void) | undefined;
  let closed = false;
  const keyOf = (sessionId: string, questionId: string): string => `${sessionId} ${questionId}`;

  async function* questions(): AsyncGenerator<UserQuestion> {
    while (true) {
      const question = waiting.shift();
      if (question !== undefined) yield question;
      else if (closed) return;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  }

  return {
    name: "queue",
    ask(question, signal) {
      if (closed) return Promise.reject(new OrchestraError("ORCH_CLOSED", "the question queue is closed"));
      if (waiting.length >= capacity)
        return Promise.reject(
          new OrchestraError("ORCH_OVERLOADED", `${waiting.length} questions wait to be taken (capacity ${capacity})`),
        );
      const key = keyOf(question.sessionId, question.questionId);
      return new Promise((resolve, reject) => {
        const withdraw = (): void => {
          open.delete(key);
          const place = waiting.indexOf(question);
          if (place >= 0) waiting.splice(place, 1);
          reject(new OrchestraError("ORCH_CANCELLED", `question ${question.questionId} is no longer asked`));
        };
        signal.addEventListener("abort", withdraw, { once: true });
        open.set(key, (value) => {
          readAnswer(question.prompt, value);
          signal.removeEventListener("abort", withdraw);
          open.delete(key);
          resolve(value);
        });
        waiting.push(question);
        wake?.();
      });
    },
    respond(questionId, value, { sessionId } = {}) {
      const key =
        sessionId === undefined
          ? [...open.keys()].find((candidate) => candidate.endsWith(` ${questionId}`))
          : keyOf(sessionId, questionId);
      const answer = key === undefined ? undefined : open.get(key);
      if (answer === undefined)
        throw new OrchestraError("ORCH_QUESTION_UNKNOWN", `no open question "${questionId}" on this channel`);
      answer(value);
    },
    [Symbol.asyncIterator]: questions,
    close() {
      closed = true;
      wake?.();
    },
  };
}
