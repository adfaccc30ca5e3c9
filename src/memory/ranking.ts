// Ranking: which of many are the best, and which of the best to show.

/** Keeps the best `size` of all that is offered: a heap with the worst of them on top. */
export class Best {
  readonly #size: number;
  readonly #slots: number[] = [];
  readonly #scores: number[] = [];

  constructor(size: number) {
    this.#size = size;
  }

  offer(slot: number, score: number): void {
    if (this.#slots.length < this.#size) {
      this.#slots.push(slot);
      this.#scores.push(score);
      this.#rise(this.#slots.length - 1);
    } else if (this.#size > 0 && score > (this.#scores[0] as number)) {
      this.#slots[0] = slot;
      this.#scores[0] = score;
      this.#sink();
    }
  }

  /** Best first; of equals the one that was there before. */
  ranked(): { readonly slot: number; readonly score: number }[] {
    return this.#slots
      .map((slot, i) => ({ slot, score: this.#scores[i] as number }))
      .sort((a, b) => b.score - a.score || a.slot - b.slot);
  }

  #rise(from: number): void {
    for (let at = from; at > 0;) {
      const parent = (at - 1) >> 1;
      if ((this.#scores[at] as number) >= (this.#scores[parent] as number)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #sink(): void {
    for (let at = 0; ;) {
      const left = 2 * at + 1;
      let least = at;
      for (const child of [left, left + 1])
        if (child < this.#slots.length && (this.#scores[child] as number) < (this.#scores[least] as number))
          least = child;
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #swap(a: number, b: number): void {
    [this.#slots[a], this.#slots[b]] = [this.#slots[b] as number, this.#slots[a] as number];
    [this.#scores[a], this.#scores[b]] = [this.#scores[b] as number, this.#scores[a] as number];
  }
}

/**
 * What fits by vectors and by words counts half each. A weighted sum keeps how far apart two scores are, which ranks alone do
 * not (Bruch et al. 2023, "An Analysis of Fusion Functions for Hybrid Retrieval").
 */
export function fuse(similarity: number, words: number): number {
  return (Math.max(0, similarity) + words) / 2;
}

/**
 * Takes `count` of the ranked: each the one that fits best less `diversity` times what it is like the nearest taken before
 * it. Carbonell and Goldstein 1998, "The Use of MMR, Diversity-Based Reranking". `turn` is told how many comparisons come next, and waited for.
 */
export async function diversify<T extends { readonly score: number }>(
  ranked: readonly T[],
  count: number,
  diversity: number,
  similarity: (a: T, b: T) => number,
  turn: (comparisons: number) => Promise<void>,
): Promise<T[]> {
  const rest = ranked.map((item) => ({ item, nearest: 0 }));
  const taken: T[] = [];
  while (taken.length < count && rest.length > 0) {
    let best = 0;
    const worth = ({ item, nearest }: { item: T; nearest: number }): number =>
      (1 - diversity) * item.score - diversity * nearest;
    for (let i = 1; i < rest.length; i++)
      if (worth(rest[i] as (typeof rest)[0]) > worth(rest[best] as (typeof rest)[0])) best = i;
    const [next] = rest.splice(best, 1) as [(typeof rest)[0]];
    taken.push(next.item);
    await turn(rest.length);
    for (const other of rest) other.nearest = Math.max(other.nearest, similarity(other.item, next.item));
  }
  return taken;
}
