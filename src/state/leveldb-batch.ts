// What LevelDB's write-ahead log records hold: batches of operations. Format: db/write_batch.cc in LevelDB.

import type { VersionedEntry } from "./leveldb-block.ts";
import { ByteReader } from "./leveldb-varint.ts";

const HEADER_BYTES = 12;
const PUT = 1;
const DELETE = 0;

/** @throws {RangeError} when it is no batch. */
export function readLevelBatch(payload: Buffer): VersionedEntry[] {
  if (payload.length < HEADER_BYTES) throw new RangeError("it ends too early");
  const first = payload.readUIntLE(0, 6) + payload.readUInt16LE(6) * 2 ** 48;
  const count = payload.readUInt32LE(8);
  const reader = new ByteReader(payload, HEADER_BYTES);
  const entries: VersionedEntry[] = [];
  while (!reader.done) {
    const type = reader.byte();
    if (type !== PUT && type !== DELETE) throw new RangeError(`unknown operation ${type}`);
    const key = reader.slice();
    entries.push({ key, sequence: first + entries.length, value: type === PUT ? reader.slice() : null });
  }
  if (entries.length !== count) throw new RangeError(`it says ${count} operations and holds ${entries.length}`);
  return entries;
}
