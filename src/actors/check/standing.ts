import type { IntMap } from "../int-map.ts";

/** How many stand at each end, as few numbers: a search keeps one for every fork of every state. */
export class Standing {
  /** End and count by turns, ends rising. */
  readonly #pairs: readonly number[];

  private constructor(pairs: readonly number[]) {
    this.#pairs = pairs;
  }

  static of(standing: IntMap<number>): Standing {
    const pairs: number[] = [];
    standing.find((count, end) => pairs.push(end, count) < 0);
    return new Standing(pairs);
  }

  /** The first in order of ends for which `test` holds. */
  find(test: (count: number, end: number) => boolean): number | undefined {
    const pairs = this.#pairs;
    for (let i = 0; i < pairs.length; i += 2) if (test(pairs[i + 1]!, pairs[i]!)) return pairs[i + 1];
    return undefined;
  }

  /** By how much each end differs from that of `before`. */
  since(before: Standing): Standing {
    return before.#merged(this, -1);
  }

  /** With these differences. */
  plus(differences: Standing): Standing {
    return differences.#pairs.length === 0 ? this : this.#merged(differences, 1);
  }

  /** `sign` times this and the other, ends at which nothing is left out. */
  #merged(other: Standing, sign: 1 | -1): Standing {
    const [a, b] = [this.#pairs, other.#pairs];
    const pairs: number[] = [];
    for (let i = 0, j = 0; i < a.length || j < b.length;) {
      const left = a[i] ?? Infinity;
      const right = b[j] ?? Infinity;
      let count = 0;
      if (left <= right) count += sign * a[i + 1]!;
      if (right <= left) count += b[j + 1]!;
      if (count !== 0) pairs.push(Math.min(left, right), count);
      if (left <= right) i += 2;
      if (right <= left) j += 2;
    }
    return new Standing(pairs);
  }
}
