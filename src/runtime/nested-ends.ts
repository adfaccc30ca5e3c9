// Nested ends
//
// Owns:      that nested runs end with what they are nested in, also where the store fails at that very moment.
// Does not:  find those that a process before left behind (nested-recovery.ts).
//
// Whoever asks goes on once each was tried. What failed is tried again in the background for some ten minutes; after that, or
// once the engine is closed, it is left to the recovery of the next process.

import { errorToData } from "../base/error-data.ts";
import type { Logger } from "../base/logger.ts";
import { isFromUpTo } from "../base/nested-ids.ts";
import type { StepsUpTo } from "../base/nested-ids.ts";
import { nestedIn } from "../state/nested-sessions.ts";
import type { SessionStore } from "../state/ports.ts";
import { isEnded } from "../state/run-status.ts";
import { againLater } from "./again-later.ts";
import type { Deadlines } from "./deadlines.ts";

export interface NestedEndsPorts {
  readonly store: Pick<SessionStore, "listSessions">;
  readonly deadlines: Deadlines;
  readonly logger: Logger;
  cancel(sessionId: string, reason: string): Promise<unknown>;
}

const AROUND_IS_OVER = "the run around it is over";
/** Why a nested run is paused that nobody paused by itself. */
export const AROUND_STANDS_STILL = "the run around it stands still";
const AGAIN_MS = 250;

export class NestedEnds {
  readonly #ports: NestedEndsPorts;

  constructor(ports: NestedEndsPorts) {
    this.#ports = ports;
  }

  /**
   * Cancels what steps up to a point, or all, have nested in a session and has not ended; those of `begun` may not be in
   * the store yet. Never rejects.
   */
  around(sessionId: string, upTo: StepsUpTo | "all", begun: Iterable<string> = []): Promise<void> {
    const known = [...begun];
    const cancel = async (): Promise<void> => {
      // Who was not told yet that the run is over may have begun the next one.
      const unended = (await nestedIn(this.#ports.store, sessionId)).filter(
        (entry) => !isEnded(entry.status) && (upTo === "all" || isFromUpTo(entry.sessionId, sessionId, upTo)),
      );
      await this.#each([...known, ...unended.map((entry) => entry.sessionId)], AROUND_IS_OVER);
    };
    // Where all are meant the session is about to go, and another of its name may come.
    return this.#insist(sessionId, cancel, upTo !== "all");
  }

  /** Cancels one that a process before left behind. Never rejects. */
  orphaned(sessionId: string): Promise<void> {
    return this.#insist(sessionId, () => this.#each([sessionId], AROUND_IS_OVER));
  }

  /** Cancels one whose step is over. Never rejects. */
  ofStep(sessionId: string): Promise<void> {
    return this.#insist(sessionId, () => this.#each([sessionId], "the step that ran it is over"));
  }

  /** All of them, whichever fail. */
  async #each(sessionIds: readonly string[], reason: string): Promise<void> {
    const failures: unknown[] = [];
    for (const nestedId of new Set(sessionIds))
      await this.#ports.cancel(nestedId, reason).catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  }

  async #insist(sessionId: string, act: () => Promise<void>, again = true, times = 0): Promise<void> {
    try {
      await act();
    } catch (error) {
      this.#ports.logger.warn(
        { sessionId, times, error: errorToData(error) },
        "nested runs of a session could not be cancelled",
      );
      if (!again) return;
      againLater(this.#ports.deadlines, AGAIN_MS, times, () => void this.#insist(sessionId, act, again, times + 1));
    }
  }
}
