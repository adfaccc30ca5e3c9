// Run timers: the deadlines a run machine asked for, on the engine's clock. A timer that fires is a fact.

import type { Clock } from "../base/clock.ts";
import type { Deadline, Deadlines } from "./deadlines.ts";

export class RunTimers {
  readonly #clock: Clock;
  readonly #deadlines: Deadlines;
  readonly #onFired: (timerId: string) => void;
  readonly #armed = new Map<string, Deadline>();

  constructor(clock: Clock, deadlines: Deadlines, onFired: (timerId: string) => void) {
    this.#clock = clock;
    this.#deadlines = deadlines;
    this.#onFired = onFired;
  }

  /** Arms, or moves. `dueAtMs` is on the wall clock, as facts are. */
  arm(timerId: string, dueAtMs: number): void {
    this.disarm(timerId);
    const deadline = this.#deadlines.after(dueAtMs - this.#clock.nowMs(), () => {
      this.#armed.delete(timerId);
      // The wall clock may have been set back meanwhile; the reducer goes by it.
      if (this.#clock.nowMs() < dueAtMs) this.arm(timerId, dueAtMs);
      else this.#onFired(timerId);
    });
    this.#armed.set(timerId, deadline);
  }

  disarm(timerId: string): void {
    const deadline = this.#armed.get(timerId);
    if (deadline === undefined) return;
    this.#armed.delete(timerId);
    this.#deadlines.clear(deadline);
  }

  clear(): void {
    for (const deadline of this.#armed.values()) this.#deadlines.clear(deadline);
    this.#armed.clear();
  }
}
