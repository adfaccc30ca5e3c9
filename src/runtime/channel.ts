// Channels: the ways to a person. The question itself is durable in the session's log; a channel only carries it.

import { createInterface } from "node:readline/promises";

import { OrchestraError } from "../base/errors.ts";
import { responseAsText } from "./response-text.ts";

/** A question of a run to a person. */
export interface UserQuestion {
  readonly questionId: string;
  readonly sessionId: string;
  readonly node: string;
  readonly branchId: string;
  readonly prompt: unknown;
  /** `follow-up`: not a question of an agent, but whether the person has one. */
  readonly kind: "ask" | "node" | "insufficient" | "nested" | "follow-up";
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

/** Standard input and output, or the streams given. Several questions are asked one after another. */
export function terminalChannel({
  input = process.stdin,
  output = process.stderr,
}: { input?: NodeJS.ReadableStream; output?: NodeJS.WritableStream } = {}): Channel {
  let turn: Promise<unknown> = Promise.resolve();
  const ask = async (question: UserQuestion, signal: AbortSignal): Promise<string> => {
    const lines = createInterface({ input, output });
    try {
      const from = question.kind === "follow-up" ? "" : `[${question.node}] `;
      return await Promise.race([
        lines.question(`${from}${responseAsText(question.prompt)}\n> `, { signal }),
        closedInput(lines),
      ]);
    } finally {
      lines.close();
    }
  };
  return {
    name: "terminal",
    ask(question, signal) {
      const answer = turn.then(() => ask(question, signal));
      turn = answer.catch(() => undefined);
      return answer;
    },
    tell: (value) => void output.write(`${responseAsText(value)}\n`),
  };
}

// Without this a question to a closed input would wait for ever.
function closedInput(lines: { once(event: "close", listener: () => void): unknown }): Promise<never> {
  return new Promise((_resolve, reject) => {
    lines.once("close", () =>
      reject(new OrchestraError("ORCH_CLOSED", "the terminal's input ended before the question was answered")),
    );
  });
}

/** Questions to be taken by code of yours, as they come: `for await (const question of channel) channel.respond(question.questionId, …)`. */
export interface QueueChannel extends Channel, AsyncIterable<UserQuestion> {
  /** @throws {OrchestraError} `ORCH_QUESTION_UNKNOWN` when no such question is open here. */
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
