// Rescue: records of ours in bytes whose frame is damaged
//
// Many commits stand in one batch of LevelDB, or one record of a write-ahead file, and one bad bit makes its checksum fail
// for all of them. Each of our own records has a checksum of its own, which covers the key it belongs to: those whose
// checksum holds were written by us, as they are, under that key. What a batch deleted is not found again.

import { decodeRecord, recordKind } from "../base/record.ts";
import { ByteReader } from "./leveldb-varint.ts";

export interface Rescued {
  readonly key: string;
  readonly value: Buffer;
}

/** Out of operations of a LevelDB batch: length of the key, key, length of the value, value. */
export function rescueFromBatch(bytes: Buffer): Rescued[] {
  return rescue(bytes, (at) => {
    const [short = 0, long = 0] = [bytes[at - 1], bytes[at - 2]];
    const keyLength = at >= 2 && long >= 0x80 && short > 0 && short < 0x80 ? short * 128 + (long & 0x7f) : short;
    const reader = new ByteReader(bytes, at);
    return { key: reader.take(keyLength), value: reader.slice() };
  });
}

/** Out of operations of a write-ahead record: length of the key (4), of the value (4), key, value. */
export function rescueFromAhead(bytes: Buffer): Rescued[] {
  return rescue(bytes, (at) => {
    if (at < 8) throw new RangeError("it begins too late");
    const reader = new ByteReader(bytes, at);
    return { key: reader.take(bytes.readUInt32LE(at - 8)), value: reader.take(bytes.readUInt32LE(at - 4)) };
  });
}

const SLASH = 0x2f;
const BANG = 0x21;

function rescue(bytes: Buffer, read: (at: number) => { readonly key: Buffer; readonly value: Buffer }): Rescued[] {
  const found: Rescued[] = [];
  for (let at = 1; at < bytes.length; at++) {
    if (bytes[at + 1] !== SLASH && bytes[at] !== BANG) continue;
    try {
      const { key, value } = read(at);
      const [name, kind] = [key.toString("utf8"), recordKind(value)];
      if (kind === undefined) continue;
      decodeRecord(kind, value, name);
      found.push({ key: name, value });
      at += key.length + value.length - 1;
    } catch {
      // No record of ours begins here.
    }
  }
  return found;
}
