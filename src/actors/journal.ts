// Journal of a step: what `ctx.once` recorded, by key
//
// A step may record thousands of results, one commit each, so adding one copies a sixty-fourth of them and not
// all. Keys are the user's, so they stand as values in lists and never as property names.

import type { Stored } from "../base/stored.ts";

export type JournalRecord = readonly [key: string, value: Stored];

/** Records by bucket, in order of recording within each. Plain data. */
export type StepJournal = Readonly<Record<number, readonly JournalRecord[]>>;

export const NO_RECORDS: StepJournal = Object.freeze({});

const BUCKETS = 64;

/** FNV-1a, 32 bits (Fowler, Noll, Vo). */
function bucketOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % BUCKETS;
}

export function recordIn(journal: StepJournal, key: string): Stored | undefined {
  return journal[bucketOf(key)]?.find(([known]) => known === key)?.[1];
}

export function withRecord(journal: StepJournal, key: string, value: Stored): StepJournal {
  const bucket = bucketOf(key);
  return { ...journal, [bucket]: [...(journal[bucket] ?? []), [key, value] as const] };
}

export function recordsOf(journal: StepJournal): readonly JournalRecord[] {
  return journal === NO_RECORDS ? NONE : Object.values(journal).flat();
}

const NONE: readonly JournalRecord[] = Object.freeze([]);

/** The records a stream edge's target made before it had a step of its own: they stand in its source's journal as `>node/key`. */
export function recordsAhead(journal: StepJournal, node: string): readonly JournalRecord[] {
  const prefix = aheadKey(node, "");
  return recordsOf(journal).flatMap(([key, value]) =>
    key.startsWith(prefix) ? [[key.slice(prefix.length), value] as const] : [],
  );
}

export function aheadKey(node: string, key: string): string {
  return `>${node}/${key}`;
}
