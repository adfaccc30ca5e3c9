// node memory.ts <given|ngrams> <entries> <queries>: a memory that is filled, indexed, searched, closed and opened again, beside
// the same vectors in a plain loop, the same index without a memory round it, and the same bytes in LevelDB alone.

import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { Level } from "level";
import { createMemory, ngramEmbedder, type Embedder, type Memory } from "orchestra/memory";
import { folderSize } from "./bytes-written.ts";
import { LoopWatch, type Gaps, type WatchedGaps } from "./loop-watch.ts";
import { clusteredVectors, DIMENSIONS, notes } from "./memory-data.ts";

export interface Stage {
  readonly ms: number;
  /** Of all threads. */
  readonly cpuMs: number;
  readonly gaps: WatchedGaps;
}

/** One figure per query. */
export interface Searches {
  readonly searchMs: readonly number[];
  readonly exactMs: readonly number[];
  /** Null where hnswlib-node is not installed or no index was kept. */
  readonly hnswlibMs: readonly number[] | null;
  /** Of the ten nearest, over all queries; null where words count as well. */
  readonly recall: number | null;
  /** The longest of the memory's searches. */
  readonly searchGaps: WatchedGaps;
}

export interface MemoryCosts extends Searches {
  readonly seed: Stage;
  /** The same texts and vectors put into LevelDB in batches of as many, with fsync. */
  readonly seedLevel: Stage;
  /** From the first look at a memory that was just filled until its index is built and kept. */
  readonly build: Stage;
  readonly indexed: number;
  /** As the memory measured it on itself. */
  readonly recallStated: number | null;
  /** A new memory on the folder, until its first search is answered, and until its index is read. */
  readonly reopen: Stage;
  readonly reindex: Stage;
  readonly entryBytes: number;
  readonly indexBytes: number;
  /** Texts and vectors alone. */
  readonly rawBytes: number;
}

interface Hnsw {
  readIndexSync(path: string): void;
  setEf(ef: number): void;
  searchKnn(point: number[], count: number): { readonly neighbors: readonly number[] };
}

const NEAREST = 10;
const BATCH = 1_000;
/** As one call of a user may hand over. */
const CALL = 10_000;
const WARM_UP = 20;
const SCOPE = { project: "bench" };

const [kind = "", entryCount = 0, queryCount = 0] = process.argv
  .slice(2)
  .map((arg, i) => (i === 0 ? arg : Number(arg)));
const count = Number(entryCount);
const searched = Number(queryCount) + WARM_UP;
const folder = mkdtempSync(join(tmpdir(), "orchestra-memory-"));
const texts = notes(count + searched, 1);
const [kept, asked] = [texts.slice(0, count), texts.slice(count)];
const { vectors, embedder } = await (kind === "given" ? given() : ngrams());
const watch = await LoopWatch.start();

async function given(): Promise<{ vectors: Float32Array; embedder: Embedder }> {
  const vectors = clusteredVectors(texts.length, 2);
  const places = new Map(texts.map((text, i) => [text, i]));
  const embed: Embedder["embed"] = async (wanted) => wanted.map((text) => vectorAt(vectors, places.get(text) ?? 0));
  return { vectors, embedder: { name: "bench:given", dimensions: DIMENSIONS, embed } };
}

async function ngrams(): Promise<{ vectors: Float32Array; embedder: Embedder }> {
  const embedder = ngramEmbedder();
  const vectors = new Float32Array(texts.length * DIMENSIONS);
  for (const [i, vector] of (await embedder.embed(texts, { use: "store" })).entries()) {
    const length = Math.hypot(...vector);
    vectors.set(
      Array.from(vector, (value) => value / length),
      i * DIMENSIONS,
    );
  }
  return { vectors, embedder };
}

function vectorAt(vectors: Float32Array, place: number): Float32Array {
  return vectors.subarray(place * DIMENSIONS, (place + 1) * DIMENSIONS);
}

async function staged(work: () => Promise<unknown>): Promise<Stage> {
  await watch.lap();
  const cpu = process.cpuUsage();
  const began = performance.now();
  await work();
  const ms = performance.now() - began;
  const { user, system } = process.cpuUsage(cpu);
  return { ms, cpuMs: (user + system) / 1_000, gaps: await watch.lap() };
}

/** Places of the nearest of what is kept, by one loop over all. */
function exact(query: Float32Array): number[] {
  const places: number[] = [];
  const sums: number[] = [];
  for (let place = 0, from = 0; place < count; place++, from += DIMENSIONS) {
    let a = 0;
    let b = 0;
    let c = 0;
    let d = 0;
    for (let i = 0; i < DIMENSIONS; i += 4) {
      a += (vectors[from + i] as number) * (query[i] as number);
      b += (vectors[from + i + 1] as number) * (query[i + 1] as number);
      c += (vectors[from + i + 2] as number) * (query[i + 2] as number);
      d += (vectors[from + i + 3] as number) * (query[i + 3] as number);
    }
    const sum = a + b + c + d;
    if (sums.length === NEAREST && sum <= (sums[NEAREST - 1] as number)) continue;
    let at = sums.length;
    while (at > 0 && (sums[at - 1] as number) < sum) at--;
    sums.splice(at, 0, sum);
    places.splice(at, 0, place);
    sums.length = places.length = Math.min(NEAREST, sums.length);
  }
  return places;
}

/** The file of the memory's own index, with the list it searches with, without a memory. */
function ownIndex(): Hnsw | null {
  try {
    const names = readdirSync(join(folder, "memory", "index"));
    const fileWith = (end: string): string =>
      join(folder, "memory", "index", names.find((name) => name.endsWith(end)) ?? "");
    const { HierarchicalNSW } = createRequire(import.meta.url)("hnswlib-node") as {
      HierarchicalNSW: new (space: string, dimensions: number) => Hnsw;
    };
    const hnsw = new HierarchicalNSW("ip", DIMENSIONS);
    hnsw.readIndexSync(fileWith(".hnsw"));
    hnsw.setEf((JSON.parse(readFileSync(fileWith(".json"), "utf8")) as { ef: number }).ef);
    return hnsw;
  } catch {
    return null;
  }
}

async function seedLevel(): Promise<void> {
  const db = new Level<string, Uint8Array>(join(folder, "level"), { valueEncoding: "view" });
  for (let at = 0; at < count; at += BATCH) {
    const puts = kept.slice(at, at + BATCH).flatMap((text, i) => {
      const { buffer, byteOffset, byteLength } = vectorAt(vectors, at + i);
      return [
        { type: "put" as const, key: `e/${at + i}`, value: Buffer.from(text) },
        { type: "put" as const, key: `v/${at + i}`, value: new Uint8Array(buffer, byteOffset, byteLength) },
      ];
    });
    await db.batch(puts, { sync: true } as object);
  }
  await db.close();
}

async function seed(memory: Memory): Promise<void> {
  for (let at = 0; at < count; at += CALL)
    await memory.add(
      kept.slice(at, at + CALL).map((value, i) => ({ key: String(at + i), value })),
      { scope: SCOPE },
    );
}

/** One query after another, each put to all in turn. */
async function search(memory: Memory): Promise<Searches> {
  const mode = kind === "given" ? "vector" : "hybrid";
  const hnsw = ownIndex();
  const times = { search: [] as number[], exact: [] as number[], hnswlib: [] as number[] };
  let found = 0;
  let gaps = (await staged(async () => undefined)).gaps;
  const timed = async <T>(into: number[], work: () => T | Promise<T>): Promise<T> => {
    const began = performance.now();
    const value = await work();
    into.push(performance.now() - began);
    return value;
  };
  for (const [i, query] of asked.entries()) {
    const vector = vectorAt(vectors, count + i);
    const nearest = new Set((await timed(times.exact, () => exact(vector))).map(String));
    if (hnsw !== null) await timed(times.hnswlib, () => hnsw.searchKnn(Array.from(vector), NEAREST));
    await watch.lap();
    const near = await timed(times.search, () => memory.search(query, { scope: SCOPE, mode, topK: NEAREST }));
    gaps = longer(gaps, await watch.lap());
    found += near.filter(({ key }) => nearest.has(key)).length;
  }
  const counted = (ms: readonly number[]): readonly number[] => ms.slice(WARM_UP);
  return {
    searchMs: counted(times.search),
    exactMs: counted(times.exact),
    hnswlibMs: hnsw === null ? null : counted(times.hnswlib),
    recall: mode === "vector" ? found / (NEAREST * asked.length) : null,
    searchGaps: gaps,
  };
}

function longer(a: WatchedGaps, b: WatchedGaps): WatchedGaps {
  const of = (x: Gaps, y: Gaps): Gaps => ({
    wallMs: Math.max(x.wallMs, y.wallMs),
    cpuMs: x.cpuMs === null || y.cpuMs === null ? null : Math.max(x.cpuMs, y.cpuMs),
  });
  return { own: of(a.own, b.own), idle: of(a.idle, b.idle) };
}

async function measured(): Promise<MemoryCosts> {
  const path = join(folder, "memory");
  const level = await staged(seedLevel);
  let memory = createMemory({ folder: path, embedder });
  const seeded = await staged(() => seed(memory));
  const built = await staged(() => memory.prepare(SCOPE));
  const [stats] = (await memory.stats()).scopes;
  const searches = await search(memory);
  await memory.close();
  memory = createMemory({ folder: path, embedder });
  const reopened = await staged(() => memory.search(asked[0] ?? "", { scope: SCOPE }));
  const reindexed = await staged(() => memory.prepare(SCOPE));
  await memory.close();
  return {
    seed: seeded,
    seedLevel: level,
    build: built,
    indexed: stats?.indexed ?? 0,
    recallStated: stats?.recall ?? null,
    ...searches,
    reopen: reopened,
    reindex: reindexed,
    entryBytes: (await folderSize(join(path, "entries"))) / count,
    indexBytes: (await folderSize(join(path, "index")).catch(() => 0)) / count,
    rawBytes: kept.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / count + DIMENSIONS * 4,
  };
}

try {
  console.log(JSON.stringify(await measured()));
} finally {
  watch.stop();
  rmSync(folder, { recursive: true, force: true });
}
