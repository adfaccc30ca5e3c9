// Shelf
//
// Owns:      what a search in one scope looks at: vectors, words and marks of its entries, in slots counted from 0.
// Does not:  hold values, or know how the best are found.
//
// S1  Slots are in the order of the entries' numbers when the shelf is filled; later ones follow. A slot is never used again.
// S2  An entry that was removed leaves a dead slot behind, whose vector is blank.

import type { Kept } from "./records.ts";
import { textOf } from "./records.ts";
import { Vectors } from "./vectors.ts";
import { WordIndex } from "./word-index.ts";

/** More dead slots than this, and than half of all, and it is filled anew. */
const DEAD_MAX = 1_000;

/** What a search asks of entries beside the query. */
export interface ShelfFilter {
  readonly namespaces: ReadonlySet<string> | null;
  readonly tags: readonly string[];
  readonly minQuality: number | null;
}

const ADDING_US = 10;
/** Of a text whose words are counted. */
const CHARS_PER_US = 8;

interface Mark {
  readonly seq: number;
  readonly namespace: string;
  readonly tags: readonly string[];
  readonly quality: number | null;
  readonly expiresAtMs: number | null;
}

export class Shelf {
  readonly vectors: Vectors;
  readonly words = new WordIndex();
  readonly #marks: (Mark | null)[] = [];
  readonly #slots = new Map<number, number>();
  #expiring = 0;

  constructor(dimensions: number) {
    this.vectors = new Vectors(dimensions);
  }

  /** Slots, dead ones included. */
  get size(): number {
    return this.#marks.length;
  }

  /** Entries. */
  get live(): number {
    return this.#slots.size;
  }

  /** One that is here already changes nothing. Returns what it took; see Pace. */
  add(entry: Kept, vector: Float32Array): number {
    if (this.#slots.has(entry.seq)) return 0;
    const { seq, namespace, tags, quality, expiresAtMs } = entry;
    this.#slots.set(seq, this.#marks.length);
    this.#marks.push({ seq, namespace, tags, quality, expiresAtMs });
    this.vectors.add(vector);
    const text = textOf(entry);
    this.words.add(text);
    if (expiresAtMs !== null) this.#expiring += 1;
    return ADDING_US + text.length / CHARS_PER_US;
  }

  /** Whether it holds more that is dead than is worth it. */
  get isWorn(): boolean {
    const dead = this.size - this.live;
    return dead > DEAD_MAX && 2 * dead > this.size;
  }

  /** Its slot, or null when it is not here. */
  remove(entry: Kept): number | null {
    const { seq } = entry;
    const slot = this.#slots.get(seq);
    if (slot === undefined) return null;
    if (this.#marks[slot]?.expiresAtMs !== null) this.#expiring -= 1;
    this.#slots.delete(seq);
    this.#marks[slot] = null;
    this.vectors.blank(slot);
    this.words.remove(slot, textOf(entry));
    return slot;
  }

  isLive(slot: number): boolean {
    return this.#marks[slot] !== null;
  }

  /** The entry in a slot, null when it is dead. */
  seqAt(slot: number): number | null {
    return this.#marks[slot]?.seq ?? null;
  }

  slotOf(seq: number): number | null {
    return this.#slots.get(seq) ?? null;
  }

  /** By slot: 1 where a search may find an entry, else 0. Null where all but dead slots may be found. */
  allowed({ namespaces, tags, minQuality }: ShelfFilter, nowMs: number): { bytes: Uint8Array; count: number } | null {
    if (namespaces === null && tags.length === 0 && minQuality === null && this.#expiring === 0) return null;
    const bytes = new Uint8Array(this.size);
    let count = 0;
    this.#marks.forEach((mark, slot) => {
      if (
        mark === null ||
        (namespaces !== null && !namespaces.has(mark.namespace)) ||
        (mark.expiresAtMs !== null && mark.expiresAtMs <= nowMs) ||
        (minQuality !== null && (mark.quality === null || mark.quality < minQuality)) ||
        !tags.every((tag) => mark.tags.includes(tag))
      )
        return;
      bytes[slot] = 1;
      count += 1;
    });
    return { bytes, count };
  }
}
