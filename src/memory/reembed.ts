// Reembed
//
// All vectors made anew, beside the old ones, which count until the last is there.
//
// R1  The settings change in one write, which finds that every entry has its new vector, those that came meanwhile, too. Cut short
//     before it, the old ones still hold.
// R2  Taken up again with the same embedder, entries that have their new vector are passed over.
// R3  An entry that is deleted meanwhile gets no vector.

import {
  decodeVector,
  keys,
  decodeSettings,
  putSettings,
  putVector,
  REEMBED_KEY,
  SETTINGS_KEY,
  textOf,
} from "./records.ts";
import type { Kept, Settings } from "./records.ts";
import type { EntryStore } from "./entry-store.ts";
import type { Embedder } from "./ports.ts";
import { embedTexts } from "./embedding.ts";

const PAGE = 100;
/** More than there will be. */
const GENERATIONS = 999_999;

export interface ReembedOptions {
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** Resolves with how many entries there were. */
export async function reembed(store: EntryStore, embedder: Embedder, options: ReembedOptions): Promise<number> {
  const { settings } = store;
  if (settings === null) return 0;
  const total = await store.count();
  let next: Settings | null = await begun(store, embedder, settings);
  let done = 0;
  let last = 0;
  do {
    const page = await store.seqsAfter(last);
    for (let at = 0; at < page.length; at += PAGE) {
      options.signal?.throwIfAborted();
      const seqs = page.slice(at, at + PAGE);
      next = await embedPage(store, embedder, settings, next, seqs, options.signal);
      done += seqs.length;
      options.onProgress?.(done, total);
    }
    last = page.at(-1) ?? last;
  } while (!(await conclude(store, last, next)));
  await clearVectors(store);
  return total;
}

/** What was begun with this embedder; what was begun with another is cleared away. */
async function begun(store: EntryStore, embedder: Embedder, settings: Settings): Promise<Settings | null> {
  const record = await store.database.get(REEMBED_KEY);
  if (record === undefined) return null;
  const before = decodeSettings(record, REEMBED_KEY);
  const isSame =
    before.embedder === embedder.name && (embedder.dimensions === null || embedder.dimensions === before.dimensions);
  if (isSame && before.generation === settings.generation + 1) return before;
  await store.transact(async (ops) => void ops.push({ type: "del", key: REEMBED_KEY }));
  await clearVectors(store);
  return null;
}

async function embedPage(
  store: EntryStore,
  embedder: Embedder,
  settings: Settings,
  begunAs: Settings | null,
  seqs: readonly number[],
  signal: AbortSignal | undefined,
): Promise<Settings | null> {
  const entries = (await store.read(seqs)).filter((entry): entry is Kept => entry !== undefined);
  const open = begunAs === null ? entries : await withoutVector(store, begunAs, entries);
  if (open.length === 0) return begunAs;
  const pinned = begunAs?.dimensions ?? null;
  const { vectors, dimensions } = await embedTexts(embedder, open.map(textOf), pinned, {
    use: "store",
    rarity: undefined,
    signal,
  });
  const next: Settings = begunAs ?? {
    ...settings,
    embedder: embedder.name,
    dimensions,
    generation: settings.generation + 1,
  };
  await store.transact(async (ops) => {
    if (begunAs === null) ops.push(putSettings(REEMBED_KEY, next));
    const there = await store.read(open.map(({ seq }) => seq));
    for (const [i, entry] of there.entries())
      if (entry !== undefined) ops.push(putVector(keys.vector(next.generation, entry.seq), vectors[i] as Float32Array));
    return undefined;
  });
  return next;
}

async function withoutVector(store: EntryStore, next: Settings, entries: readonly Kept[]): Promise<Kept[]> {
  const wanted = entries.map(({ seq }) => keys.vector(next.generation, seq));
  const records = await store.database.getMany(wanted);
  return entries.filter((_entry, i) => {
    const record = records[i];
    if (record === undefined) return true;
    decodeVector(record, wanted[i] as string, next.dimensions);
    return false;
  });
}

/** R1. Whether it could: false where entries came after the `last` that was looked at. Without entries nothing is pinned. */
async function conclude(store: EntryStore, last: number, next: Settings | null): Promise<boolean> {
  let isDone = false;
  await store.transact(async (ops) => {
    isDone = (await store.seqsAfter(last)).length === 0;
    if (!isDone) return undefined;
    ops.push({ type: "del", key: REEMBED_KEY });
    ops.push(next === null ? { type: "del", key: SETTINGS_KEY } : putSettings(SETTINGS_KEY, next));
    return next;
  });
  return isDone;
}

/** Deletes the vectors of all generations but the one that counts, and of one that is being made. */
export async function clearVectors(store: EntryStore): Promise<void> {
  const { settings, database } = store;
  const current = settings?.generation ?? 0;
  const isAnew = (await database.get(REEMBED_KEY)) !== undefined;
  const bounds = [0, current, current + (isAnew ? 2 : 1), GENERATIONS].map((each) => keys.vector(each, 0));
  for (const [from, to] of [bounds.slice(0, 2), bounds.slice(2)] as [string, string][]) {
    const page = (): Promise<readonly (readonly [string, Uint8Array])[]> => database.range(from, to, { limit: PAGE });
    let found = await page();
    if (found.length === 0) continue;
    for (; found.length > 0; found = await page()) await store.apply(found.map(([key]) => ({ type: "del", key })));
    await database.purge?.(from, to);
  }
}
