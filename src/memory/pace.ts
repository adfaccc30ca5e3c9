// Pace: much work is done in pieces of a few milliseconds, and between them whatever else waits has its turn.
//
// Pieces are counted, not timed: the same work falls into the same pieces on every machine.

const PIECE_US = 4_000;

/** Counts work by what it takes on a processor of 2025, in microseconds, roughly. */
export class Pace {
  #doneUs = 0;

  /** Whether a piece is full with this, so that it is time to `breathe()`. */
  isDue(us: number): boolean {
    this.#doneUs += us;
    if (this.#doneUs < PIECE_US) return false;
    this.#doneUs = 0;
    return true;
  }
}

export function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
