// Question deadlines
//
// Owns:      when sessions that wait for people, and so are live nowhere, go on because nobody answered in time.
// Does not:  say what follows: whoever resumes a session finds what is too late by then (resume-facts.ts).
//
// Q1  One timer for all, for the earliest. It keeps no process alive: what is too late by then is taken at the next start.
// Q2  A session that cannot be gone on with is reported and left; who resumes it finds out by itself.

import { errorToData } from "../base/error-data.ts";
import type { Clock } from "../base/clock.ts";
import { isOrchestraError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";

export interface QuestionDeadlinesPorts {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Goes on with a session of which a question is too late. */
  goOn(sessionId: string): Promise<void>;
}

/** Sessions looked after at most; those beyond are found when they are resumed, or at the next start. */
const SESSIONS_MAX = 10_000;

export class QuestionDeadlines {
  readonly #ports: QuestionDeadlinesPorts;
  readonly #dueAtMs = new Map<string, number>();
  #armedForMs = Infinity;
  #disarm: (() => void) | undefined;
  #closed = false;

  constructor(ports: QuestionDeadlinesPorts) {
    this.#ports = ports;
  }

  /** The session waits for people until then; undefined: not, or for as long as it takes. */
  waits(sessionId: string, dueAtMs: number | undefined): void {
    this.#dueAtMs.delete(sessionId);
    if (dueAtMs === undefined || this.#dueAtMs.size >= SESSIONS_MAX) return;
    this.#dueAtMs.set(sessionId, dueAtMs);
    if (dueAtMs < this.#armedForMs) this.#arm();
  }

  close(): void {
    this.#closed = true;
    this.#disarm?.();
    this.#dueAtMs.clear();
  }

  #arm(): void {
    this.#disarm?.();
    this.#armedForMs = Math.min(...this.#dueAtMs.values());
    if (this.#closed || this.#armedForMs === Infinity) return;
    const { clock } = this.#ports;
    this.#disarm = clock.setTimer(Math.max(0, this.#armedForMs - clock.nowMs()), () => this.#wake(), { unref: true });
  }

  #wake(): void {
    const { clock, goOn, logger } = this.#ports;
    const nowMs = clock.nowMs();
    for (const [sessionId, dueAtMs] of [...this.#dueAtMs]) {
      if (dueAtMs > nowMs) continue;
      this.#dueAtMs.delete(sessionId);
      goOn(sessionId).catch((error: unknown) => {
        // Q2. Somebody else was quicker, or it is on its way already.
        if (isOrchestraError(error, "ORCH_CLOSED") || isOrchestraError(error, "ORCH_SESSION_STATE")) return;
        logger.warn(
          { sessionId, error: errorToData(error) },
          "a session whose question is too late could not be gone on with",
        );
      });
    }
    this.#arm();
  }
}
