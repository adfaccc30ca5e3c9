// Places: a bound on how many hold one at a time, first come, first served.

export class Places {
  #free: number;
  readonly #waiting = new Set<(got: boolean) => void>();

  constructor(places: number) {
    this.#free = places;
  }

  /** Resolves with true once there is a place, with false when `signal` aborts before. */
  take(signal?: AbortSignal): Promise<boolean> {
    if (signal?.aborted) return Promise.resolve(false);
    if (this.#free > 0) {
      this.#free--;
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      const settle = (got: boolean): void => {
        this.#waiting.delete(settle);
        signal?.removeEventListener("abort", giveUp);
        resolve(got);
      };
      const giveUp = (): void => settle(false);
      this.#waiting.add(settle);
      signal?.addEventListener("abort", giveUp, { once: true });
    });
  }

  /** Takes one that there may not be: for who had one, let go of it, and needs it back at once. */
  takeAnyway(): void {
    this.#free--;
  }

  give(): void {
    const [first] = this.#waiting;
    if (first === undefined || this.#free < 0) this.#free++;
    else first(true);
  }
}
