// Layout of a memory's database
//
//   !memory                    settings: whose vectors these are
//   !seq                       number of the newest entry there ever was
//   !reembed                   vectors that are being made anew
//   e/<seq>                    entry
//   v/<generation>/<seq>       its vector, 32-bit floats of unit length, little end first
//   k/<id>                     seq of the entry with that id
//   s/<scope>/<seq>            the entry is found in that scope
//   t/<expiresAtMs>/<seq>      the entry has a time to live
//   h/<receipt>                receipt of a harvest
//   g/<seq>                    an entry that is gone, and of which something may still be on disk
//
// No text of a user stands in a key: scopes are hashed, so that what is deleted leaves no key behind that tells of it.

import { endianness } from "node:os";
import { decodeValue, encodeValue } from "../base/codec.ts";
import { hashBytes } from "../base/crc.ts";
import { OrchestraError } from "../base/errors.ts";
import { decodeRecord, encodeRecord } from "../base/record.ts";
import type { WriteOp } from "../state/key-value.ts";
import type { HarvestReceipt, MemoryEntry, MemoryScope } from "./ports.ts";
import { scopeKey } from "./scopes.ts";

export const SETTINGS_KEY = "!memory";
export const SEQ_KEY = "!seq";
export const REEMBED_KEY = "!reembed";

const ENTRY_VERSION = 1;
const HASH_CHARS = 32;

/** What an entry is, without where and when it was put. */
export type Content = Omit<MemoryEntry, "id" | "createdAtMs" | "expiresAtMs"> & { readonly text: string | null };

/** An entry as stored. */
export type Kept = Content & {
  readonly id: string;
  readonly seq: number;
  readonly createdAtMs: number;
  readonly expiresAtMs: number | null;
};

export interface Settings {
  /** Tells this memory from any other, for caches that lie beside it. */
  readonly memoryId: string;
  readonly embedder: string;
  readonly dimensions: number;
  /** Counts how often all vectors were made anew. */
  readonly generation: number;
}

function padded(n: number, digits = 12): string {
  return String(n).padStart(digits, "0");
}

export const keys = {
  entry: (seq: number): string => `e/${padded(seq)}`,
  vector: (generation: number, seq: number): string => `v/${padded(generation, 6)}/${padded(seq)}`,
  id: (id: string): string => `k/${id}`,
  member: (scope: string, seq: number): string => `s/${scope}/${padded(seq)}`,
  expiry: (atMs: number, seq: number): string => `t/${padded(Math.min(Math.ceil(atMs), 1e15), 16)}/${padded(seq)}`,
  receipt: (id: string): string => `h/${id}`,
  gone: (seq: number): string => `g/${padded(seq)}`,
};

export function hashOf(...parts: readonly string[]): string {
  return hashBytes(Buffer.from(JSON.stringify(parts))).slice(0, HASH_CHARS);
}

/** Stands for a scope in keys and file names. */
export function scopeHash(scope: MemoryScope): string {
  return hashOf(scopeKey(scope));
}

/** The number a key ends with. */
export function seqOf(key: string): number {
  return Number(key.slice(key.lastIndexOf("/") + 1));
}

/** When the entry of a `t/` key has outlived its time. */
export function expiryOf(key: string): number {
  return Number(key.split("/")[1]);
}

/** What is searched by words and made a vector of. */
export function textOf({ text, value }: Pick<Content, "text" | "value">): string {
  return text ?? (typeof value === "string" ? value : (JSON.stringify(value, plain) ?? ""));
}

function plain(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  if (value instanceof Map) return Object.fromEntries(value);
  return value instanceof Set ? [...value] : value;
}

export function encodeContent(content: Content): Uint8Array {
  const { key, value, text, namespace, tags, metadata, scope, provenance, origin, quality } = content;
  return encodeValue([key, value, text, namespace, tags, metadata, scope, provenance, origin, quality]);
}

export function put(key: string, value: Uint8Array): WriteOp {
  return { type: "put", key, value };
}

export function putEntry(entry: Kept): WriteOp {
  const key = keys.entry(entry.seq);
  return put(key, encodeRecord("remembered", encodeValue({ v: ENTRY_VERSION, ...entry }), key));
}

/** @throws {OrchestraError} `ORCH_STORE_CORRUPT`, `ORCH_STORE_VERSION` */
export function decodeEntry(record: Uint8Array, key: string): Kept {
  const { v, ...entry } = decodeMap<Kept & { readonly v: number }>(decodeRecord("remembered", record, key), key, "v");
  if (v > ENTRY_VERSION)
    throw new OrchestraError(
      "ORCH_STORE_VERSION",
      `record ${key}: an entry of version ${v}; this program reads up to ${ENTRY_VERSION}`,
    );
  return entry;
}

// Floats are stored as they lie in memory; every platform that Node runs on but one has the little end first.
const LITTLE = endianness() === "LE";

export function putVector(key: string, vector: Float32Array): WriteOp {
  const bytes = Buffer.from(vector.buffer.slice(vector.byteOffset, vector.byteOffset + vector.byteLength));
  return put(key, encodeRecord("vector", LITTLE ? bytes : bytes.swap32(), key));
}

/** @throws {OrchestraError} `ORCH_STORE_CORRUPT` */
export function decodeVector(record: Uint8Array, key: string, dimensions: number): Float32Array {
  const bytes = Uint8Array.from(decodeRecord("vector", record, key));
  if (bytes.byteLength !== dimensions * Float32Array.BYTES_PER_ELEMENT)
    throw corrupt(key, `a vector of ${bytes.byteLength} bytes, expected ${dimensions} numbers`);
  if (!LITTLE) Buffer.from(bytes.buffer).swap32();
  return new Float32Array(bytes.buffer);
}

export function putNumber(key: string, value: number): WriteOp {
  return put(key, encodeRecord("reference", encodeValue(value), key));
}

export function decodeNumber(record: Uint8Array, key: string): number {
  const value = decodeValue(decodeRecord("reference", record, key));
  if (typeof value !== "number") throw corrupt(key, "it is no number");
  return value;
}

export function putSettings(key: string, settings: Settings): WriteOp {
  return put(key, encodeRecord("format", encodeValue(settings), key));
}

export function decodeSettings(record: Uint8Array, key: string): Settings {
  return decodeMap<Settings>(decodeRecord("format", record, key), key, "memoryId");
}

export function putReceipt(receipt: HarvestReceipt): WriteOp {
  const key = keys.receipt(receipt.receiptId);
  return put(key, encodeRecord("entry", encodeValue(receipt), key));
}

export function decodeReceipt(record: Uint8Array, key: string): HarvestReceipt {
  return decodeMap<HarvestReceipt>(decodeRecord("entry", record, key), key, "receiptId");
}

// The checksum says that we wrote it; one look at a field tells a defect of ours from a value.
function decodeMap<T>(payload: Uint8Array, key: string, field: string & keyof T): T {
  const value = decodeValue(payload);
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, field))
    throw corrupt(key, `it has no ${field}`);
  return value as T;
}

function corrupt(key: string, message: string): OrchestraError {
  return new OrchestraError("ORCH_STORE_CORRUPT", `record ${key}: ${message}`, { details: { key } });
}
