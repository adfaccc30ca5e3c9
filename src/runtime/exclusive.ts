// Exclusive: what concerns one session is done one after another.

export class Exclusive {
  readonly #last = new Map<string, Promise<unknown>>();

  /** Runs `work` once everything asked for before under the same key has ended, however it ended. */
  run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const done = before === undefined ? work() : before.then(work, work);
    this.#last.set(key, done);
    const tidy = (): void => {
      if (this.#last.get(key) === done) this.#last.delete(key);
    };
    done.then(tidy, tidy);
    return done;
  }
}
