// Question desk
//
// Owns:      which questions are out on the channel, for the sessions of one engine.
// Crossing:  engine.onQuestion() → Channel.ask() → engine.answer().
//
// Q1  A question goes to the channel once; it is withdrawn (its signal aborts) when it is answered elsewhere, is too
//     late, its branch or its run ends, or the desk closes.
// Q2  A channel that fails leaves its question open in the session: the run ends `awaiting_user` and says so.

import { errorToData } from "../base/error-data.ts";
import { isOrchestraError } from "../base/errors.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Question } from "../actors/effects.ts";
import type { Channel, UserQuestion } from "./channel.ts";
import type { Engine, RunEvent } from "./engine-api.ts";

type AskedQuestion = Question & { readonly promptValue: unknown };

interface Open {
  readonly abort: AbortController;
  /** True once the answer is committed, false when none will come from here. */
  readonly answered: Promise<boolean>;
}

export class QuestionDesk {
  readonly #engine: Engine;
  readonly #channel: Channel;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #open = new Map<string, Map<string, Open>>();
  readonly #stop: () => void;
  readonly #served = new Set<string>();

  constructor(engine: Engine, channel: Channel, logger: Logger, clock: Clock) {
    this.#engine = engine;
    this.#channel = channel;
    this.#logger = logger;
    this.#clock = clock;
    this.#stop = engine.onQuestion(
      (sessionId, question) => this.#ask(sessionId, question),
      (sessionId, questionId) => this.#withdraw(sessionId, questionId),
    );
  }

  /** From now on the questions of this session go to the channel. Those of runs nested in it are its own, so they are not asked twice. */
  begin(sessionId: string): void {
    this.#served.add(sessionId);
  }

  /** Puts those on the channel that were asked before anybody listened. */
  async askOpen(sessionId: string): Promise<void> {
    for (const { promptValue, session: _session, ...question } of await this.#engine.questions(sessionId))
      this.#ask(sessionId, { ...question, promptValue });
  }

  /** Waits for the next answer to a question of the session; false when no question of it is out. */
  async nextAnswer(sessionId: string, signal?: AbortSignal): Promise<boolean> {
    const open = [...(this.#open.get(sessionId)?.values() ?? [])];
    if (open.length === 0 || signal?.aborted) return false;
    return new Promise((resolve) => {
      const give = (): void => resolve(false);
      signal?.addEventListener("abort", give, { once: true });
      let left = open.length;
      for (const { answered } of open) {
        void answered.then((yes) => {
          left--;
          if (!yes && left > 0) return;
          signal?.removeEventListener("abort", give);
          resolve(yes);
        });
      }
    });
  }

  observe(event: RunEvent): void {
    if (event.type === "user.answered") this.answeredElsewhere(event.sessionId, event.questionId);
  }

  /** Told directly, too: the events of a run that waits are not followed. */
  answeredElsewhere(sessionId: string, questionId: string): void {
    this.#withdraw(sessionId, questionId);
  }

  /** The session's run is over: nothing of it is asked any more. */
  end(sessionId: string): void {
    this.#served.delete(sessionId);
    for (const questionId of [...(this.#open.get(sessionId)?.keys() ?? [])]) this.#withdraw(sessionId, questionId);
  }

  close(): void {
    this.#stop();
    for (const sessionId of [...this.#open.keys()]) this.end(sessionId);
  }

  #ask(sessionId: string, asked: AskedQuestion): void {
    const { questionId, node, branchId, kind, promptValue: prompt, dueAtMs } = asked;
    if (!this.#served.has(sessionId)) return;
    const ofSession = this.#open.get(sessionId) ?? new Map<string, Open>();
    if (ofSession.has(questionId)) return;
    this.#open.set(sessionId, ofSession);
    const abort = new AbortController();
    const answered = this.#carry(
      { questionId, sessionId, node, branchId, prompt, kind, ...(dueAtMs !== undefined && { dueAtMs }) },
      abort.signal,
    ).finally(() => {
      if (ofSession.get(questionId)?.abort === abort) ofSession.delete(questionId);
      if (ofSession.size === 0 && this.#open.get(sessionId) === ofSession) this.#open.delete(sessionId);
    });
    ofSession.set(questionId, { abort, answered });
  }

  async #carry(question: UserQuestion, signal: AbortSignal): Promise<boolean> {
    const { sessionId, questionId, dueAtMs } = question;
    const letGo = dueAtMs === undefined ? undefined : this.#holdProcess(dueAtMs);
    try {
      const value = await Promise.race([this.#channel.ask(question, signal), aborted(signal)]);
      if (signal.aborted) return true;
      await this.#engine.answer(sessionId, questionId, value);
      return true;
    } catch (error) {
      // Withdrawn because somebody else answered, or answered in the same moment.
      if (signal.aborted || isOrchestraError(error, "ORCH_QUESTION_UNKNOWN")) return true;
      this.#logger.warn(
        { sessionId, questionId, channel: this.#channel.name, error: errorToData(error) },
        "the channel could not carry a question; it stays open",
      );
      return false;
    } finally {
      letGo?.();
    }
  }

  /** Somebody waits for the end of the run: the process lives until then, whatever the channel holds open. */
  #holdProcess(untilMs: number): () => void {
    return this.#clock.setTimer(Math.max(0, untilMs - this.#clock.nowMs()), () => undefined);
  }

  #withdraw(sessionId: string, questionId: string): void {
    this.#open.get(sessionId)?.get(questionId)?.abort.abort();
  }
}

// A channel may leave its promise as it is once the question is withdrawn.
function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
