// Records
//
// Bytes in a checked frame: every record on disk and in an export stands in one. LevelDB and file systems hand out
// changed bytes without a word; the frame is how that is noticed.

import { encodeBehind } from "./codec.ts";
import { checksum, checksumFrom } from "./crc.ts";
import { OrchestraError } from "./errors.ts";

/** One kind per sort of record: a record of one kind is never read as another. */
export type RecordKind =
  | "format"
  | "head"
  | "commit"
  | "entry"
  | "snapshot"
  | "checkpoint"
  | "blob"
  | "blob-deflated"
  | "export"
  | "reference"
  | "ahead"
  | "message"
  | "spilled"
  | "logged"
  | "remembered"
  | "vector";
const KIND_CODES: Readonly<Record<RecordKind, number>> = {
  format: 1,
  head: 2,
  commit: 3,
  entry: 4,
  snapshot: 5,
  checkpoint: 6,
  blob: 7,
  "blob-deflated": 8,
  export: 9,
  reference: 10,
  ahead: 11,
  message: 12,
  spilled: 13,
  logged: 14,
  remembered: 15,
  vector: 16,
};

/** Version of the frame: version, kind, CRC-32 (little end first) of binding, version, kind and payload, payload. */
export const RECORD_VERSION = 1;
export const RECORD_HEADER_BYTES = 6;

/** Version and kind, as the frame of each kind begins. */
const BEGINNINGS = Object.fromEntries(
  Object.entries(KIND_CODES).map(([kind, code]) => [kind, Uint8Array.of(RECORD_VERSION, code)]),
) as Record<RecordKind, Uint8Array>;

/** `binding` says where the record stands (its key): read from elsewhere it fails its checksum. */
export function encodeRecord(kind: RecordKind, payload: Uint8Array, binding: string): Uint8Array {
  const record = Buffer.allocUnsafe(RECORD_HEADER_BYTES + payload.byteLength);
  record.set(payload, RECORD_HEADER_BYTES);
  return framed(kind, record, binding);
}

/** The record of a value, which is encoded where it stands. */
export function encodeValueRecord(kind: RecordKind, value: unknown, binding: string): Uint8Array {
  return framed(kind, encodeBehind(RECORD_HEADER_BYTES, value), binding);
}

/** Writes the frame before the payload. */
function framed(kind: RecordKind, record: Buffer, binding: string): Buffer {
  const begin = BEGINNINGS[kind];
  record.set(begin);
  record.writeUInt32LE(checksumFrom(record, RECORD_HEADER_BYTES, checksum(begin, checksum(binding))), 2);
  return record;
}

/**
 * The payload of a record, checked; a view into `record`.
 * @throws {OrchestraError} `ORCH_STORE_VERSION` for a newer frame; `ORCH_STORE_CORRUPT` for anything else wrong.
 */
export function decodeRecord(kind: RecordKind, record: Uint8Array, binding: string): Uint8Array {
  if (record.byteLength < RECORD_HEADER_BYTES)
    throw corrupt(binding, `${record.byteLength} bytes are too few for a record`);
  const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength);
  const stored = bytes.readUInt32LE(2);
  const found = sumOf(bytes, binding);
  if (stored !== found) throw corrupt(binding, `checksum is ${hex(found)}, expected ${hex(stored)}`);
  const version = bytes[0] ?? 0;
  if (version > RECORD_VERSION) {
    throw new OrchestraError(
      "ORCH_STORE_VERSION",
      `record ${binding} has format ${version}; this program reads up to ${RECORD_VERSION}`,
      { details: { key: binding, version, supported: RECORD_VERSION } },
    );
  }
  if (bytes[1] !== KIND_CODES[kind]) throw corrupt(binding, `it is no ${kind} (kind ${bytes[1]})`);
  return bytes.subarray(RECORD_HEADER_BYTES);
}

/** The kind a record claims to be, before anything is checked. */
export function recordKind(record: Uint8Array): RecordKind | undefined {
  return (Object.keys(KIND_CODES) as RecordKind[]).find((kind) => KIND_CODES[kind] === record[1]);
}

/** The checksum a record carries. */
export function recordSum(record: Uint8Array): number {
  const at = (index: number): number => record[index] ?? 0;
  return (at(2) | (at(3) << 8) | (at(4) << 16) | (at(5) << 24)) >>> 0;
}

function sumOf(record: Buffer, binding: string): number {
  return checksum(record.subarray(RECORD_HEADER_BYTES), checksum(record.subarray(0, 2), checksum(binding)));
}

function corrupt(key: string, message: string): OrchestraError {
  return new OrchestraError("ORCH_STORE_CORRUPT", `record ${key}: ${message}`, { details: { key } });
}

function hex(sum: number): string {
  return sum.toString(16).padStart(8, "0");
}
