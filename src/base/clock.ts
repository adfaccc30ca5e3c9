/** The only source of time. Handed in everywhere, so that a whole system runs on a simulated one. */
export interface Clock {
  /** Wall-clock milliseconds since the epoch. May jump. */
  nowMs(): number;
  /** Milliseconds on a clock that never runs backwards. Origin unspecified. */
  monotonicMs(): number;
  /** Calls `fire` once, `delayMs` from now (0 allowed). With `unref` it keeps no process alive. The returned function cancels; it may be called twice. */
  setTimer(delayMs: number, fire: () => void, options?: { unref?: boolean }): () => void;
}

export function sleep(clock: Pick<Clock, "setTimer">, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.setTimer(ms, resolve));
}

// A Node timer longer than 2^31-1 ms fires at once; longer delays are slept in pieces.
const LONGEST_TIMER_MS = 2_147_483_647;

/** The machine's own clock. Its timers do not keep the process alive on their own account when `unref` is set. */
export function systemClock(options: { unref?: boolean } = {}): Clock {
  return {
    nowMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    setTimer(delayMs, fire, { unref = options.unref } = {}) {
      let handle: NodeJS.Timeout;
      const arm = (remainingMs: number): void => {
        const pieceMs = Math.min(remainingMs, LONGEST_TIMER_MS);
        handle = setTimeout(() => (remainingMs > pieceMs ? arm(remainingMs - pieceMs) : fire()), pieceMs);
        if (unref) handle.unref();
      };
      arm(Math.max(0, delayMs));
      return () => clearTimeout(handle);
    },
  };
}
