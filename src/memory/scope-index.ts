// Scope index
//
// Owns:      the approximate index of one scope, as far as it has been built; its ordinals, and the file it is kept in.
// Does not:  decide which searches use it, or search what it does not cover yet.
//
// X1  It answers for the slots below `covered`, less the dead ones; before it was built and measured it covers none.
// X2  It covers nothing either where, at its best, it finds less than `RECALL_MIN` of what is nearest: right goes before fast.
// X3  A file is used only when what is said beside it agrees with the entries and with its checksum (index-cache.ts).

import type { IndexClient } from "./index-client.ts";
import type { CachedIndex, IndexCache } from "./index-cache.ts";
import type { Shelf } from "./shelf.ts";
import { BLOCK_VECTORS } from "./vectors.ts";

/** Of the ten nearest. */
export const RECALL_MIN = 0.95;
/** So many new entries are added together. */
const TAIL_MAX = 256;
/** More dead slots than this share, and it is built anew. */
const DEAD_MAX = 0.2;

export class ScopeIndex {
  readonly #client: IndexClient;
  readonly #shelf: Shelf;
  readonly #index: number;
  /** Slots by ordinal, and back. */
  readonly #slots: number[] = [];
  readonly #ordinals: number[] = [];
  readonly #removed = new Set<number>();
  #built = 0;
  #recall: number | null = null;
  #ef = 0;
  #extending: Promise<void> | null = null;
  #isSaved = false;
  /** Removals so far. */
  #removals = 0;

  private constructor(client: IndexClient, shelf: Shelf) {
    this.#client = client;
    this.#shelf = shelf;
    this.#index = client.newIndex();
  }

  /** From its file, where that agrees, else empty. */
  static async open(client: IndexClient, shelf: Shelf, cache: IndexCache | null): Promise<ScopeIndex> {
    const index = new ScopeIndex(client, shelf);
    const cached = (await cache?.read(shelf)) ?? null;
    if (cache !== null && cached !== null && (await index.#load(cached, cache.path))) return index;
    await cache?.forget();
    await client.ask({
      type: "create",
      index: index.#index,
      dimensions: shelf.vectors.dimensions,
      blockVectors: BLOCK_VECTORS,
    });
    return index;
  }

  get covered(): number {
    return (this.#recall ?? 0) >= RECALL_MIN && this.#client.failure === null ? this.#built : 0;
  }

  /** Measured on entries that it did not hold; null before that. */
  get recall(): number | null {
    return this.#recall;
  }

  get isWorn(): boolean {
    return this.#removed.size > DEAD_MAX * this.#slots.length && this.#removed.size > TAIL_MAX;
  }

  get isExtending(): boolean {
    return this.#extending !== null;
  }

  /** Takes in what came since, when it is enough to be worth it. Resolves when it is in. */
  extend(): Promise<void> {
    if (this.#shelf.size - this.#built < TAIL_MAX && this.#built > 0) return this.#extending ?? Promise.resolve();
    this.#extending ??= this.#extend().finally(() => (this.#extending = null));
    return this.#extending;
  }

  /** Slots of about the `count` nearest among those it covers. `allowed` by slot. */
  async search(vector: Float32Array, count: number, allowed: Uint8Array | null): Promise<number[]> {
    const answer = await this.#client.ask({
      type: "search",
      index: this.#index,
      vector,
      count,
      allowed: allowed === null ? null : this.#byOrdinal(allowed),
    });
    return answer.type === "found" ? answer.ordinals.map((ordinal) => this.#slots[ordinal] as number) : [];
  }

  /** What is said by slot. */
  #byOrdinal(bySlot: Uint8Array): Uint8Array {
    const bytes = new Uint8Array(this.#slots.length);
    for (let ordinal = 0; ordinal < bytes.length; ordinal++)
      bytes[ordinal] = bySlot[this.#slots[ordinal] as number] ?? 0;
    return bytes;
  }

  /** Resolves when its vector is out of the index. */
  async remove(slot: number): Promise<void> {
    this.#isSaved = false;
    this.#removals += 1;
    const ordinal = this.#ordinals[slot];
    // One that is being added is removed after that.
    if (ordinal !== undefined) await this.#removeOrdinals([ordinal]);
  }

  async save(cache: IndexCache): Promise<void> {
    if (this.#isSaved || this.covered === 0) return;
    this.#isSaved = true;
    const removals = this.#removals;
    const answer = await this.#client.ask({ type: "save", index: this.#index, path: await cache.prepare() });
    if (answer.type !== "saved") return;
    await cache.write({
      crc: answer.crc,
      ef: this.#ef,
      recall: this.#recall ?? 0,
      seqs: this.#slots.map((slot) => this.#shelf.seqAt(slot) ?? 0),
      removed: [...this.#removed],
    });
    // The file may hold what was removed meanwhile, written after its scope's files were done away with.
    if (this.#removals !== removals) await cache.forget();
  }

  async drop(): Promise<void> {
    await this.#client.ask({ type: "drop", index: this.#index });
  }

  async #extend(): Promise<void> {
    const upTo = this.#shelf.size;
    const slots: number[] = [];
    for (let slot = this.#built; slot < upTo; slot++) if (this.#shelf.isLive(slot)) slots.push(slot);
    const answer = await this.#client.ask({
      type: "add",
      index: this.#index,
      slots: Uint32Array.from(slots),
      blocks: this.#shelf.vectors.blocks,
    });
    if (answer.type !== "added") return;
    this.#isSaved = false;
    for (const slot of answer.slots) this.#give(slot);
    this.#ef = answer.ef;
    this.#recall = answer.recall;
    this.#built = upTo;
    const dead = slots.filter((slot) => !this.#shelf.isLive(slot)).map((slot) => this.#ordinals[slot] as number);
    await this.#removeOrdinals(dead);
  }

  #give(slot: number): void {
    this.#ordinals[slot] = this.#slots.length;
    this.#slots.push(slot);
  }

  async #removeOrdinals(ordinals: readonly number[]): Promise<void> {
    if (ordinals.length === 0) return;
    for (const ordinal of ordinals) this.#removed.add(ordinal);
    await this.#client.ask({ type: "remove", index: this.#index, ordinals });
  }

  async #load(cached: CachedIndex, path: string): Promise<boolean> {
    try {
      await this.#client.ask({
        type: "load",
        index: this.#index,
        dimensions: this.#shelf.vectors.dimensions,
        blockVectors: BLOCK_VECTORS,
        path,
        crc: cached.crc,
        ef: cached.ef,
        slots: Uint32Array.from(cached.seqs, (seq) => this.#shelf.slotOf(seq) ?? 0),
        removed: cached.removed,
      });
    } catch {
      return false;
    }
    const gone: number[] = [];
    for (let ordinal = 0; ordinal < cached.seqs.length; ordinal++) {
      const slot = this.#shelf.slotOf(cached.seqs[ordinal] as number);
      // The slot of one that is gone is nobody's.
      this.#slots.push(slot ?? Infinity);
      if (slot === null) gone.push(ordinal);
      else {
        this.#ordinals[slot] = ordinal;
        this.#built = Math.max(this.#built, slot + 1);
      }
    }
    for (const ordinal of cached.removed) this.#removed.add(ordinal);
    this.#ef = cached.ef;
    this.#recall = cached.recall;
    this.#isSaved = gone.length === cached.removed.length;
    await this.#removeOrdinals(gone.filter((ordinal) => !this.#removed.has(ordinal)));
    return true;
  }
}
