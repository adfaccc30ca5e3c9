// What stands under the keys of the durable store: each record checked against the place it was read from.

import { promisify } from "node:util";
import { deflateRaw, inflateRaw } from "node:zlib";
import { decodeValue, ENCODED_BYTES_MAX } from "../base/codec.ts";
import { hashBytes } from "../base/crc.ts";
import { OrchestraError } from "../base/errors.ts";
import { decodeRecord, encodeRecord, encodeValueRecord, recordKind, type RecordKind } from "../base/record.ts";
import { keys } from "./level-keys.ts";
import type { Checkpoint, SessionEntry, Snapshot } from "./ports.ts";

const deflate = promisify(deflateRaw);
const inflate = promisify(inflateRaw);

/** What the log of a session ends with, and where it begins. */
export interface Head {
  readonly n: number;
  readonly epoch: number;
  readonly id: string;
  readonly atMs: number;
  /** First commit kept. */
  readonly first: number;
}

export function encodeHead(head: Head, key: string): Uint8Array {
  return encodeValueRecord("head", [head.n, head.epoch, head.id, head.atMs, head.first], key);
}

export function decodeHead(record: Uint8Array, key: string): Head {
  const fields = decodeValue(decodeRecord("head", record, key));
  if (!Array.isArray(fields)) throw corrupt(key, "it is no list of fields");
  const [n, epoch, id, atMs, first] = fields as unknown[];
  if (
    typeof n !== "number" ||
    typeof epoch !== "number" ||
    typeof id !== "string" ||
    typeof atMs !== "number" ||
    typeof first !== "number"
  )
    throw corrupt(key, "a field has the wrong type");
  return { n, epoch, id, atMs, first };
}

export function encodePlain(kind: RecordKind, value: unknown, key: string): Uint8Array {
  return encodeValueRecord(kind, value, key);
}

export function decodeEntry(record: Uint8Array, key: string): SessionEntry {
  return decodeMap<SessionEntry>("entry", record, key, "sessionId");
}

export function decodeSnapshot(record: Uint8Array, key: string): Snapshot {
  return decodeMap<Snapshot>("snapshot", record, key, "n");
}

export function decodeCheckpoint(record: Uint8Array, key: string): Checkpoint {
  return decodeMap<Checkpoint>("checkpoint", record, key, "checkpointId");
}

/** Deflated when that is asked for and makes it smaller; only that takes a promise. */
export function encodeBlob(ref: string, bytes: Uint8Array, compress: boolean): Uint8Array | Promise<Uint8Array> {
  const key = keys.blob(ref);
  const plain = (): Uint8Array => encodeRecord("blob", bytes, key);
  if (!compress) return plain();
  return deflate(bytes).then(
    (deflated) => (deflated.byteLength < bytes.byteLength ? encodeRecord("blob-deflated", deflated, key) : plain()),
    plain,
  );
}

/** @throws {OrchestraError} `ORCH_STORE_CORRUPT` unless the bytes are those the hash was taken of. */
export async function decodeBlob(ref: string, record: Uint8Array | undefined): Promise<Uint8Array> {
  const key = keys.blob(ref);
  if (record === undefined) throw corrupt(key, "it is missing");
  const bytes =
    recordKind(record) === "blob-deflated"
      ? await inflate(decodeRecord("blob-deflated", record, key), { maxOutputLength: ENCODED_BYTES_MAX })
      : decodeRecord("blob", record, key);
  if (hashBytes(bytes) !== ref) throw corrupt(key, "the bytes do not match their hash");
  return bytes;
}

export function corrupt(key: string, message: string, details: Readonly<Record<string, unknown>> = {}): OrchestraError {
  return new OrchestraError("ORCH_STORE_CORRUPT", `record ${key}: ${message}`, { details: { key, ...details } });
}

// The checksum says that we wrote it; one look at a field tells a defect of ours from a value.
function decodeMap<T>(kind: RecordKind, record: Uint8Array, key: string, field: string & keyof T): T {
  const value = decodeValue(decodeRecord(kind, record, key));
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, field))
    throw corrupt(key, `it is no ${kind}`);
  return value as T;
}
