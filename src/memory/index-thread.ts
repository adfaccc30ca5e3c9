// Index thread
//
// What runs in the thread that builds and searches approximate indexes (HNSW, Malkov and Yashunin 2018). The function is handed to
// the thread as its source, because a thread cannot load TypeScript and the package is a bundle: it uses nothing but what it
// is given.
//
// T1  hnswlib's functions block, so they are called here only; additions in slices, between which searches are answered.
// T2  hnswlib ends the process when a filter throws, takes NaN, and reads a file of another dimension: filters look up a byte,
//     vectors come from vectors.ts, and a file is read only after its checksum and the dimension beside it were compared.
// T3  Numbers in the index (ordinals) count from 0 and are never given twice.

import type { MessagePort } from "node:worker_threads";

/** What is used of hnswlib-node. Its own types may be missing: it is not installed where it cannot be compiled. */
interface HierarchicalNSW {
  initIndex(options: {
    readonly maxElements: number;
    readonly m: number;
    readonly efConstruction: number;
    readonly randomSeed: number;
  }): void;
  readIndexSync(path: string): void;
  writeIndexSync(path: string): void;
  addPoint(point: number[], label: number): void;
  markDelete(label: number): void;
  resizeIndex(elements: number): void;
  getMaxElements(): number;
  getCurrentCount(): number;
  setEf(ef: number): void;
  searchKnn(point: number[], neighbors: number, filter?: (label: number) => boolean): { readonly neighbors: number[] };
}

/** What the thread is asked. Each has an answer with the same `id`. */
export type IndexRequest = { readonly id: number; readonly index: number } & (
  | { readonly type: "create"; readonly dimensions: number; readonly blockVectors: number }
  | {
      readonly type: "load";
      readonly dimensions: number;
      readonly blockVectors: number;
      readonly path: string;
      readonly crc: number;
      readonly ef: number;
      /** By ordinal. */
      readonly slots: Uint32Array;
      /** Ordinals that were removed before it was saved. */
      readonly removed: readonly number[];
    }
  /** Adds the vectors in these slots as the next ordinals, then measures when that is due. */
  | { readonly type: "add"; readonly slots: Uint32Array; readonly blocks: readonly SharedArrayBuffer[] }
  | { readonly type: "remove"; readonly ordinals: readonly number[] }
  | {
      readonly type: "search";
      readonly vector: Float32Array;
      readonly count: number;
      readonly allowed: Uint8Array | null;
    }
  | { readonly type: "save"; readonly path: string }
  | { readonly type: "drop" }
);

export type IndexAnswer = { readonly id: number } & (
  | { readonly type: "done" }
  /** The slots in the order of their ordinals. */
  | { readonly type: "added"; readonly slots: Uint32Array; readonly ef: number; readonly recall: number | null }
  | { readonly type: "found"; readonly ordinals: readonly number[] }
  | { readonly type: "saved"; readonly crc: number; readonly bytes: number }
  | { readonly type: "failed"; readonly message: string }
);

/** What the thread uses. */
export interface ThreadParts {
  readonly port: Pick<MessagePort, "on" | "postMessage">;
  readonly hnswlib: { readonly HierarchicalNSW: new (space: "ip", dimensions: number) => HierarchicalNSW };
  readonly fs: Pick<typeof import("node:fs"), "closeSync" | "openSync" | "readSync" | "renameSync">;
  readonly crc32: (bytes: Uint8Array, seed?: number) => number;
}

export interface ThreadSettings {
  /** Links per element and length of the list while building: hnswlib's M and efConstruction. */
  readonly links: number;
  readonly efConstruction: number;
  /** Lengths of the list while searching that are tried, the first that is good enough is taken. */
  readonly efs: readonly number[];
  /** Share of the true ten nearest that is good enough. */
  readonly recallAimed: number;
  /** Vectors that are searched for, before they are added, to measure that. */
  readonly samples: number;
}

interface Index {
  readonly hnsw: HierarchicalNSW;
  readonly dimensions: number;
  readonly blockVectors: number;
  count: number;
  ef: number;
  /** Elements when `ef` was last measured. */
  measuredAt: number;
  recall: number | null;
  removed: Set<number>;
  /** By ordinal. */
  slots: number[];
}

export function indexThread({ port, hnswlib, fs, crc32 }: ThreadParts, settings: ThreadSettings): void {
  const GROWTH = 1.5;
  const SLICE = 16;
  const NEAREST = 10;
  const indexes = new Map<number, Index>();
  // Additions wait for one another; searches do not wait for them.
  let adding: Promise<unknown> = Promise.resolve();

  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  const find = (index: number): Index => {
    const found = indexes.get(index);
    if (found === undefined) throw new Error(`there is no index ${index}`);
    return found;
  };

  const room = (index: Index, wanted: number): void => {
    const capacity = index.hnsw.getMaxElements();
    if (wanted > capacity) index.hnsw.resizeIndex(Math.max(wanted, Math.ceil(capacity * GROWTH)));
  };

  const vectorIn = (index: Index, views: readonly Float32Array[], slot: number): Float32Array => {
    const from = (slot % index.blockVectors) * index.dimensions;
    const view = views[Math.floor(slot / index.blockVectors)];
    if (view === undefined) throw new Error(`there is no vector in slot ${slot}`);
    return view.subarray(from, from + index.dimensions);
  };

  const insert = async (index: Index, views: readonly Float32Array[], slots: readonly number[]): Promise<void> => {
    room(index, index.count + slots.length);
    for (let i = 0; i < slots.length; i++) {
      if (i % SLICE === SLICE - 1) await turn();
      const slot = slots[i] as number;
      index.hnsw.addPoint(Array.from(vectorIn(index, views, slot)), index.count);
      index.slots[index.count] = slot;
      index.count += 1;
    }
  };

  const nearestTo = (index: Index, views: readonly Float32Array[], query: Float32Array): Set<number> => {
    const best: { ordinal: number; sum: number }[] = [];
    for (let ordinal = 0; ordinal < index.count; ordinal++) {
      if (index.removed.has(ordinal)) continue;
      const vector = vectorIn(index, views, index.slots[ordinal] as number);
      let sum = 0;
      for (let i = 0; i < query.length; i++) sum += (query[i] as number) * (vector[i] as number);
      if (best.length === NEAREST && sum <= (best[NEAREST - 1] as { sum: number }).sum) continue;
      let at = best.length;
      while (at > 0 && (best[at - 1] as { sum: number }).sum < sum) at--;
      best.splice(at, 0, { ordinal, sum });
      if (best.length > NEAREST) best.pop();
    }
    return new Set(best.map(({ ordinal }) => ordinal));
  };

  const searched = (
    index: Index,
    query: Float32Array,
    count: number,
    ef: number,
    allowed: Uint8Array | null,
  ): number[] => {
    const wanted = Math.min(count, index.count - index.removed.size);
    if (wanted <= 0) return [];
    index.hnsw.setEf(Math.max(ef, wanted));
    const filter = allowed === null ? undefined : (ordinal: number): boolean => allowed[ordinal] === 1;
    return index.hnsw.searchKnn(Array.from(query), wanted, filter).neighbors;
  };

  /** The shortest list that finds enough of what is really nearest, for vectors that the index does not hold. */
  const measure = async (index: Index, views: readonly Float32Array[], samples: readonly number[]): Promise<void> => {
    const truths: { query: Float32Array; nearest: Set<number> }[] = [];
    for (const slot of samples) {
      await turn();
      const query = vectorIn(index, views, slot);
      truths.push({ query, nearest: nearestTo(index, views, query) });
    }
    for (const ef of settings.efs) {
      let found = 0;
      let wanted = 0;
      for (const { query, nearest } of truths) {
        await turn();
        wanted += nearest.size;
        for (const ordinal of searched(index, query, NEAREST, ef, null)) if (nearest.has(ordinal)) found += 1;
      }
      index.ef = ef;
      index.recall = wanted === 0 ? 1 : found / wanted;
      if (index.recall >= settings.recallAimed) break;
    }
    index.measuredAt = index.count;
  };

  const add = async (
    index: Index,
    slots: readonly number[],
    blocks: readonly SharedArrayBuffer[],
  ): Promise<Record<string, unknown>> => {
    const views = blocks.map((block) => new Float32Array(block));
    const due = index.count + slots.length >= 2 * index.measuredAt;
    const every = Math.max(2, Math.floor(slots.length / settings.samples));
    const held = due ? slots.filter((_slot, i) => i % every === every - 1).slice(0, settings.samples) : [];
    const apart = new Set(held);
    const first = slots.filter((slot) => !apart.has(slot));
    await insert(index, views, first);
    if (due) await measure(index, views, held);
    await insert(index, views, held);
    return { type: "added", slots: Uint32Array.from([...first, ...held]), ef: index.ef, recall: index.recall };
  };

  const checksumOf = (path: string): { crc: number; bytes: number } => {
    const chunk = new Uint8Array(1 << 20);
    const file = fs.openSync(path, "r");
    let crc = 0;
    let bytes = 0;
    for (;;) {
      const read = fs.readSync(file, chunk, 0, chunk.length, null);
      if (read === 0) break;
      crc = crc32(chunk.subarray(0, read), crc);
      bytes += read;
    }
    fs.closeSync(file);
    return { crc, bytes };
  };

  const create = (dimensions: number, blockVectors: number): Index => ({
    hnsw: new hnswlib.HierarchicalNSW("ip", dimensions),
    dimensions,
    blockVectors,
    count: 0,
    ef: settings.efs[0] as number,
    measuredAt: 0,
    recall: null,
    removed: new Set(),
    slots: [],
  });

  const handle = async (request: IndexRequest): Promise<Record<string, unknown>> => {
    switch (request.type) {
      case "create": {
        const index = create(request.dimensions, request.blockVectors);
        index.hnsw.initIndex({
          maxElements: 1024,
          m: settings.links,
          efConstruction: settings.efConstruction,
          randomSeed: 1,
        });
        indexes.set(request.index, index);
        return { type: "done" };
      }
      case "load": {
        const { crc } = checksumOf(request.path);
        if (crc !== request.crc) throw new Error(`its checksum is ${crc}, expected ${request.crc}`);
        const index = create(request.dimensions, request.blockVectors);
        index.hnsw.readIndexSync(request.path);
        index.count = index.hnsw.getCurrentCount();
        if (index.count !== request.slots.length)
          throw new Error(`it holds ${index.count} elements, expected ${request.slots.length}`);
        index.slots = Array.from(request.slots);
        index.ef = request.ef;
        index.measuredAt = index.count;
        // They were marked before it was saved, which hnswlib keeps.
        index.removed = new Set(request.removed);
        indexes.set(request.index, index);
        return { type: "done" };
      }
      case "add": {
        const index = find(request.index);
        const work = adding.then(() => add(index, Array.from(request.slots), request.blocks));
        adding = work.catch(() => undefined);
        return work;
      }
      case "remove": {
        const index = find(request.index);
        const work = adding.then(() => {
          for (const ordinal of request.ordinals) {
            if (ordinal >= index.count || index.removed.has(ordinal)) continue;
            // Its numbers are overwritten first: a mark alone would leave them in what is saved.
            index.hnsw.addPoint(
              Array.from({ length: index.dimensions }, () => 0),
              ordinal,
            );
            index.hnsw.markDelete(ordinal);
            index.removed.add(ordinal);
          }
          return { type: "done" };
        });
        adding = work.catch(() => undefined);
        return work;
      }
      case "search": {
        const index = find(request.index);
        return { type: "found", ordinals: searched(index, request.vector, request.count, index.ef, request.allowed) };
      }
      case "save": {
        const index = find(request.index);
        const work = adding.then(() => {
          const part = `${request.path}.part`;
          index.hnsw.writeIndexSync(part);
          const sums = checksumOf(part);
          fs.renameSync(part, request.path);
          return { type: "saved", ...sums };
        });
        adding = work.catch(() => undefined);
        return work;
      }
      case "drop":
        indexes.delete(request.index);
        return { type: "done" };
    }
  };

  port.on("message", (request: IndexRequest) => {
    handle(request).then(
      (answer) => port.postMessage({ id: request.id, ...answer }),
      (error: unknown) => port.postMessage({ id: request.id, type: "failed", message: String(error) }),
    );
  });
}
