// Simulated disk
//
// Owns:      what survives a process: the records of one database, and the files written ahead of it.
// Does not:  know of processes or time (sim-database.ts).
//
// M1  A batch is there whole or not at all, as LevelDB promises; a file may hold any first part of what was written.
// M2  Losing power loses what was written after some moment since the last flush, never something in between: to the
//     database as a whole, and to each file. A file that was removed may come back.
// M3  A changed bit is remembered, so that the record can be mended as from a copy.

import type { Random } from "../../base/random.ts";
import type { KeyValue, WriteOp } from "../../state/key-value.ts";
import { writtenLength } from "../../state/unwritten.ts";
import { between, chance, pick } from "./chance.ts";

/** The bytes of one file. */
export interface FileContent {
  bytes: Uint8Array;
  /** How many of them are flushed. */
  flushed: number;
  /** The size that is flushed: between the two are zeros after a loss of power. */
  flushedSize: number;
}

interface Flip {
  readonly key: string;
  readonly whole: Uint8Array;
  readonly changed: Uint8Array;
}

const NOTHING = new Uint8Array(0);

export class SimDisk {
  #records = new Map<string, Uint8Array>();
  /** As the last flush left it. */
  #flushed = new Map<string, Uint8Array>();
  #unflushed: (readonly WriteOp[])[] = [];
  #sorted: readonly string[] | null = null;
  #flips: Flip[] = [];
  /** A batch whose write failed although it had reached the disk. */
  #halfWritten: readonly WriteOp[] | null = null;
  readonly files = new Map<string, FileContent>();
  /** Since power was last lost. */
  #removed: [string, FileContent][] = [];

  get(key: string): Uint8Array | undefined {
    return this.#records.get(key);
  }

  range(from: string, to: string, { limit, reverse = false }: Parameters<KeyValue["range"]>[2]): string[] {
    const sorted = (this.#sorted ??= [...this.#records.keys()].sort());
    const [first, end] = [placeOf(sorted, from), placeOf(sorted, to)];
    if (reverse) return sorted.slice(Math.max(first, end - limit), end).reverse();
    return sorted.slice(first, Math.min(end, first + limit));
  }

  apply(ops: readonly WriteOp[], flush: boolean): void {
    carryOut(this.#records, ops);
    this.#sorted = null;
    this.#unflushed.push(ops);
    if (!flush) return;
    for (const batch of this.#unflushed.splice(0)) carryOut(this.#flushed, batch);
  }

  /** The write of `ops` failed, but they may be found when the database is opened again. */
  leaveHalfWritten(ops: readonly WriteOp[]): void {
    this.#halfWritten = ops;
  }

  /** What opening the database again brings to light. */
  settleHalfWritten(): void {
    const ops = this.#halfWritten;
    this.#halfWritten = null;
    if (ops !== null) this.apply(ops, true);
  }

  removeFile(path: string): void {
    const file = this.files.get(path);
    if (file !== undefined) this.#removed.push([path, file]);
    this.files.delete(path);
  }

  /** M2. */
  losePower(random: Random): void {
    const kept = between(random, 0, this.#unflushed.length);
    for (const batch of this.#unflushed.splice(0).slice(0, kept)) carryOut(this.#flushed, batch);
    this.#records = new Map(this.#flushed);
    this.#sorted = null;
    for (const [path, file] of this.#removed.splice(0))
      if (!this.files.has(path) && chance(random, 0.3)) this.files.set(path, file);
    for (const [path, file] of this.files) {
      if (file.flushed === 0 && chance(random, 0.5)) this.files.delete(path);
      else file.bytes = keptOf(file, between(random, file.flushed, file.bytes.byteLength));
      file.flushed = file.flushedSize = file.bytes.byteLength;
    }
  }

  /** Changes one bit of one record, or of a file. Undefined when there is nothing to change. */
  flipBit(random: Random): string | undefined {
    const names = [...this.#records.keys(), ...this.files.keys()].filter((name) => this.#bytesOf(name).byteLength > 0);
    if (names.length === 0) return undefined;
    const key = pick(random, names);
    const whole = this.#bytesOf(key);
    const changed = Uint8Array.from(whole);
    // Nothing is lost where there is nothing yet.
    const at = between(random, 0, Math.max(writtenLength(whole), 1) - 1);
    changed[at] = (changed[at] as number) ^ (1 << between(random, 0, 7));
    this.#set(key, changed);
    this.#flips.push({ key, whole, changed });
    return key;
  }

  /** Puts back every changed record that was not written anew since. */
  mend(): void {
    for (const { key, whole, changed } of this.#flips.splice(0).reverse())
      if (this.#bytesOf(key) === changed) this.#set(key, whole);
  }

  /** Some record is not as it was written. */
  get damaged(): boolean {
    return this.#flips.some(({ key, changed }) => this.#bytesOf(key) === changed);
  }

  get size(): number {
    let bytes = 0;
    for (const [key, value] of this.#records) bytes += key.length + value.byteLength;
    return bytes;
  }

  #bytesOf(name: string): Uint8Array {
    return this.files.get(name)?.bytes ?? this.#records.get(name) ?? NOTHING;
  }

  #set(key: string, value: Uint8Array): void {
    const file = this.files.get(key);
    if (file !== undefined) {
      file.bytes = value;
      return;
    }
    this.#records.set(key, value);
    if (this.#flushed.has(key)) this.#flushed.set(key, value);
  }
}

function carryOut(records: Map<string, Uint8Array>, ops: readonly WriteOp[]): void {
  for (const op of ops) {
    if (op.type === "put") records.set(op.key, op.value);
    else records.delete(op.key);
  }
}

/** The first place whose key is not below. */
function placeOf(sorted: readonly string[], key: string): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as string) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function keptOf({ bytes, flushedSize }: FileContent, kept: number): Uint8Array {
  const left = new Uint8Array(Math.max(kept, flushedSize));
  left.set(bytes.subarray(0, kept));
  return left;
}
