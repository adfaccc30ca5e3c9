// Persistent list that grows at its end
//
// Versions of a list share one array: the newest of them adds to it in place, and each shows no more than its own length.
// So a thousand arrivals at a join cost a thousand entries, where a copy for each would cost half a million. What is added
// to a version that is no longer the newest goes into a copy.

export class GrowingList<T> {
  readonly length: number;
  readonly #shared: T[];

  private constructor(shared: T[], length: number) {
    this.#shared = shared;
    this.length = length;
  }

  static from<T>(items: Iterable<T>): GrowingList<T> {
    const own = [...items];
    return new GrowingList(own, own.length);
  }

  with(item: T): GrowingList<T> {
    const isNewest = this.#shared.length === this.length;
    const shared = isNewest ? this.#shared : this.toArray();
    shared.push(item);
    return new GrowingList(shared, this.length + 1);
  }

  toArray(): T[] {
    return this.#shared.slice(0, this.length);
  }

  [Symbol.iterator](): IterableIterator<T> {
    return this.toArray().values();
  }
}
