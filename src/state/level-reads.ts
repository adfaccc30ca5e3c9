// Reads of the durable store
//
// X1  What is read is what is on disk, never what a batch under way is about to put there.
// X2  The head is read before the commits: all up to it must then be there, or they were lost (L4).

import type { Logger } from "../base/logger.ts";
import { isOrchestraError } from "../base/errors.ts";
import { decodeRecord } from "../base/record.ts";
import { decodeValue } from "../base/codec.ts";
import { decodeCommit } from "./commit-format.ts";
import type { KeyValue } from "./key-value.ts";
import { keys, partsOf, rangeOf } from "./level-keys.ts";
import { corrupt, decodeCheckpoint, decodeEntry, decodeHead, decodeSnapshot, type Head } from "./level-records.ts";
import type { Checkpoint, Commit, SessionEntry, SessionStore, Snapshot } from "./ports.ts";

const COMMITS_PER_READ = 256;
const LIST_LIMIT = 100;
const TAKEN_OUT_BYTES_MAX = 4 * 1024 * 1024;

export async function readHead(kv: KeyValue, sessionId: string): Promise<Head | null> {
  const key = keys.head(sessionId);
  const record = await kv.get(key);
  if (record !== undefined) return decodeHead(record, key);
  // Read after the head: unless the session is being deleted or begun just now, there is nothing.
  if ((await kv.range(...rangeOf("c", sessionId), { limit: 1 })).length === 0) return null;
  const again = await kv.get(key);
  if (again === undefined && (await kv.range(...rangeOf("c", sessionId), { limit: 1 })).length > 0)
    throw corrupt(key, "it was lost, but commits are there", { sessionId });
  return again === undefined ? null : decodeHead(again, key);
}

/** Up to the last commit at the time the iteration gets there. @throws {OrchestraError} `ORCH_STORE_CORRUPT` */
export async function* readCommits(kv: KeyValue, sessionId: string, from = 1): AsyncIterable<Commit> {
  let next = from;
  for (
    let head = await readHead(kv, sessionId);
    head !== null && next <= head.n;
    head = await readHead(kv, sessionId)
  ) {
    next = Math.max(next, head.first);
    while (next <= head.n) {
      const page = await kv.range(keys.commit(sessionId, next), keys.commit(sessionId, head.n + 1), {
        limit: COMMITS_PER_READ,
      });
      let taken = 0;
      for (const [key, record] of page) {
        if (key !== keys.commit(sessionId, next)) break;
        const commit = commitAt(record, key, sessionId, next);
        next += 1;
        taken += 1;
        yield commit;
      }
      if (taken > 0) continue;
      // A compaction or deletion meanwhile moves the head; a log that merely misses a commit does not.
      const now = await readHead(kv, sessionId);
      if (now === null) return;
      if (now.first <= next) throw lost(sessionId, next);
      next = now.first;
    }
  }
}

/** `SessionStore.takeOut`; not above 4 MiB. */
export async function takeOutCommits(
  kv: KeyValue,
  sessionId: string,
  upTo: number,
): Promise<(() => readonly Commit[]) | null> {
  if ((await kv.range(...rangeOf("q", sessionId), { limit: 1 })).length > 0) return null;
  const records: Uint8Array[] = [];
  let bytes = 0;
  while (records.length < upTo) {
    const page = await kv.range(keys.commit(sessionId, records.length + 1), keys.commit(sessionId, upTo + 1), {
      limit: COMMITS_PER_READ,
    });
    for (const [key, record] of page) {
      if (key !== keys.commit(sessionId, records.length + 1)) return null;
      bytes += record.byteLength;
      records.push(record);
    }
    if (page.length === 0 || bytes > TAKEN_OUT_BYTES_MAX) return null;
  }
  return () => records.map((record, i) => commitAt(record, keys.commit(sessionId, i + 1), sessionId, i + 1));
}

function commitAt(record: Uint8Array, key: string, sessionId: string, n: number): Commit {
  const commit = decodeCommit(record, key);
  if (commit.n !== n) throw corrupt(key, `it says it is commit ${commit.n}`, { sessionId, n });
  return commit;
}

export async function newestSnapshot(
  kv: KeyValue,
  logger: Logger,
  sessionId: string,
  atMostN: number,
): Promise<Snapshot | null> {
  const [from] = rangeOf("s", sessionId);
  let to = keys.snapshot(sessionId, Math.min(atMostN, 999_999_999_998) + 1);
  for (;;) {
    const [found] = await kv.range(from, to, { limit: 1, reverse: true });
    if (found === undefined) return null;
    const [key, record] = found;
    try {
      return decodeSnapshot(record, key);
    } catch (error) {
      if (isOrchestraError(error, "ORCH_STORE_VERSION")) throw error;
      logger.warn({ sessionId, key, err: error }, "a snapshot cannot be read; falling back to an older one");
      to = key;
    }
  }
}

export async function readCheckpoint(kv: KeyValue, checkpointId: string): Promise<Checkpoint | null> {
  const idKey = keys.checkpointSession(checkpointId);
  const reference = await kv.get(idKey);
  if (reference === undefined) return null;
  const sessionId = decodeValue(decodeRecord("reference", reference, idKey)) as string;
  const key = keys.checkpoint(sessionId, checkpointId);
  const record = await kv.get(key);
  if (record === undefined) throw corrupt(key, "it is missing", { sessionId, checkpointId });
  return decodeCheckpoint(record, key);
}

export async function readCheckpoints(kv: KeyValue, sessionId: string): Promise<readonly Checkpoint[]> {
  const items = await kv.range(...rangeOf("k", sessionId), { limit: Infinity });
  return items
    .map(([key, record]) => decodeCheckpoint(record, key))
    .sort((a, b) => a.n - b.n || (a.checkpointId < b.checkpointId ? -1 : 1));
}

export async function readSession(kv: KeyValue, sessionId: string): Promise<SessionEntry | null> {
  const [entryKey, headKey] = [keys.entry(sessionId), keys.head(sessionId)];
  const [entry, head] = await kv.getMany([entryKey, headKey]);
  if (entry === undefined) {
    // Unless the session is being deleted just now, one that has a log has an entry.
    if (head !== undefined && (await kv.get(entryKey)) === undefined && (await kv.get(headKey)) !== undefined)
      throw corrupt(entryKey, "it was lost, but the session has a log", { sessionId });
    return null;
  }
  return entryWith(decodeEntry(entry, entryKey), head, headKey);
}

/** An entry that cannot be read is reported to the logger and left out: one bad record must not hide all others. */
export async function readSessions(
  kv: KeyValue,
  logger: Logger,
  options: Parameters<SessionStore["listSessions"]>[0] = {},
): Promise<readonly SessionEntry[]> {
  const { status, cursor, limit = LIST_LIMIT } = options;
  const [first, to] = rangeOf("e");
  // The smallest key after the cursor's own.
  let from = cursor === undefined ? first : `${keys.entry(cursor)}\0`;
  const page: SessionEntry[] = [];
  while (page.length < limit) {
    const items = await kv.range(from, to, { limit: Math.max(limit, 64) });
    const headKeys = items.map(([key]) => keys.head(partsOf(key)[0] ?? ""));
    const heads = await kv.getMany(headKeys);
    for (const [i, [key, record]] of items.entries()) {
      from = `${key}\0`;
      try {
        const entry = entryWith(decodeEntry(record, key), heads[i], headKeys[i] ?? "");
        if (status === undefined || entry.status === status) page.push(entry);
      } catch (error) {
        logger.error({ key, err: error }, "the index entry of a session cannot be read; it is left out of the list");
      }
      if (page.length >= limit) break;
    }
    if (items.length === 0) break;
  }
  return page;
}

function entryWith(entry: SessionEntry, head: Uint8Array | undefined, headKey: string): SessionEntry {
  if (head === undefined) throw corrupt(headKey, "it is missing", { sessionId: entry.sessionId });
  const { n, atMs } = decodeHead(head, headKey);
  return { ...entry, n, updatedAtMs: atMs };
}

function lost(sessionId: string, n: number): Error {
  return corrupt(keys.commit(sessionId, n), "it was lost", { sessionId, n });
}
