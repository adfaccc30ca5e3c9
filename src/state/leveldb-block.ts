// Blocks of LevelDB's tables: content, its type (1) and the CRC-32C (masked) of both (4).
// https://github.com/google/leveldb/blob/main/doc/table_format.md

import { crc32c, maskedCrc32c } from "./crc32c.ts";
import { ByteReader } from "./leveldb-varint.ts";
import { decodeSnappy } from "./snappy.ts";

export const TRAILER_BYTES = 5;
export const SNAPPY = 1;
export const PUT = 1;
export const SEQUENCE_BYTES = 8;

/** Where in its table a block stands; `size` is that of the content. */
export interface Handle {
  readonly offset: number;
  readonly size: number;
}

/** One version of one key. The highest `sequence` of a key is the one that counts. */
export interface VersionedEntry {
  readonly key: Buffer;
  readonly sequence: number;
  /** Null where the key was deleted. */
  readonly value: Buffer | null;
}

export function handleIn(reader: ByteReader): Handle {
  const offset = reader.varint();
  return { offset, size: reader.varint() };
}

/** What keeps a block from being read, or null. */
export function problemOf(table: Buffer, { offset, size }: Handle): string | null {
  const end = offset + size;
  if (end + TRAILER_BYTES > table.length) return "a block reaches past the end of the table";
  const sum = maskedCrc32c(crc32c(table, offset, end + 1));
  return table.readUInt32LE(end + 1) === sum ? null : "a block fails its checksum";
}

/** @throws {RangeError} when it is not what Snappy makes. */
export function contentOf(table: Buffer, { offset, size }: Handle): Buffer {
  const content = table.subarray(offset, offset + size);
  return table[offset + size] === SNAPPY ? decodeSnappy(content) : content;
}

/** @throws {RangeError} Keys are shortened by what they share with the one before; the block ends in restart points. */
export function* blockEntries(content: Buffer): Generator<{ readonly key: Buffer; readonly value: Buffer }> {
  if (content.length < 4) throw new RangeError("a block is too short");
  const restarts = content.readUInt32LE(content.length - 4);
  const reader = new ByteReader(content, 0, content.length - 4 - restarts * 4);
  let key: Buffer = Buffer.alloc(0);
  while (!reader.done) {
    const shared = reader.varint();
    const own = reader.varint();
    const length = reader.varint();
    if (shared > key.length) throw new RangeError("a key shares more than there is");
    key = Buffer.concat([key.subarray(0, shared), reader.take(own)]);
    yield { key, value: reader.take(length) };
  }
}

/** A key in a table ends in its sequence number and what was done with it. @throws {RangeError} when it is too short. */
export function versioned(key: Buffer, value: Buffer): VersionedEntry {
  const at = key.length - SEQUENCE_BYTES;
  if (at < 0) throw new RangeError("a key is too short");
  return {
    key: key.subarray(0, at),
    sequence: key.readUIntLE(at + 1, 6) + (key[at + 7] ?? 0) * 2 ** 48,
    value: key[at] === PUT ? value : null,
  };
}
