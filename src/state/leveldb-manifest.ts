// LevelDB's manifest: which tables and logs make up a database. Format: db/version_edit.cc in LevelDB.

import { SEQUENCE_BYTES } from "./leveldb-block.ts";
import { readLevelLog, type LevelLogDamage } from "./leveldb-log.ts";
import { ByteReader } from "./leveldb-varint.ts";

export interface StatedTable {
  readonly bytes: number;
  /** The key it begins with. */
  readonly first: Buffer;
}

export interface Manifest {
  /** The live ones, by number. */
  readonly tables: ReadonlyMap<number, StatedTable>;
  /** Logs from this number on are played when the database is opened; 0 in one that was never opened. */
  readonly logNumber: number;
  readonly damages: readonly LevelLogDamage[];
}

export function readManifest(bytes: Buffer): Manifest {
  const { records, damages } = readLevelLog(bytes);
  const tables = new Map<number, StatedTable>();
  const all = [...damages];
  let logNumber = 0;
  for (const { offset, payload } of records) {
    try {
      logNumber = readEdit(new ByteReader(payload), tables) ?? logNumber;
    } catch (error) {
      all.push({ offset, message: `a record cannot be read: ${(error as Error).message}`, bytes: payload });
    }
  }
  return { tables, logNumber, damages: all };
}

/** The log number it sets, if it does. */
function readEdit(edit: ByteReader, tables: Map<number, StatedTable>): number | undefined {
  let logNumber: number | undefined;
  while (!edit.done) {
    const tag = edit.varint();
    switch (tag) {
      case 1: // comparator
        edit.slice();
        break;
      case 2:
        logNumber = edit.varint();
        break;
      case 3: // next file number
      case 4: // last sequence
      case 9: // number of a log before the last, unused
        edit.varint();
        break;
      case 5: // where compaction goes on
        edit.varint();
        edit.slice();
        break;
      case 6:
        edit.varint();
        tables.delete(edit.varint());
        break;
      case 7: {
        edit.varint();
        const number = edit.varint();
        tables.set(number, { bytes: edit.varint(), first: edit.slice().subarray(0, -SEQUENCE_BYTES) });
        edit.slice();
        break;
      }
      default:
        throw new RangeError(`unknown tag ${tag}`);
    }
  }
  return logNumber;
}
