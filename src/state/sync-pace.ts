// Sync pace
//
// Owns:      how a program waits for its disk. In place is a third faster than by a thread and back, and stops
//            everything else for that time; so only a disk that is quick is waited for in place.
// Does not:  know what is put on disk.
//
// P1  The first wait is aside, and says how quick the disk is.
// P2  One wait in place that took longer than `QUICK_MS` sends the next `ASIDE_WAITS` aside; then P1 again.

const QUICK_MS = 0.5;
/** What the way to a thread and back adds at most, on a machine that has time. */
const THREAD_MS = 0.3;
const ASIDE_WAITS = 64;

export interface SyncWays {
  inPlace(descriptor: number): void;
  aside(descriptor: number): Promise<void>;
  nowMs(): number;
}

export class SyncPace {
  readonly #ways: SyncWays;
  #asideLeft = 1;

  constructor(ways: SyncWays) {
    this.#ways = ways;
  }

  /** Resolves once the file's data is on disk. Rejects with what the disk answered. */
  async wait(descriptor: number): Promise<void> {
    const { inPlace, aside, nowMs } = this.#ways;
    const fromMs = nowMs();
    if (this.#asideLeft === 0) {
      inPlace(descriptor);
      if (nowMs() - fromMs > QUICK_MS) this.#asideLeft = ASIDE_WAITS;
      return;
    }
    await aside(descriptor);
    this.#asideLeft--;
    if (this.#asideLeft === 0 && nowMs() - fromMs > QUICK_MS + THREAD_MS) this.#asideLeft = ASIDE_WAITS;
  }
}
