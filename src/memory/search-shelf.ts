// Search of one shelf: by looking at every entry, or, where an index covers it, at those the index gives and the few that came since.

import { breathe, Pace } from "./pace.ts";
import type { MemorySearchOptions } from "./ports.ts";
import { Best, diversify, fuse } from "./ranking.ts";
import type { ScopeIndex } from "./scope-index.ts";
import type { Shelf, ShelfFilter } from "./shelf.ts";

/** Of two vectors that are compared; see Pace. */
const DIMENSIONS_PER_US = 400;
/** How many more than asked for are looked at where they are judged again, and how many at least. */
const POOL_FACTOR = 4;
const POOL_MIN = 50;

export interface ShelfQuery {
  readonly text: string;
  /** Of unit length. */
  readonly vector: Float32Array;
  readonly topK: number;
  readonly mode: NonNullable<MemorySearchOptions["mode"]>;
  readonly diversity: number;
  readonly filter: ShelfFilter;
  readonly signal: AbortSignal | undefined;
}

export interface Found {
  readonly slot: number;
  readonly seq: number;
  readonly score: number;
  readonly similarity: number;
}

/** Best first. `exactUpTo`: with more entries to look at, the index is asked, if there is one. */
export async function searchShelf(
  shelf: Shelf,
  index: ScopeIndex | null,
  query: ShelfQuery,
  { exactUpTo, nowMs }: { readonly exactUpTo: number; readonly nowMs: number },
): Promise<readonly Found[]> {
  const { topK, mode, vector, diversity } = query;
  const allowed = shelf.allowed(query.filter, nowMs);
  const size = shelf.size;
  const pool = diversity > 0 ? Math.max(topK * POOL_FACTOR, POOL_MIN) : topK;
  const words = mode === "vector" ? null : shelf.words.score(query.text);
  const scoreOf = (slot: number): number => {
    if (mode === "words") return words?.[slot] ?? 0;
    const similarity = shelf.vectors.similarity(slot, vector);
    return mode === "vector" ? similarity : fuse(similarity, words?.[slot] ?? 0);
  };

  const pace = new Pace();
  const turn = async (comparisons: number): Promise<void> => {
    if (!pace.isDue((comparisons * vector.length) / DIMENSIONS_PER_US)) return;
    await breathe();
    query.signal?.throwIfAborted();
  };

  const best = new Best(pool);
  const eligible = allowed?.count ?? shelf.live;
  const covered = mode !== "words" && index !== null && eligible > exactUpTo ? index.covered : 0;
  const candidates =
    covered === 0 ? null : await candidatesOf(shelf, index, query, allowed?.bytes ?? null, words, pool);
  const looked = async (slots: Iterable<number>): Promise<void> => {
    const comparingUs = vector.length / DIMENSIONS_PER_US;
    for (const slot of slots) {
      if (pace.isDue(comparingUs)) {
        await breathe();
        query.signal?.throwIfAborted();
      }
      if (slot >= size || !shelf.isLive(slot) || (allowed !== null && allowed.bytes[slot] !== 1)) continue;
      const score = scoreOf(slot);
      if (mode !== "words" || score > 0) best.offer(slot, score);
    }
  };
  if (candidates !== null) await looked(candidates);
  await looked(between(candidates === null ? 0 : covered, size));

  const found = best.ranked().flatMap(({ slot, score }) => {
    const seq = shelf.seqAt(slot);
    return seq === null ? [] : [{ slot, seq, score, similarity: shelf.vectors.similarity(slot, vector) }];
  });
  return diversity === 0
    ? found
    : diversify(found, topK, diversity, (a, b) => shelf.vectors.similarity(a.slot, shelf.vectors.at(b.slot)), turn);
}

/** By vectors and by words, those below what the index covers; null when it failed, and all must be looked at. */
async function candidatesOf(
  shelf: Shelf,
  index: ScopeIndex | null,
  { vector, topK }: ShelfQuery,
  allowed: Uint8Array | null,
  words: Float32Array | null,
  pool: number,
): Promise<Set<number> | null> {
  if (index === null) return null;
  const covered = index.covered;
  const wanted = words === null ? pool : Math.max(pool, topK * POOL_FACTOR, POOL_MIN);
  let near: number[];
  try {
    near = await index.search(vector, wanted, allowed);
  } catch {
    return null;
  }
  const best = new Best(wanted);
  words?.forEach((score, slot) => {
    if (score > 0 && slot < covered && shelf.isLive(slot) && (allowed === null || allowed[slot] === 1))
      best.offer(slot, score);
  });
  return new Set([...near, ...best.ranked().map(({ slot }) => slot)].filter((slot) => slot < covered));
}

function* between(from: number, to: number): Iterable<number> {
  for (let slot = from; slot < to; slot++) yield slot;
}
