// Format of a write-ahead file
//
//   header   "owal", version (1 byte), 0, number of its first record (6 bytes), CRC-32 of these
//   record   length of the payload (4), number (6), CRC-32 of both and the payload (4), payload
//   payload  operations: 1 for put or 2 for delete (1), length of the key (4), of the value (4), key, value;
//            then 255 (1), absent in version 1: what lacks as much as its last byte is more than one bit off
//
// Numbers are little end first. Records count up by one, over all files of a folder.
//
// A1  Zeros up to the end are room for more (roomy-file.ts). What ends before its length says, or where that room begins,
//     was cut off by a crash: it is no record. So is the end of a file that holds a page of zeros (unwritten.ts), or of the
//     last page what there is of it, be it a byte. All else that is no good record was damaged later, whether or not a good
//     one follows: so is what one flipped bit would make good.

import { checksum, CRC32_POLYNOMIAL } from "../base/crc.ts";
import { flippedBit, isOneBit } from "./flipped-bit.ts";
import type { WriteOp } from "./key-value.ts";
import { hasUnwrittenPage, writtenLength } from "./unwritten.ts";

export const AHEAD_VERSION = 2;
export const AHEAD_HEADER_BYTES = 16;
const FRAME_BYTES = 14;
const SUM_BYTES = 4;
const OP_BYTES = 9;
const MAGIC = Buffer.from("owal");
const PUT = 1;
const DELETE = 2;
const END = 255;
const NO_BYTES = new Uint8Array(0);

export interface AheadRecord {
  readonly number: number;
  readonly ops: readonly WriteOp[];
  /** Where it begins in its file. */
  readonly offset: number;
}

export type AheadContent =
  /** `first` is null when the file was cut off before its header was whole; `end` is where the good bytes end. */
  | {
      readonly type: "good";
      readonly first: number | null;
      readonly records: readonly AheadRecord[];
      readonly end: number;
    }
  /** At the first damage; `records` are the good ones before and behind it. */
  | {
      readonly type: "damaged";
      readonly offset: number;
      readonly message: string;
      readonly first: number | null;
      readonly records: readonly AheadRecord[];
      /** What the damaged bytes are: from, to. */
      readonly gaps: readonly (readonly [number, number])[];
    }
  | { readonly type: "newer"; readonly version: number };

export function encodeAheadHeader(first: number): Buffer {
  const header = Buffer.alloc(AHEAD_HEADER_BYTES);
  header.set(MAGIC);
  header[4] = AHEAD_VERSION;
  header.writeUIntLE(first, 6, 6);
  header.writeUInt32LE(checksum(header.subarray(0, 12)), 12);
  return header;
}

export function encodeAheadRecord(number: number, ops: readonly WriteOp[]): Buffer {
  let most = FRAME_BYTES + 1;
  // A UTF-16 unit takes at most three bytes.
  for (const op of ops) most += OP_BYTES + op.key.length * 3 + (op.type === "put" ? op.value.byteLength : 0);
  const bytes = Buffer.allocUnsafe(most);
  let at = FRAME_BYTES;
  for (const op of ops) {
    const value = op.type === "put" ? op.value : NO_BYTES;
    const keyBytes = bytes.write(op.key, at + OP_BYTES, "utf8");
    bytes[at] = op.type === "put" ? PUT : DELETE;
    bytes.writeUInt32LE(keyBytes, at + 1);
    bytes.writeUInt32LE(value.byteLength, at + 5);
    bytes.set(value, at + OP_BYTES + keyBytes);
    at += OP_BYTES + keyBytes + value.byteLength;
  }
  bytes[at++] = END;
  bytes.writeUInt32LE(at - FRAME_BYTES, 0);
  bytes.writeUIntLE(number, 4, 6);
  bytes.writeUInt32LE(sumOf(bytes, 0, at), 10);
  return bytes.subarray(0, at);
}

export function decodeAhead(bytes: Buffer): AheadContent {
  const header = readHeader(bytes);
  if (header !== null && header.version > AHEAD_VERSION) return { type: "newer", version: header.version };
  const headless = header === null && bytes.length >= AHEAD_HEADER_BYTES && bytes.some((byte) => byte !== 0);
  if (header === null && !headless) return { type: "good", first: null, records: [], end: 0 };
  let problem = headless ? { offset: 0, message: "the header is damaged" } : null;
  const records: AheadRecord[] = [];
  const gaps: (readonly [number, number])[] = headless ? [[0, AHEAD_HEADER_BYTES]] : [];
  let number = header === null ? null : header.first;
  const version = header?.version ?? AHEAD_VERSION;
  const written = writtenLength(bytes);
  let at = AHEAD_HEADER_BYTES;
  while (at < bytes.length) {
    const length = goodLength(bytes, at);
    if (length === null) {
      if (at >= written) {
        at = bytes.length;
        break;
      }
      const behind = recordBehind(bytes, at, number === null ? 0 : number - 1);
      if (behind === null && isCutOff(bytes, at)) break;
      const to = behind ?? bytes.length;
      problem ??= { offset: at, message: `record ${number ?? "?"} is damaged` };
      gaps.push([at, to]);
      number = null;
      at = to;
      continue;
    }
    const found = bytes.readUIntLE(at + 4, 6);
    const ops = decodeOps(bytes.subarray(at + FRAME_BYTES, at + FRAME_BYTES + length), version);
    if (number !== null && found !== number)
      problem ??= { offset: at, message: `expected record ${number}, found ${found}` };
    if (ops === null) problem ??= { offset: at, message: `record ${found} holds no operations` };
    else records.push({ number: found, ops, offset: at });
    number = found + 1;
    at += FRAME_BYTES + length;
  }
  const first = header?.first ?? records[0]?.number ?? null;
  if (problem !== null) return { type: "damaged", ...problem, first, records, gaps };
  return { type: "good", first, records, end: at };
}

function readHeader(bytes: Buffer): { readonly version: number; readonly first: number } | null {
  if (bytes.length < AHEAD_HEADER_BYTES || !bytes.subarray(0, 4).equals(MAGIC)) return null;
  if (bytes.readUInt32LE(12) !== checksum(bytes.subarray(0, 12))) return null;
  return { version: bytes[4] ?? 0, first: bytes.readUIntLE(6, 6) };
}

/** Length of the payload of a whole record at `at` whose checksum is right, else null. */
function goodLength(bytes: Buffer, at: number): number | null {
  if (at + FRAME_BYTES > bytes.length) return null;
  const length = bytes.readUInt32LE(at);
  const end = at + FRAME_BYTES + length;
  return end <= bytes.length && bytes.readUInt32LE(at + 10) === sumOf(bytes, at, end) ? length : null;
}

/** A1 */
function isCutOff(bytes: Buffer, at: number): boolean {
  if (at + FRAME_BYTES > bytes.length) return true;
  const [stated, most] = [bytes.readUInt32LE(at), bytes.length - at - FRAME_BYTES];
  // A length that was damaged reads like a record that was cut off.
  const lengths = [most, ...Array.from({ length: 32 }, (_, bit) => (stated ^ (1 << bit)) >>> 0)];
  if (lengths.some((length) => length <= most && differenceOf(bytes, at, length) === 0)) return false;
  if (stated > most) return true;
  const isUnwritten = at + FRAME_BYTES + stated > writtenLength(bytes) || hasUnwrittenPage(bytes, at);
  return isUnwritten && !isOneBitOff(bytes, at, stated);
}

function isOneBitOff(bytes: Buffer, at: number, length: number): boolean {
  const difference = differenceOf(bytes, at, length);
  return isOneBit(difference) || flippedBit(difference, FRAME_BYTES - SUM_BYTES + length, CRC32_POLYNOMIAL) !== null;
}

/** Between the sum of a record of that length and the one that stands there. */
function differenceOf(bytes: Buffer, at: number, length: number): number {
  const record = Buffer.from(bytes.subarray(at, at + FRAME_BYTES + length));
  record.writeUInt32LE(length, 0);
  return sumOf(record, 0, record.length) ^ record.readUInt32LE(10);
}

/** Where the next good record begins. Only numbers that can follow `last` are worth a checksum. */
function recordBehind(bytes: Buffer, from: number, last: number): number | null {
  for (let at = from + 1; at + FRAME_BYTES <= bytes.length; at++) {
    const number = bytes.readUIntLE(at + 4, 6);
    if (number > last && (last === 0 || number <= last + bytes.length) && goodLength(bytes, at) !== null) return at;
  }
  return null;
}

function decodeOps(whole: Buffer, version: number): readonly WriteOp[] | null {
  const payload = version === 1 ? whole : whole.subarray(0, -1);
  if (version > 1 && whole.at(-1) !== END) return null;
  const ops: WriteOp[] = [];
  for (let at = 0; at < payload.length;) {
    if (at + OP_BYTES > payload.length) return null;
    const type = payload[at];
    const keyEnd = at + OP_BYTES + payload.readUInt32LE(at + 1);
    const end = keyEnd + payload.readUInt32LE(at + 5);
    if (end > payload.length || (type !== PUT && type !== DELETE)) return null;
    const key = payload.toString("utf8", at + OP_BYTES, keyEnd);
    ops.push(type === PUT ? { type: "put", key, value: payload.subarray(keyEnd, end) } : { type: "del", key });
    at = end;
  }
  return ops;
}

function sumOf(bytes: Buffer, from: number, to: number): number {
  return checksum(bytes.subarray(from + FRAME_BYTES, to), checksum(bytes.subarray(from, from + 10)));
}
