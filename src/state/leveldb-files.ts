// Which files of a folder make up its database, and whether all of them are there and whole. Only reads.
//
// Why this is looked at before LevelDB opens a folder: LevelDB does not miss a log that was deleted, drops what fails its
// checksum from one, and starts an empty database over the tables of one that lost its `CURRENT`, all without a word; and
// opening writes the logs anew, so that nobody can find out later what they held.

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { gone, withoutPlace, type FileDamage } from "./file-damage.ts";
import { readLevelBatch } from "./leveldb-batch.ts";
import { readLevelLog } from "./leveldb-log.ts";
import { readManifest, type Manifest } from "./leveldb-manifest.ts";
import type { VersionedEntry } from "./leveldb-block.ts";
import { rescueFromBatch } from "./rescue.ts";
import { firstDamagedTable, type TableFile } from "./table-files.ts";

/** Above every number LevelDB gives, below what is written ahead of it. */
const RESCUED_SEQUENCE = 2 ** 51;

export interface LevelFiles {
  /** Nothing was ever stored here. */
  readonly fresh: boolean;
  readonly tables: readonly TableFile[];
  /** Oldest first. */
  readonly logs: readonly string[];
  readonly damages: readonly FileDamage[];
}

export interface LevelLogFile {
  readonly entries: readonly VersionedEntry[];
  readonly damages: readonly FileDamage[];
}

interface Listed {
  readonly tables: ReadonlyMap<number, string>;
  readonly logs: ReadonlyMap<number, string>;
  readonly manifests: readonly string[];
}

/**
 * By the manifest; where that is missing or damaged, every table and log there is.
 * @throws {Error} when the folder or a file in it cannot be read.
 */
export function findLevelFiles(folder: string): LevelFiles {
  const listed = list(folder);
  const named = currentManifest(folder, listed);
  if (named.fresh) return { fresh: true, tables: [], logs: [], damages: [] };
  const { manifest, damages } = named;
  if (manifest === null || manifest.damages.length > 0)
    return {
      fresh: false,
      tables: [...listed.tables.values()].map((name) => ({ name, first: null })),
      logs: inOrder(listed.logs, 0),
      damages,
    };
  const missing: FileDamage[] = [];
  const tables: TableFile[] = [];
  for (const [number, { bytes, first }] of manifest.tables) {
    const name = listed.tables.get(number);
    if (name === undefined) missing.push(gone(`${String(number).padStart(6, "0")}.ldb`));
    else {
      tables.push({ name, first });
      const size = statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0;
      if (size !== bytes) missing.push(withoutPlace(name, `it has ${size} bytes, expected ${bytes}`));
    }
  }
  if (manifest.logNumber > 0 && !listed.logs.has(manifest.logNumber))
    missing.push(gone(`${String(manifest.logNumber).padStart(6, "0")}.log`));
  return { fresh: false, tables, logs: inOrder(listed.logs, manifest.logNumber), damages: [...damages, ...missing] };
}

/** The first thing that keeps the folder from being opened, or null. Reads every byte there is. */
export async function firstLevelDamage(folder: string): Promise<FileDamage | null> {
  const { tables, logs, damages } = findLevelFiles(folder);
  for (const damage of damages) return damage;
  for (const log of logs) for (const damage of readLevelLogFile(folder, log).damages) return damage;
  return firstDamagedTable(folder, tables);
}

export function readLevelLogFile(folder: string, name: string): LevelLogFile {
  const bytes = readIfThere(join(folder, name));
  if (bytes === null) return { entries: [], damages: [gone(name)] };
  const { records, damages } = readLevelLog(bytes);
  const entries: VersionedEntry[] = [];
  const all = [...damages];
  const begins: { readonly offset: number; readonly sequence: number }[] = [];
  for (const { offset, payload } of records) {
    try {
      const batch = readLevelBatch(payload);
      begins.push({ offset, sequence: batch[0]?.sequence ?? 0 });
      entries.push(...batch);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      all.push({ offset, message: `a batch cannot be read: ${error.message}`, bytes: payload });
    }
  }
  const rescued: FileDamage[] = all.map((damage) => {
    // They came before the next batch, and after everything before.
    const next = begins.find(({ offset }) => offset > damage.offset)?.sequence ?? RESCUED_SEQUENCE;
    const found = rescueFromBatch(damage.bytes);
    for (const { key, value } of found) entries.push({ key: Buffer.from(key), sequence: next - 0.5, value });
    return { file: name, ...damage, rescued: found.map(({ key }) => key), losesData: true };
  });
  return { entries, damages: rescued };
}

function currentManifest(
  folder: string,
  { tables, logs, manifests }: Listed,
):
  | { readonly fresh: true }
  | { readonly fresh: false; readonly manifest: Manifest | null; readonly damages: FileDamage[] } {
  const current = readIfThere(join(folder, "CURRENT"));
  if (current === null) {
    // LevelDB makes its first manifest before it names it: a process may have been killed in between.
    const stored = [...tables.values(), ...logs.values()].some(
      (name) => (statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0) > 0,
    );
    if (!stored) return { fresh: true };
    return {
      fresh: false,
      manifest: newestGood(folder, manifests),
      damages: [{ ...gone("CURRENT"), losesData: false }],
    };
  }
  const name = /^(MANIFEST-\d+)\n$/.exec(current.toString("latin1"))?.[1];
  if (name === undefined || !manifests.includes(name)) {
    const damage = name === undefined ? withoutPlace("CURRENT", "it names no manifest") : gone(name);
    return { fresh: false, manifest: newestGood(folder, manifests), damages: [{ ...damage, losesData: false }] };
  }
  const bytes = readIfThere(join(folder, name));
  if (bytes === null) return { fresh: false, manifest: null, damages: [{ ...gone(name), losesData: false }] };
  const manifest = readManifest(bytes);
  return {
    fresh: false,
    manifest,
    damages: manifest.damages.map(({ offset, message }) => ({ file: name, offset, message, losesData: false })),
  };
}

function newestGood(folder: string, manifests: readonly string[]): Manifest | null {
  for (const name of [...manifests].sort().toReversed()) {
    const manifest = readManifest(readFileSync(join(folder, name)));
    if (manifest.damages.length === 0 && manifest.logNumber > 0) return manifest;
  }
  return null;
}

function list(folder: string): Listed {
  const tables = new Map<number, string>();
  const logs = new Map<number, string>();
  const manifests: string[] = [];
  for (const name of readdirSync(folder)) {
    const [, digits, ending] = /^(\d+)\.(ldb|sst|log)$/.exec(name) ?? [];
    if (digits !== undefined) (ending === "log" ? logs : tables).set(Number(digits), name);
    else if (/^MANIFEST-\d+$/.test(name)) manifests.push(name);
  }
  return { tables, logs, manifests };
}

function inOrder(logs: ReadonlyMap<number, string>, from: number): readonly string[] {
  return [...logs]
    .filter(([number]) => number >= from)
    .sort(([a], [b]) => a - b)
    .map(([, name]) => name);
}

function readIfThere(path: string): Buffer | null {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}
