// Retention
//
// What may be dropped, and when. Verdicts are pure; `applyRetention` carries them out.
//
// R1  A session that can still move (running, paused, waiting for people) is never dropped.
// R2  A nested session goes with its parent and is not counted by itself.
// R3  Compaction leaves two snapshots to start from, so that one that turns out bad has a stand-in. Saving a snapshot
//     drops all but the last two and the one that a compacted log begins after; checkpoints bring their own.

import { OrchestraError } from "../base/errors.ts";
import type { SessionEntry, SessionStore } from "./ports.ts";
import { isEnded } from "./run-status.ts";

/** Compaction below it drops all that may be dropped. */
export const WHOLE_LOG = Number.MAX_SAFE_INTEGER;
export const SNAPSHOTS_KEPT = 2;

export interface RetentionPolicy {
  /** Ended sessions that stay, newest first; `false` keeps any number. Default false. */
  readonly keepRuns?: number | false;
  /** Ended sessions whose last commit is older are deleted, in milliseconds; `false` for never. Default false. */
  readonly maxAgeMs?: number | false;
  /**
   * Keeps every commit, so that `trace`, `events` and `diff` reach back to the first. `false` drops what the last two
   * snapshots cover, also of a session that is running: they then reach back to the older of the two. State, context,
   * open questions and checkpoints stay whole either way. Default true.
   */
  readonly keepHistory?: boolean;
}
export const DEFAULT_RETENTION: Readonly<Required<RetentionPolicy>> = Object.freeze({
  keepRuns: false,
  maxAgeMs: false,
  keepHistory: true,
});

/** @throws {OrchestraError} `ORCH_BAD_OPTION` for an unknown option or a figure that is none. */
export function resolveRetention(overrides: RetentionPolicy = {}): Required<RetentionPolicy> {
  const unknown = Object.keys(overrides).find((key) => !Object.hasOwn(DEFAULT_RETENTION, key));
  if (unknown !== undefined) throw bad(unknown, "an option of retention: keepRuns, maxAgeMs, keepHistory", unknown);
  const policy = { ...DEFAULT_RETENTION, ...overrides };
  if (policy.keepRuns !== false && !(Number.isSafeInteger(policy.keepRuns) && policy.keepRuns >= 0))
    throw bad("keepRuns", "a whole number from 0 on, or false", policy.keepRuns);
  if (policy.maxAgeMs !== false && !(Number.isFinite(policy.maxAgeMs) && policy.maxAgeMs > 0))
    throw bad("maxAgeMs", "milliseconds above 0, or false", policy.maxAgeMs);
  if (typeof policy.keepHistory !== "boolean") throw bad("keepHistory", "true or false", policy.keepHistory);
  return policy;
}

export interface RetentionVerdict {
  /** Sessions to delete, parents before what is nested in them. */
  readonly remove: readonly string[];
  readonly compact: readonly string[];
}

/**
 * Ids in the order of `entries`. `entries` are all sessions of a store. What has ended less than `graceMs` ago stays, for
 * those who still read it.
 */
export function decideRetention(
  policy: Required<RetentionPolicy>,
  entries: readonly SessionEntry[],
  nowMs: number,
  graceMs = 0,
): RetentionVerdict {
  const known = new Set(entries.map((entry) => entry.sessionId));
  const isNested = (entry: SessionEntry): boolean =>
    entry.parentSessionId !== undefined && known.has(entry.parentSessionId);
  const ended = entries
    .filter((entry) => !isNested(entry) && isEnded(entry.status))
    .sort((a, b) => b.updatedAtMs - a.updatedAtMs || (a.sessionId < b.sessionId ? 1 : -1));
  const removed = new Set<string>();
  for (const [rank, entry] of ended.entries()) {
    const tooMany = policy.keepRuns !== false && rank >= policy.keepRuns;
    const tooOld = policy.maxAgeMs !== false && nowMs - entry.updatedAtMs > policy.maxAgeMs;
    if ((tooMany || tooOld) && nowMs - entry.updatedAtMs >= graceMs) removed.add(entry.sessionId);
  }
  // Nesting may be deep and entries come in any order: repeat until nothing more follows its parent.
  for (let before = -1; before !== removed.size;) {
    before = removed.size;
    for (const entry of entries)
      if (entry.parentSessionId !== undefined && removed.has(entry.parentSessionId)) removed.add(entry.sessionId);
  }
  const compact = policy.keepHistory ? [] : entries.map((entry) => entry.sessionId).filter((id) => !removed.has(id));
  return { remove: [...removed], compact };
}

/** Carries the verdict out on a store. Safe to repeat; a crash in the middle leaves the rest for the next time. */
export async function applyRetention(
  store: SessionStore,
  overrides: RetentionPolicy,
  nowMs: number,
): Promise<RetentionVerdict> {
  const policy = resolveRetention(overrides);
  const verdict = decideRetention(policy, await allSessions(store), nowMs);
  for (const sessionId of verdict.remove) await store.deleteSession(sessionId);
  for (const sessionId of verdict.compact) await store.compact(sessionId, WHOLE_LOG);
  return verdict;
}

export async function allSessions(store: Pick<SessionStore, "listSessions">): Promise<SessionEntry[]> {
  const entries: SessionEntry[] = [];
  for (let cursor: string | undefined; ;) {
    const page = await store.listSessions({ limit: 500, ...(cursor === undefined ? {} : { cursor }) });
    entries.push(...page);
    const last = page.at(-1);
    if (last === undefined) return entries;
    cursor = last.sessionId;
  }
}

/** Which of a session's snapshots (positions, ascending) go when one is saved. `firstCommit`: the first one kept. */
export function decideStaleSnapshots(snapshots: readonly number[], firstCommit: number): readonly number[] {
  return snapshots.slice(0, -SNAPSHOTS_KEPT).filter((n) => n !== firstCommit - 1);
}

/**
 * Where a compaction below `belowN` may cut: the first commit and the first snapshot that stay; null for no cut.
 * `snapshots` are positions, ascending; `lastN` is the last commit, which always stays.
 */
export function decideCut(
  belowN: number,
  snapshots: readonly number[],
  lastN: number,
): { readonly firstCommit: number; readonly firstSnapshot: number } | null {
  const standIn = snapshots.at(-2);
  if (standIn === undefined) return null;
  const base = snapshots.findLast((n) => n < Math.min(belowN, lastN) && n <= standIn);
  // What is left begins right after a snapshot, so that it can be folded.
  return base === undefined ? null : { firstCommit: base + 1, firstSnapshot: base };
}

function bad(option: string, expected: string, got: unknown): OrchestraError {
  return new OrchestraError(
    "ORCH_BAD_OPTION",
    `retention.${option}: expected ${expected}, got ${JSON.stringify(got)}`,
    { details: { option } },
  );
}
