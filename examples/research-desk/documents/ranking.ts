// Ranking: an inverted index with BM25 over it.
//
// Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), section 3;
// the idf is the variant that never turns negative.

export interface Hit {
  /** Position of the text in the list the index was made from. */
  readonly item: number;
  readonly score: number;
}

const K1 = 1.2;
const B = 0.75;

export class TermIndex {
  readonly size: number;
  readonly #lengths: readonly number[];
  readonly #meanLength: number;
  readonly #postings: ReadonlyMap<string, readonly { readonly item: number; readonly count: number }[]>;

  /** `texts[i]` are the terms of item i. */
  constructor(texts: readonly (readonly string[])[]) {
    const postings = new Map<string, { item: number; count: number }[]>();
    for (const [item, terms] of texts.entries()) {
      for (const term of terms) {
        const list = postings.get(term);
        const last = list?.at(-1);
        if (list === undefined) postings.set(term, [{ item, count: 1 }]);
        else if (last?.item === item) last.count += 1;
        else list.push({ item, count: 1 });
      }
    }
    this.size = texts.length;
    this.#lengths = texts.map((terms) => terms.length);
    this.#meanLength = this.#lengths.reduce((sum, length) => sum + length, 0) / Math.max(1, texts.length);
    this.#postings = postings;
  }

  get termCount(): number {
    return this.#postings.size;
  }

  /** In how many items the term stands. */
  documentFrequency(term: string): number {
    return this.#postings.get(term)?.length ?? 0;
  }

  idf(term: string): number {
    const found = this.documentFrequency(term);
    return Math.log(1 + (this.size - found + 0.5) / (found + 0.5));
  }

  /** Best first; items with equal scores in their own order. `query` maps terms to weights. */
  rank(query: ReadonlyMap<string, number>, limit = Number.POSITIVE_INFINITY): Hit[] {
    const scores = new Map<number, number>();
    for (const [term, weight] of query) {
      const idf = this.idf(term);
      for (const { item, count } of this.#postings.get(term) ?? []) {
        const length = (this.#lengths[item] ?? 0) / this.#meanLength;
        const part = (weight * idf * count * (K1 + 1)) / (count + K1 * (1 - B + B * length));
        scores.set(item, (scores.get(item) ?? 0) + part);
      }
    }
    const hits = [...scores].map(([item, score]) => ({ item, score }));
    return hits.sort((a, b) => b.score - a.score || a.item - b.item).slice(0, limit);
  }
}
