// Question listeners: who hears of questions as they are asked, and which are open.

import type { Question } from "../actors/effects.ts";
import { openQuestions } from "../actors/view.ts";
import { errorToData } from "../base/error-data.ts";
import type { Logger } from "../base/logger.ts";
import type { Engine } from "./engine-api.ts";
import type { EngineParts } from "./engine-parts.ts";
import { loadSession } from "./log-fold.ts";
import type { Values } from "./values.ts";

export type QuestionListener = Parameters<Engine["onQuestion"]>[0];
export type WithdrawnListener = NonNullable<Parameters<Engine["onQuestion"]>[1]>;

export class QuestionListeners {
  readonly #values: Values;
  readonly #logger: Logger;
  readonly #listeners = new Set<QuestionListener>();
  readonly #withdrawn = new Set<WithdrawnListener>();
  /** Questions about to be told, whose prompts are being read. */
  readonly #untold = new Set<{ readonly sessionId: string; readonly questionId: string }>();

  constructor(values: Values, logger: Logger) {
    this.#values = values;
    this.#logger = logger;
  }

  add(listener: QuestionListener, withdrawn: WithdrawnListener = () => undefined): () => void {
    this.#listeners.add(listener);
    this.#withdrawn.add(withdrawn);
    return () => {
      this.#listeners.delete(listener);
      this.#withdrawn.delete(withdrawn);
    };
  }

  /** One that has not been told yet never is. */
  tellWithdrawn(sessionId: string, questionId: string): void {
    for (const one of this.#untold)
      if (one.sessionId === sessionId && one.questionId === questionId) this.#untold.delete(one);
    for (const listener of this.#withdrawn) listener(sessionId, questionId);
  }

  /** A listener that throws is reported; the others hear of the question all the same. */
  tell(sessionId: string, question: Question): void {
    if (this.#listeners.size === 0) return;
    const one = { sessionId, questionId: question.questionId };
    this.#untold.add(one);
    this.#values.resolve(question.prompt).then(
      (promptValue) => {
        if (!this.#untold.delete(one)) return;
        for (const listener of this.#listeners) this.#call(listener, sessionId, { ...question, promptValue });
      },
      (error: unknown) => {
        this.#untold.delete(one);
        this.#logger.error({ sessionId, error: errorToData(error) }, "the prompt of a question could not be read");
      },
    );
  }

  #call(listener: QuestionListener, sessionId: string, question: Parameters<QuestionListener>[1]): void {
    try {
      listener(sessionId, question);
    } catch (error) {
      this.#logger.error({ sessionId, error: errorToData(error) }, "a listener of questions threw");
    }
  }
}

/** Open questions of one session, or of all. */
export async function listQuestions(parts: EngineParts, sessionId?: string): ReturnType<Engine["questions"]> {
  const { values, store } = parts.ports;
  const ids = sessionId === undefined ? await parts.sessionsWithQuestions() : [sessionId];
  const found: Awaited<ReturnType<Engine["questions"]>>[number][] = [];
  for (const id of ids) {
    const state = parts.live.get(id)?.session.state ?? (await loadSession(store, id))?.position.state;
    if (state === undefined) continue;
    for (const question of openQuestions(state))
      found.push({ ...question, session: id, promptValue: await values.resolve(question.prompt) });
  }
  return found;
}
