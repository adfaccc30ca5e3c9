// Folder reader
//
// Owns:      everything that can still be read of a store's folder, as LevelDB would show it, and a list of what cannot.
// Does not:  open LevelDB, take its lock or write anything: the folder stays as it is, to the byte.
//
// R1  Only what passes the sums of LevelDB's own formats is shown; whether it is what we stored is for our own sums to say.
// R2  Of a key, what was written last counts: what was written ahead before the logs, those before the tables.
// R3  What is in a file that LevelDB's manifest does not name is not shown, unless the manifest itself is lost: then a
//     record that was deleted may come back, but none that was stored is left out.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { decodeValue } from "../base/codec.ts";
import { decodeRecord } from "../base/record.ts";
import { localAheadFiles } from "./ahead-file.ts";
import { readAhead } from "./ahead-read.ts";
import { apartIn } from "./ahead-replay.ts";
import type { KeyValue } from "./key-value.ts";
import { AHEAD_FILE_KEY, AHEAD_KEY, APART_KEY } from "./level-keys.ts";
import type { FileDamage } from "./file-damage.ts";
import type { VersionedEntry } from "./leveldb-block.ts";
import { findLevelFiles, readLevelLogFile } from "./leveldb-files.ts";
import { LevelTable, type TableDamage } from "./leveldb-table.ts";
import { fileDamage, type TableFile } from "./table-files.ts";

/** Tables held in memory at a time. LevelDB makes them 2 MiB long. */
const TABLES_HELD = 16;
/** Above every number LevelDB gives. */
const AHEAD_SEQUENCE = 2 ** 52;
const FIRST_KEY = Buffer.alloc(0);

export interface FolderReader {
  readonly kv: KeyValue;
  /** Nothing was ever stored here. */
  readonly empty: boolean;
  readonly damages: readonly FileDamage[];
}

interface Source {
  /** Nothing in it comes before. */
  readonly first: Buffer;
  readonly last: Buffer;
  entries(from: Buffer): Iterator<VersionedEntry>;
}

/** Reads every file once. @throws {OrchestraError} `ORCH_STORE_VERSION` for files of a newer program; {Error} where the folder cannot be read. */
export async function readFolder(folder: string): Promise<FolderReader> {
  const files = findLevelFiles(folder);
  const damages = [...files.damages];
  const held = new Map<string, LevelTable>();
  const table = ({ name, first }: TableFile): LevelTable => {
    const found = held.get(name) ?? new LevelTable(readFileSync(join(folder, name)), first);
    held.delete(name);
    held.set(name, found);
    const [oldest] = held.keys();
    if (held.size > TABLES_HELD && oldest !== undefined) held.delete(oldest);
    return found;
  };
  const sources: Source[] = [];
  const damagedTables: { readonly name: string; readonly damage: TableDamage }[] = [];
  for (const file of files.tables) {
    const { name } = file;
    for (const damage of table(file).damages()) damagedTables.push({ name, damage });
    const { first, last } = boundsOf(table(file).entries(FIRST_KEY));
    if (first !== null) sources.push({ first, last, entries: (from) => table(file).entries(from) });
  }
  const logged: VersionedEntry[] = [];
  for (const name of files.logs) {
    const log = readLevelLogFile(folder, name);
    damages.push(...log.damages);
    logged.push(...log.entries);
  }
  if (logged.length > 0) sources.push(inMemory(logged));
  const database = mergedView(sources);
  const expected = (await database.get(AHEAD_FILE_KEY)) !== undefined;
  const ahead = readAhead(folder, localAheadFiles, (await readMoved(database)) ?? 0, expected);
  damages.push(...ahead.damages);
  const written: VersionedEntry[] = ahead.records.flatMap(({ number, ops }) =>
    ops.map((op) => ({
      key: Buffer.from(op.key),
      sequence: AHEAD_SEQUENCE + number,
      value: op.type === "put" ? Buffer.from(op.value) : null,
    })),
  );
  // Before all of these: what they replace in other files is older still.
  for (const { key, value } of ahead.rescued)
    written.push({ key: Buffer.from(key), sequence: AHEAD_SEQUENCE - 1, value });
  if (written.length > 0) sources.push(inMemory(written));
  for (const { name, damage } of damagedTables)
    damages.push(fileDamage(name, { ...damage, lost: damage.lost.filter((entry) => isNewest(sources, entry)) }));
  const apart = (await readApart(mergedView(sources))).map((key) => ({
    key: Buffer.from(key),
    sequence: Number.MAX_SAFE_INTEGER,
    value: null,
  }));
  if (apart.length > 0) sources.push(inMemory(apart));
  return { kv: mergedView(sources), empty: files.fresh && written.length === 0 && damages.length === 0, damages };
}

async function readMoved(kv: KeyValue): Promise<number | null> {
  const record = await kv.get(AHEAD_KEY);
  if (record === undefined) return null;
  try {
    const moved = decodeValue(decodeRecord("ahead", record, AHEAD_KEY));
    return typeof moved === "number" ? moved : null;
  } catch {
    // Then everything that was written ahead is played: in its order, it does no harm to what is newer in no file.
    return null;
  }
}

/** What stands there without its batch. A list that cannot be read hides nothing. */
async function readApart(kv: KeyValue): Promise<readonly string[]> {
  try {
    return apartIn(await kv.get(APART_KEY));
  } catch {
    return [];
  }
}

function boundsOf(entries: Iterable<VersionedEntry>): { readonly first: Buffer | null; readonly last: Buffer } {
  let first: Buffer | null = null;
  let last: Buffer = FIRST_KEY;
  for (const { key } of entries) {
    first ??= key;
    last = key;
  }
  return { first, last };
}

function inMemory(entries: VersionedEntry[]): Source {
  // Within a batch of ours a key stands once, or the last of it counts: sorting keeps the order of equals.
  const sorted = entries
    .map((entry, i) => ({ entry, i }))
    .sort((a, b) => Buffer.compare(a.entry.key, b.entry.key) || b.entry.sequence - a.entry.sequence || b.i - a.i)
    .map(({ entry }) => entry);
  return {
    first: sorted[0]?.key ?? FIRST_KEY,
    last: sorted.at(-1)?.key ?? FIRST_KEY,
    entries: (from) => sorted.slice(firstAtOrBehind(sorted, from)).values(),
  };
}

function firstAtOrBehind(sorted: readonly VersionedEntry[], from: Buffer): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (Buffer.compare(sorted[middle]?.key ?? FIRST_KEY, from) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** What counts of each key, in order. */
function* merged(sources: readonly Source[], from: Buffer, to: Buffer | null): Generator<readonly [string, Buffer]> {
  const waiting = sources
    .filter(({ first, last }) => Buffer.compare(last, from) >= 0 && (to === null || Buffer.compare(first, to) < 0))
    .sort((a, b) => Buffer.compare(a.first, b.first));
  const open: { readonly rest: Iterator<VersionedEntry>; next: VersionedEntry }[] = [];
  for (;;) {
    let least: Buffer | null = null;
    for (const { next } of open) if (least === null || Buffer.compare(next.key, least) < 0) least = next.key;
    // A source is opened when it may hold the next key: tables of one level follow each other.
    while (waiting[0] !== undefined && (least === null || Buffer.compare(waiting[0].first, least) <= 0)) {
      const rest = (waiting.shift() as Source).entries(from);
      const next = rest.next();
      if (next.done) continue;
      open.push({ rest, next: next.value });
      if (least === null || Buffer.compare(next.value.key, least) < 0) least = next.value.key;
    }
    if (least === null || (to !== null && Buffer.compare(least, to) >= 0)) return;
    let newest: VersionedEntry | null = null;
    for (let i = open.length - 1; i >= 0; i--) {
      const source = open[i];
      while (source !== undefined && source.next.key.equals(least)) {
        if (newest === null || source.next.sequence > newest.sequence) newest = source.next;
        const next = source.rest.next();
        if (next.done) {
          open.splice(i, 1);
          break;
        }
        source.next = next.value;
      }
    }
    if (newest?.value != null) yield [least.toString("utf8"), newest.value];
  }
}

/** Nothing that was written later, and no deletion, stands in its place. */
function isNewest(
  sources: readonly Source[],
  { key, sequence }: { readonly key: string; readonly sequence: number },
): boolean {
  const wanted = Buffer.from(key);
  for (const { first, last, entries } of sources) {
    if (Buffer.compare(first, wanted) > 0 || Buffer.compare(last, wanted) < 0) continue;
    const { value: found } = entries(wanted).next() as IteratorResult<VersionedEntry, undefined>;
    if (found?.key.equals(wanted) && found.sequence > sequence) return false;
  }
  return true;
}

function mergedView(sources: readonly Source[]): KeyValue {
  const get = (key: string): Uint8Array | undefined => {
    const from = Buffer.from(key);
    for (const [found, value] of merged(sources, from, Buffer.concat([from, Buffer.alloc(1)])))
      if (found === key) return value;
    return undefined;
  };
  const range = (from: string, to: string): Iterable<readonly [string, Uint8Array]> =>
    merged(sources, Buffer.from(from), Buffer.from(to));
  const never = (): never => {
    throw new TypeError("a folder that is only read was written to");
  };
  return {
    get: async (key) => get(key),
    getMany: async (wanted) => wanted.map(get),
    async range(from, to, { limit, reverse = false }) {
      const found: (readonly [string, Uint8Array])[] = [];
      for (const item of range(from, to)) {
        found.push(item);
        if (!reverse && found.length >= limit) break;
      }
      return reverse ? found.toReversed().slice(0, limit) : found;
    },
    keys: async (from, to) => [...range(from, to)].map(([key]) => key),
    write: never,
    reopen: never,
    size: never,
    close: async () => undefined,
  };
}
