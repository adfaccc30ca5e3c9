// Index cache
//
// Owns:      the file of a scope's index and the page beside it that says what is in the file.
//
// I1  The page is written after the file and removed before it: a page speaks of a whole file, or the checksum says otherwise.
// I2  What does not agree with the entries as they are now is not used. It is a cache: the entries have everything.

import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { breathe, Pace } from "./pace.ts";
import type { Settings } from "./records.ts";
import type { Shelf } from "./shelf.ts";

const VERSION = 1;
const METRIC = "cosine";
/** Of one number with those of the shelf; see Pace. */
const COMPARING_US = 0.2;

export interface CachedIndex {
  /** CRC-32 of the file. */
  readonly crc: number;
  readonly ef: number;
  readonly recall: number;
  /** Number of the entry by ordinal; 0 for one that was gone when it was written. */
  readonly seqs: readonly number[];
  /** Ordinals that are marked as removed. */
  readonly removed: readonly number[];
}

interface Page extends CachedIndex {
  readonly v: number;
  readonly memoryId: string;
  readonly generation: number;
  readonly dim: number;
  readonly metric: string;
  readonly model: string;
  readonly count: number;
  readonly maxSeq: number;
}

export class IndexCache {
  readonly #folder: string;
  readonly #name: string;
  readonly #settings: Settings;

  constructor(folder: string, name: string, settings: Settings) {
    this.#folder = folder;
    this.#name = name;
    this.#settings = settings;
  }

  get path(): string {
    return join(this.#folder, `${this.#name}.hnsw`);
  }

  get #page(): string {
    return join(this.#folder, `${this.#name}.json`);
  }

  /** What the page says, where it agrees with the entries of the shelf; else null. */
  async read(shelf: Shelf): Promise<CachedIndex | null> {
    try {
      const page = JSON.parse(await readFile(this.#page, "utf8")) as Page;
      await breathe();
      return isOf(page, this.#settings) && (await agrees(page, shelf)) ? page : null;
    } catch {
      return null;
    }
  }

  /** Where to write the file. */
  async prepare(): Promise<string> {
    await mkdir(this.#folder, { recursive: true });
    await rm(this.#page, { force: true });
    return this.path;
  }

  async write(index: CachedIndex): Promise<void> {
    const { memoryId, generation, dimensions, embedder } = this.#settings;
    const page: Page = {
      v: VERSION,
      memoryId,
      generation,
      dim: dimensions,
      metric: METRIC,
      model: embedder,
      count: index.seqs.length,
      maxSeq: newestOf(index.seqs),
      ...index,
    };
    await writeFile(`${this.#page}.part`, JSON.stringify(page));
    await rename(`${this.#page}.part`, this.#page);
  }

  async forget(): Promise<void> {
    await rm(this.#page, { force: true });
    for (const file of [this.path, `${this.path}.part`]) await rm(file, { force: true });
  }
}

function isOf(page: Page, { memoryId, generation, dimensions, embedder }: Settings): boolean {
  return (
    page.v === VERSION &&
    page.metric === METRIC &&
    page.memoryId === memoryId &&
    page.generation === generation &&
    page.dim === dimensions &&
    page.model === embedder
  );
}

/** Every entry up to the newest it knows is in it, once. Entries that come meanwhile are newer, and those that go need not be in it. */
async function agrees({ count, maxSeq, seqs, removed, recall, ef, crc }: Page, shelf: Shelf): Promise<boolean> {
  if (seqs.length !== count || ![recall, ef, crc].every(Number.isFinite) || !Array.isArray(removed)) return false;
  const pace = new Pace();
  const known = new Set<number>();
  for (const seq of seqs) {
    if (pace.isDue(COMPARING_US)) await breathe();
    if (seq === 0) continue;
    if (known.has(seq)) return false;
    known.add(seq);
  }
  if (maxSeq !== newestOf(seqs)) return false;
  for (let slot = 0; slot < shelf.size; slot++) {
    if (pace.isDue(COMPARING_US)) await breathe();
    const seq = shelf.seqAt(slot);
    if (seq !== null && seq <= maxSeq && !known.has(seq)) return false;
  }
  return true;
}

function newestOf(seqs: readonly number[]): number {
  return seqs.reduce((a, b) => Math.max(a, b), 0);
}
