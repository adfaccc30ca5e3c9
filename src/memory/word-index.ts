// Word index: which entries hold which words, and how well they fit a query by them. BM25 as in Robertson and Zaragoza 2009,
// "The Probabilistic Relevance Framework: BM25 and Beyond", section 3.

import { countWords } from "./words.ts";

/** How soon repeats of a word stop counting. */
const K1 = 1.2;
/** How much of a text's length is held against it. */
const B = 0.75;

interface Postings {
  /** Slots and counts, two numbers each; those of dead slots, too. */
  readonly slots: number[];
  /** Entries that are there and hold the word. */
  live: number;
}

export class WordIndex {
  readonly #postings = new Map<string, Postings>();
  readonly #lengths: number[] = [];
  #live = 0;
  #words = 0;

  /** Slots come in order, one by one. */
  add(text: string): void {
    const slot = this.#lengths.length;
    let length = 0;
    for (const [word, count] of countWords(text)) {
      length += count;
      const postings = this.#postings.get(word);
      if (postings === undefined) this.#postings.set(word, { slots: [slot, count], live: 1 });
      else {
        postings.slots.push(slot, count);
        postings.live += 1;
      }
    }
    this.#lengths.push(length);
    this.#words += length;
    this.#live += 1;
  }

  /** Its postings stay while others hold its words; whoever searches passes it over. */
  remove(slot: number, text: string): void {
    for (const word of countWords(text).keys()) {
      const postings = this.#postings.get(word);
      if (postings === undefined) continue;
      postings.live -= 1;
      if (postings.live === 0) this.#postings.delete(word);
    }
    this.#words -= this.#lengths[slot] ?? 0;
    this.#live -= 1;
  }

  /** Inverse document frequency, never below 0. */
  rarity(word: string): number {
    const found = this.#postings.get(word)?.live ?? 0;
    return Math.log(1 + Math.max(0, this.#live - found + 0.5) / (found + 0.5));
  }

  /** For each slot how well it fits, 0 to 1, where 1 is out of reach; null when no entry holds any of the words. */
  score(query: string): Float32Array | null {
    const scores = new Float32Array(this.#lengths.length);
    const average = this.#words / Math.max(1, this.#live);
    let best = 0;
    let found = false;
    for (const word of countWords(query).keys()) {
      const rarity = this.rarity(word);
      best += rarity * (K1 + 1);
      const postings = this.#postings.get(word)?.slots ?? [];
      found ||= postings.length > 0;
      for (let i = 0; i < postings.length; i += 2) {
        const slot = postings[i] as number;
        const count = postings[i + 1] as number;
        const norm = K1 * (1 - B + (B * (this.#lengths[slot] ?? 0)) / average);
        scores[slot] = (scores[slot] ?? 0) + (rarity * count * (K1 + 1)) / (count + norm);
      }
    }
    if (!found || best === 0) return null;
    for (let slot = 0; slot < scores.length; slot++) scores[slot] = (scores[slot] as number) / best;
    return scores;
  }
}
