// Vectors
//
// Owns:      the vectors of one scope, of unit length, in memory that the index's thread reads, too.
// Does not:  know whose they are.
//
// V1  What is in here is finite and of the right length: `unitVector` refuses the rest.
// V2  A slot is written before anybody is told of it, and again only to be blanked.

import { OrchestraError } from "../base/errors.ts";

/** Vectors to a block, but the first, which begins small and grows to it: there may be many scopes with little in each. */
export const BLOCK_VECTORS = 256;
const FIRST_VECTORS = 4;

export class Vectors {
  readonly dimensions: number;
  readonly blocks: SharedArrayBuffer[] = [];
  readonly #views: Float32Array[] = [];
  #count = 0;

  constructor(dimensions: number) {
    this.dimensions = dimensions;
  }

  get count(): number {
    return this.#count;
  }

  add(vector: Float32Array): void {
    if (this.#count < BLOCK_VECTORS) this.#growFirst();
    else if (this.#count === this.#views.length * BLOCK_VECTORS) this.#setBlock(this.blocks.length, BLOCK_VECTORS);
    this.#count += 1;
    this.at(this.#count - 1).set(vector);
  }

  /** A view. */
  at(slot: number): Float32Array {
    const from = (slot % BLOCK_VECTORS) * this.dimensions;
    return this.#block(slot).subarray(from, from + this.dimensions);
  }

  blank(slot: number): void {
    this.at(slot).fill(0);
  }

  /** Cosine of the angle to a vector of unit length. */
  similarity(slot: number, query: Float32Array): number {
    return dot(this.#block(slot), (slot % BLOCK_VECTORS) * this.dimensions, query);
  }

  #growFirst(): void {
    const before = this.#views[0];
    const room = (before?.length ?? 0) / this.dimensions;
    if (this.#count < room) return;
    this.#setBlock(0, Math.max(FIRST_VECTORS, Math.min(2 * room, BLOCK_VECTORS)));
    if (before !== undefined) this.#views[0]?.set(before);
  }

  #setBlock(at: number, vectors: number): void {
    const block = new SharedArrayBuffer(vectors * this.dimensions * Float32Array.BYTES_PER_ELEMENT);
    this.blocks[at] = block;
    this.#views[at] = new Float32Array(block);
  }

  #block(slot: number): Float32Array {
    const view = this.#views[Math.floor(slot / BLOCK_VECTORS)];
    if (view === undefined || slot >= this.#count) throw new RangeError(`there is no vector in slot ${slot}`);
    return view;
  }
}

/** Four sums side by side, which the processor adds at once; taken out of an array, they would be kept in one, at three times the cost. */
export function dot(block: Float32Array, from: number, query: Float32Array): number {
  const length = query.length;
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let i = 0;
  for (; i + 3 < length; i += 4) {
    a += (block[from + i] as number) * (query[i] as number);
    b += (block[from + i + 1] as number) * (query[i + 1] as number);
    c += (block[from + i + 2] as number) * (query[i + 2] as number);
    d += (block[from + i + 3] as number) * (query[i + 3] as number);
  }
  for (; i < length; i++) a += (block[from + i] as number) * (query[i] as number);
  return a + b + c + d;
}

/**
 * A copy of unit length; all 0 stays so, and is similar to nothing.
 * @throws {OrchestraError} `ORCH_MEMORY_EMBEDDER` for what is no vector of `dimensions` finite numbers.
 */
export function unitVector(given: unknown, dimensions: number, embedder: string): Float32Array {
  const refuse = (found: string): OrchestraError =>
    new OrchestraError(
      "ORCH_MEMORY_EMBEDDER",
      `embedder "${embedder}": expected a vector of ${dimensions} finite numbers, got ${found}`,
      { details: { embedder, dimensions } },
    );
  if (!(given instanceof Float32Array) && !Array.isArray(given)) throw refuse(typeof given);
  if (given.length !== dimensions) throw refuse(`one of ${given.length}`);
  const vector = Float32Array.from(given);
  let squares = 0;
  for (let i = 0; i < vector.length; i++) {
    const value = vector[i] as number;
    if (!Number.isFinite(value) || typeof given[i] !== "number") throw refuse(`${String(given[i])} at position ${i}`);
    squares += value * value;
  }
  if (!Number.isFinite(squares)) throw refuse("numbers too large to be compared");
  if (squares > 0) {
    const length = Math.sqrt(squares);
    for (let i = 0; i < vector.length; i++) vector[i] = (vector[i] as number) / length;
  }
  return vector;
}
