// Salvage: what of one session can be proved good.
//
// V1  A commit counts when its checksum holds and nothing is missing between it and where the log begins: at commit 1, or
//     behind a good snapshot.
// V2  Of several such runs of commits the one that reaches furthest is kept: the state it ends in is the session's last
//     good one, even where history before a snapshot is lost.
// V3  A blob that is lost takes no commit with it: the facts are good, and reading that value says that it is lost.

import { blobRefs } from "./blob-refs.ts";
import { decodeCommit } from "./commit-format.ts";
import type { KeyValue } from "./key-value.ts";
import { keys, partsOf, rangeOf } from "./level-keys.ts";
import { decodeBlob, decodeCheckpoint, decodeEntry, decodeHead, decodeSnapshot } from "./level-records.ts";
import { lastKnown } from "./level-verify.ts";
import type { Checkpoint, Commit, SessionEntry, Snapshot } from "./ports.ts";

export interface Salvage {
  /** Contiguous; empty when nothing can be proved. */
  readonly commits: readonly Commit[];
  readonly snapshots: readonly Snapshot[];
  readonly checkpoints: readonly Checkpoint[];
  readonly blobs: ReadonlyMap<string, Uint8Array>;
  /** As stored; it may be newer than the commits. */
  readonly entry: SessionEntry | null;
  /** Numbers of commits that were there and are not among `commits`. */
  readonly lostCommits: readonly { readonly from: number; readonly to: number }[];
  /** Keys of everything else that cannot be kept. */
  readonly lostRecords: readonly string[];
}

const PAGE = 256;

/** `knownN`: a commit the session is known to have had, by what the store does not say. */
export async function salvageSession(kv: KeyValue, sessionId: string, knownN = 0): Promise<Salvage> {
  const lostRecords: string[] = [];
  const [good, stored] = await goodCommits(kv, sessionId);
  const snapshots = await decodeAll(kv, "s", sessionId, decodeSnapshot, lostRecords);
  const checkpoints = await decodeAll(kv, "k", sessionId, decodeCheckpoint, lostRecords);
  // A log that was compacted begins behind a snapshot.
  const isCompacted = (await kv.get(keys.snapshot(sessionId, stored - 1))) !== undefined;
  const begins = (await storedFirst(kv, sessionId)) ?? (isCompacted ? stored : 1);
  const commits = furthestRun(good, snapshots);
  const [first, last] = [commits[0]?.n ?? 0, commits.at(-1)?.n ?? 0];
  const keptSnapshots = snapshots.filter(({ n }) => n >= first - 1 && n <= last);
  const keptCheckpoints = checkpoints.filter(({ n }) => n <= last);
  for (const { checkpointId, n } of checkpoints)
    if (n > last) lostRecords.push(keys.checkpoint(sessionId, checkpointId));
  const blobs = new Map<string, Uint8Array>();
  for (const ref of blobRefs([...commits.flatMap(({ facts }) => facts), ...keptSnapshots, ...keptCheckpoints])) {
    try {
      blobs.set(ref, await decodeBlob(ref, await kv.get(keys.blob(ref))));
    } catch {
      lostRecords.push(keys.blob(ref));
    }
  }
  const end = Math.max(knownN, (await lastKnown(kv, sessionId)) ?? 0);
  return {
    commits,
    snapshots: keptSnapshots,
    checkpoints: keptCheckpoints,
    blobs,
    entry: await storedEntry(kv, sessionId),
    lostCommits:
      commits.length === 0
        ? rangeUnlessEmpty(begins, end)
        : [...rangeUnlessEmpty(begins, first - 1), ...rangeUnlessEmpty(last + 1, end)],
    lostRecords,
  };
}

/** By number, and the first number of which there is a record, good or not; 1 when there is none. */
async function goodCommits(kv: KeyValue, sessionId: string): Promise<readonly [ReadonlyMap<number, Commit>, number]> {
  const good = new Map<number, Commit>();
  const [first, to] = rangeOf("c", sessionId);
  let stored = Infinity;
  for (let from = first; ;) {
    const page = await kv.range(from, to, { limit: PAGE });
    for (const [key, record] of page) {
      const n = Number(partsOf(key)[1]);
      stored = Math.min(stored, n);
      const commit = attempt(() => decodeCommit(record, key));
      if (commit?.n === n) good.set(n, commit);
      from = `${key}\0`;
    }
    if (page.length < PAGE) return [good, Number.isFinite(stored) ? stored : 1];
  }
}

/** V1, V2 */
function furthestRun(good: ReadonlyMap<number, Commit>, snapshots: readonly Snapshot[]): readonly Commit[] {
  let best: readonly Commit[] = [];
  const starts = new Set([1, ...snapshots.map(({ n }) => n + 1)]);
  // What lies before a snapshot belongs to the run when it is whole, back to where another may begin.
  for (const start of [...starts].sort((a, b) => a - b)) {
    const run: Commit[] = [];
    for (let commit = good.get(start); commit !== undefined; commit = good.get(start + run.length)) run.push(commit);
    if ((run.at(-1)?.n ?? 0) > (best.at(-1)?.n ?? 0)) best = run;
  }
  return best;
}

async function decodeAll<T>(
  kv: KeyValue,
  letter: "s" | "k",
  sessionId: string,
  decode: (record: Uint8Array, key: string) => T,
  lost: string[],
): Promise<T[]> {
  const found: T[] = [];
  for (const [key, record] of await kv.range(...rangeOf(letter, sessionId), { limit: Infinity })) {
    const value = attempt(() => decode(record, key));
    if (value === undefined) lost.push(key);
    else found.push(value);
  }
  return found;
}

async function storedEntry(kv: KeyValue, sessionId: string): Promise<SessionEntry | null> {
  const key = keys.entry(sessionId);
  const record = await kv.get(key);
  return (record === undefined ? undefined : attempt(() => decodeEntry(record, key))) ?? null;
}

async function storedFirst(kv: KeyValue, sessionId: string): Promise<number | undefined> {
  const key = keys.head(sessionId);
  const record = await kv.get(key);
  return record === undefined ? undefined : attempt(() => decodeHead(record, key).first);
}

/** Undefined for what is damaged; what a newer program wrote is reported, not dropped. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if ((error as { code?: string }).code === "ORCH_STORE_VERSION") throw error;
    return undefined;
  }
}

function rangeUnlessEmpty(from: number, to: number): { from: number; to: number }[] {
  return from <= to ? [{ from, to }] : [];
}
