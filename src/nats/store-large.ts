// Records that may be too large for one message: those stand among the blobs, and the message refers to them.

import { encodeReference, referenceIn, SESSION_HEADER } from "./store-records.ts";
import { spilledRef, type BlobShelf, type BlobUse } from "./store-blobs.ts";
import type { StoredMessage } from "./store-message.ts";
import type { StreamAccess } from "./store-stream.ts";

/** Larger records are stored among the blobs. */
const INLINE_BYTES_MAX = 400 * 1024;

export interface LargePorts {
  readonly streams: StreamAccess;
  readonly blobs: BlobShelf;
}

/** A record and its place. */
export interface Placed {
  readonly subject: string;
  /** What the record is bound to. */
  readonly key: string;
  readonly record: Uint8Array;
  readonly use: BlobUse;
  readonly headers: Readonly<Record<string, string>>;
}

/** Replaces what stands there; a blob that this stood in goes. */
export async function storeLarge(
  { streams, blobs }: LargePorts,
  stream: string,
  { subject, key, record, use, headers }: Placed,
): Promise<void> {
  const before = await streams.last(stream, subject);
  const ref = record.byteLength > INLINE_BYTES_MAX ? spilledRef(record) : null;
  if (ref !== null) await blobs.put(ref, record, useOf(use, ref));
  const payload = ref === null ? record : encodeReference(ref, key);
  await streams.put(subject, payload, { headers: { ...headers, [SESSION_HEADER]: use.sessionId } });
  const old = before === null ? null : referenceIfAny(before, key);
  if (old !== null && old !== ref) await blobs.release(old, useOf(use, old));
}

export async function readLarge({ blobs }: LargePorts, message: StoredMessage, key: string): Promise<Uint8Array> {
  const ref = referenceIn(message.data, key);
  return ref === null ? message.data : blobs.get(ref);
}

export async function dropLarge(
  { streams, blobs }: LargePorts,
  stream: string,
  { subject, key, use }: Pick<Placed, "subject" | "key" | "use">,
): Promise<void> {
  const message = await streams.last(stream, subject);
  if (message === null) return;
  await streams.purge(stream, subject, message.seq + 1);
  const ref = referenceIfAny(message, key);
  if (ref !== null) await blobs.release(ref, useOf(use, ref));
}

/** Each blob has its own use: the next record at the same place must not lose what it stands in with the one before. */
function useOf({ sessionId, use }: BlobUse, ref: string): BlobUse {
  return { sessionId, use: `${use} ${ref}` };
}

// What is dropped may be damaged; its blob then goes with the session.
function referenceIfAny(message: StoredMessage, key: string): string | null {
  try {
    return referenceIn(message.data, key);
  } catch {
    return null;
  }
}
