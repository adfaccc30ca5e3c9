import type { Clock } from "../base/clock.ts";

/** A timer that has not fired. */
export interface PendingTimer {
  /** Milliseconds from now. */
  readonly inMs: number;
  /** Where it was set, as a stack: what to look at when a timer leaks. */
  readonly setAt: string;
}

interface Timer {
  readonly dueMs: number;
  readonly fire: () => void;
  readonly trace: Error;
}

/**
 * A clock that stands still until it is told to move. Timers fire in the order they are due, those due together in the
 * order they were set, each at its own time; between two of them every pending promise job runs, so that what one
 * timer sets going is done before the next fires. Only what waits for the real world (files, sockets) is not waited for.
 */
export class SimClock implements Clock {
  #monotonicMs = 0;
  #wallOffsetMs: number;
  /** By due time, then by order of setting. */
  readonly #timers: Timer[] = [];
  #advancing = false;

  /** `startMs`: the wall clock at the start. Default 2030-01-01. */
  constructor(options: { startMs?: number } = {}) {
    this.#wallOffsetMs = options.startMs ?? Date.UTC(2030, 0, 1);
  }

  nowMs(): number {
    return this.#wallOffsetMs + this.#monotonicMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  setTimer(delayMs: number, fire: () => void): () => void {
    // As in Node: what is no positive number is no delay.
    const timer: Timer = {
      dueMs: this.#monotonicMs + (delayMs > 0 ? delayMs : 0),
      fire,
      trace: new Error("timer set here"),
    };
    let at = this.#timers.length;
    while (at > 0 && (this.#timers[at - 1]?.dueMs ?? 0) > timer.dueMs) at--;
    this.#timers.splice(at, 0, timer);
    return () => {
      const found = this.#timers.indexOf(timer);
      if (found >= 0) this.#timers.splice(found, 1);
    };
  }

  /** Moves time on by `ms`, firing what falls due. What a timer throws comes out here, with time standing at that timer. */
  async advance(ms: number): Promise<void> {
    if (!(ms >= 0)) throw new TypeError(`advance: expected milliseconds from 0, got ${ms}`);
    if (this.#advancing) throw new TypeError("advance: the clock is already being advanced; wait for that first");
    this.#advancing = true;
    try {
      await this.#advanceTo(this.#monotonicMs + ms);
    } finally {
      this.#advancing = false;
    }
  }

  /** Moves time on to a wall-clock time; one that has passed only lets pending promise jobs run. */
  async advanceTo(wallMs: number): Promise<void> {
    await this.advance(Math.max(0, wallMs - this.nowMs()));
  }

  /** Sets the wall clock forward or (negative) back, as an administrator would. Timers and the monotonic clock do not notice. */
  jump(ms: number): void {
    this.#wallOffsetMs += ms;
  }

  /** Timers that have not fired, the next one first. Empty when nothing leaked. */
  pending(): readonly PendingTimer[] {
    return this.#timers.map((timer) => ({ inMs: timer.dueMs - this.#monotonicMs, setAt: timer.trace.stack ?? "" }));
  }

  /** Lets every promise job that can run do so, without moving time. */
  async settle(): Promise<void> {
    // Node empties the queue of promise jobs before it comes to immediates.
    await new Promise<void>((resolve) => setImmediate(resolve));
  }

  async #advanceTo(targetMs: number): Promise<void> {
    await this.settle();
    for (let next = this.#timers[0]; next !== undefined && next.dueMs <= targetMs; next = this.#timers[0]) {
      this.#timers.shift();
      this.#monotonicMs = Math.max(this.#monotonicMs, next.dueMs);
      next.fire();
      await this.settle();
    }
    this.#monotonicMs = targetMs;
  }
}
