// Forgetting
//
// Owns:      what is gone from a memory and may still be on disk.
// Does not:  decide what goes.
//
// G1  What goes leaves a record in the same batch, which goes when nothing else is left of it. A deletion that was cut short
//     is taken up when the memory is opened again.
// G2  LevelDB keeps a value beside its deletion when both were in its log. So the log is written out, what is gone is deleted
//     once more, and the tables that hold either are rewritten.

import { decodeValue, encodeValue } from "../base/codec.ts";
import { decodeRecord, encodeRecord } from "../base/record.ts";
import type { KeyValue, WriteOp } from "../state/key-value.ts";
import { keys, put, scopeHash, seqOf, type Kept } from "./records.ts";
import { scopesOf } from "./scopes.ts";

/** Ranges of keys that are rewritten one by one; what lies between them is left alone. */
const RANGES_MAX = 16;

interface Gone {
  readonly seq: number;
  /** Deleted, rather than replaced: its scopes' index files are to go, too. */
  readonly isDeleted: boolean;
  /** Of the scopes it was found in, as in keys and file names. */
  readonly scopes: readonly string[];
}

/** Says that an entry is gone. */
export function putGone({ seq, scope, provenance }: Kept, isDeleted: boolean): WriteOp {
  const key = keys.gone(seq);
  const scopes = scopesOf(scope, provenance).map(scopeHash);
  return put(key, encodeRecord("reference", encodeValue({ isDeleted, scopes }), key));
}

/** @throws {OrchestraError} `ORCH_STORE_CORRUPT` */
export async function readGone(kv: KeyValue, limit: number): Promise<readonly Gone[]> {
  const found = await kv.range("g/", "g0", { limit });
  return found.map(([key, record]) => ({
    ...(decodeValue(decodeRecord("reference", record, key)) as Omit<Gone, "seq">),
    seq: seqOf(key),
  }));
}

export async function countGone(kv: KeyValue): Promise<number> {
  return (await kv.keys("g/", "g0")).length;
}

/** G2. `generations`: of vectors that entries may have. */
export async function forget(
  kv: KeyValue,
  gone: readonly Gone[],
  generations: readonly number[],
  write: (ops: readonly WriteOp[]) => Promise<void>,
): Promise<void> {
  const keysOf = [keys.entry, ...generations.map((each) => (seq: number) => keys.vector(each, seq))];
  const del = (key: string): WriteOp => ({ type: "del", key });
  await rewrite(kv, gone, keysOf);
  await write(gone.flatMap(({ seq }) => keysOf.map((keyOf) => del(keyOf(seq)))));
  await rewrite(kv, gone, keysOf);
  await write(gone.map(({ seq }) => del(keys.gone(seq))));
}

async function rewrite(
  kv: KeyValue,
  gone: readonly Gone[],
  keysOf: readonly ((seq: number) => string)[],
): Promise<void> {
  for (const [first, last] of rangesOf(gone.map(({ seq }) => seq)))
    for (const keyOf of keysOf) await kv.purge?.(keyOf(first), keyOf(last));
}

/** At most `RANGES_MAX` that hold all of the numbers, parted where the most lies between. */
export function rangesOf(ascending: readonly number[]): (readonly [number, number])[] {
  const gaps = ascending
    .slice(1)
    .map((seq, i) => ({ at: i + 1, width: seq - (ascending[i] as number) }))
    .filter(({ width }) => width > 1)
    .sort((a, b) => b.width - a.width)
    .slice(0, RANGES_MAX - 1)
    .map(({ at }) => at)
    .sort((a, b) => a - b);
  const starts = ascending.length === 0 ? [] : [0, ...gaps];
  return starts.map((from, i) => [
    ascending[from] as number,
    ascending[(starts[i + 1] ?? ascending.length) - 1] as number,
  ]);
}
