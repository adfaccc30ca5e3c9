// Messages of the store
//
// A message of the log is one record: the index entry as of this commit, and the commit. So the two become visible
// together, whatever else is lost. Sessions stand in headers because the token of a subject may be a hash; a header
// that was changed fails the checksum, which is bound to what the headers say.
//
//   o.log.<sid>                      {Orch-Session, Orch-N, Orch-After, Orch-Mark}  logged [format, begins, entry] commit
//   $KV.orch_sessions.<sid>          {Orch-Session}                      entry, or the word that the session moves
//   $KV.orch_snapshots.<sid>.<n>     {Orch-Session, Orch-Seq}            snapshot
//   $KV.orch_checkpoints.<sid>.<cp>  {Orch-Session}                      checkpoint
//
// What is too large for one message stands among the blobs; the message then holds a reference.

import { decodeValue, encodeValue } from "../base/codec.ts";
import { OrchestraError } from "../base/errors.ts";
import { decodeRecord, encodeRecord, recordKind, type RecordKind } from "../base/record.ts";
import { decodeCommit, encodeCommit } from "../state/commit-format.ts";
import { keys } from "../state/level-keys.ts";
import type { Commit, SessionEntry } from "../state/ports.ts";
import type { StoredMessage } from "./store-message.ts";

export const SESSION_HEADER = "Orch-Session";
/** Percent-encoded: a header takes no other than ASCII. */
export const CHECKPOINT_HEADER = "Orch-Checkpoint";
export const N_HEADER = "Orch-N";
/** Stream sequence of the commit before. */
export const AFTER_HEADER = "Orch-After";
/** Stream sequence of the last commit before it whose number is a multiple of `MARK_EVERY`: the way back in long strides. */
export const MARK_HEADER = "Orch-Mark";
export const MARK_EVERY = 64;
/** Stream sequence of the commit a snapshot was taken at. */
export const SEQ_HEADER = "Orch-Seq";

const LOGGED_FORMAT = 1;

/** What one message of the log says. */
export interface Logged {
  readonly commit: Commit;
  /** As handed in by the newest append that had one; null where none had. */
  readonly entry: SessionEntry | null;
  /** The log was imported and begins here. */
  readonly begins: boolean;
}

export function encodeLogged(sessionId: string, { commit, entry, begins }: Logged): Uint8Array {
  const place = keys.commit(sessionId, commit.n);
  const fields =
    entry === null
      ? null
      : [
          entry.status,
          entry.runId,
          entry.topologyHash,
          entry.createdAtMs,
          entry.updatedAtMs,
          entry.host,
          entry.n,
          entry.parentSessionId ?? null,
          ...(entry.dueAtMs === undefined ? [] : [entry.dueAtMs]),
        ];
  const head = encodeValue([LOGGED_FORMAT, begins, fields]);
  const record = encodeCommit(commit, place);
  const body = Buffer.allocUnsafe(4 + head.byteLength + record.byteLength);
  body.writeUInt32LE(head.byteLength, 0);
  body.set(head, 4);
  body.set(record, 4 + head.byteLength);
  return encodeRecord("logged", body, place);
}

/** @throws {OrchestraError} `ORCH_STORE_CORRUPT`, `ORCH_STORE_VERSION` */
export function decodeLogged(sessionId: string, n: number, record: Uint8Array): Logged {
  const place = keys.commit(sessionId, n);
  const payload = decodeRecord("logged", record, place);
  const body = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  const headEnd = body.byteLength < 4 ? Infinity : 4 + body.readUInt32LE(0);
  if (headEnd > body.byteLength) throw corrupt(place, "it is cut short");
  const head = decodeValue(body.subarray(4, headEnd));
  if (!Array.isArray(head)) throw corrupt(place, "it is no list of fields");
  const [format, begins, fields] = head as unknown[];
  if (typeof format === "number" && format > LOGGED_FORMAT)
    throw new OrchestraError(
      "ORCH_STORE_VERSION",
      `record ${place} has format ${format}; this program reads up to ${LOGGED_FORMAT}`,
      { details: { key: place, version: format, supported: LOGGED_FORMAT } },
    );
  const commit = decodeCommit(body.subarray(headEnd), place);
  if (commit.n !== n) throw corrupt(place, `it says it is commit ${commit.n}`);
  return { commit, entry: entryOf(sessionId, fields), begins: begins === true };
}

// The checksum says that we wrote it: no field can have another type.
function entryOf(sessionId: string, fields: unknown): SessionEntry | null {
  if (!Array.isArray(fields)) return null;
  const [status, runId, topologyHash, createdAtMs, updatedAtMs, host, n, parentSessionId, dueAtMs] = fields as [
    SessionEntry["status"],
    string | null,
    string | null,
    number,
    number,
    string,
    number,
    string | null,
    number?,
  ];
  const entry = { sessionId, status, runId, topologyHash, createdAtMs, updatedAtMs, host, n };
  return {
    ...entry,
    ...(parentSessionId !== null && { parentSessionId }),
    ...(dueAtMs !== undefined && { dueAtMs }),
  };
}

/** The place of a message in its session's log, by its headers. @throws {OrchestraError} `ORCH_STORE_CORRUPT` */
export function positionOf(message: StoredMessage, sessionId: string): number {
  const n = Number(message.header(N_HEADER));
  if (message.header(SESSION_HEADER) === sessionId && Number.isSafeInteger(n) && n > 0) return n;
  throw corrupt(message.subject, `message ${message.seq} is no commit of session "${sessionId}"`, { sessionId });
}

/** @throws {OrchestraError} `ORCH_STORE_CORRUPT` for what somebody had the server put there. */
export function assertOurs({ isAnswer, subject, seq }: StoredMessage): void {
  if (isAnswer) throw corrupt(subject, `message ${seq} is an answer of the server to somebody who named this subject`);
}

/** A record of this kind as a value with this field: one look tells a defect of ours from a value. */
export function decodeMap<T>(kind: RecordKind, record: Uint8Array, key: string, field: string & keyof T): T {
  const value = decodeValue(decodeRecord(kind, record, key));
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, field))
    throw corrupt(key, `it is no ${kind}`);
  return value as T;
}

export function encodeReference(ref: string, key: string): Uint8Array {
  return encodeRecord("reference", encodeValue(ref), key);
}

/** The blob a record stands in, when it is a reference. */
export function referenceIn(record: Uint8Array, key: string): string | null {
  if (recordKind(record) !== "reference") return null;
  const ref = decodeValue(decodeRecord("reference", record, key));
  if (typeof ref !== "string") throw corrupt(key, "it is no reference");
  return ref;
}

export function corrupt(key: string, message: string, details: Readonly<Record<string, unknown>> = {}): OrchestraError {
  return new OrchestraError("ORCH_STORE_CORRUPT", `record ${key}: ${message}`, { details: { key, ...details } });
}
