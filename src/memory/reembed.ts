// Reembed
//
// All vectors made anew, beside the old ones, which count until the last is there.
//
// R1  The settings change in one write, after every entry has its new vector. Cut short before it, the old ones still hold.
// R2  Taken up again with the same embedder, entries that have their new vector are passed over.

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

export interface ReembedOptions {
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** Resolves with how many entries there are. Nobody may add entries meanwhile. */
export async function reembed(store: EntryStore, embedder: Embedder, options: ReembedOptions): Promise<number> {
  const { settings } = store;
  if (settings === null) return 0;
  const total = await store.count();
  let next: Settings | null = await begun(store, embedder, settings);
  let done = 0;
  for (let last = 0, page = await store.seqsAfter(0); page.length > 0; page = await store.seqsAfter(last)) {
    for (let at = 0; at < page.length; at += PAGE) {
      options.signal?.throwIfAborted();
      const seqs = page.slice(at, at + PAGE);
      next = await embedPage(store, embedder, settings, next, seqs, options.signal);
      done += seqs.length;
      options.onProgress?.(done, total);
    }
    last = page.at(-1) as number;
  }
  if (next !== null) await conclude(store, settings, next);
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
  await clearVectors(store, before.generation);
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
  await store.apply([
    ...(begunAs === null ? [putSettings(REEMBED_KEY, next)] : []),
    ...open.map(({ seq }, i) => putVector(keys.vector(next.generation, seq), vectors[i] as Float32Array)),
  ]);
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

/** R1 */
async function conclude(store: EntryStore, before: Settings, next: Settings): Promise<void> {
  await store.apply([putSettings(SETTINGS_KEY, next), { type: "del", key: REEMBED_KEY }], next);
  await clearVectors(store, before.generation);
}

async function clearVectors(store: EntryStore, generation: number): Promise<void> {
  const [from, to] = [keys.vector(generation, 0), keys.vector(generation + 1, 0)];
  for (;;) {
    const page = await store.database.range(from, to, { limit: 1000 });
    if (page.length === 0) return;
    await store.apply(page.map(([key]) => ({ type: "del", key })));
  }
}
