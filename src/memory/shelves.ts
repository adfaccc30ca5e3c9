// Shelves
//
// Owns:      the shelves of the scopes that are searched, their indexes, and the thread of these.
// Does not:  write entries; it is told of every change after it is on disk.
//
// H1  A shelf has every entry of its scope that was on disk when it was asked for, and hears of every change from then on:
//     filling it, and changes in their order, follow one another, and a search waits for those that it came after.
// H2  At most `residentEntries` are held, over all shelves; those of the scope searched longest ago go first. The one in use stays.
// H3  An index that fails costs speed only.

import type { Logger } from "../base/logger.ts";
import type { Change, EntryStore } from "./entry-store.ts";
import { IndexCache } from "./index-cache.ts";
import { IndexClient } from "./index-client.ts";
import { breathe, Pace } from "./pace.ts";
import type { MemoryScope, MemoryStats } from "./ports.ts";
import { scopeHash, type Kept } from "./records.ts";
import { ScopeIndex } from "./scope-index.ts";
import { scopeKey, scopesOf } from "./scopes.ts";
import { Shelf } from "./shelf.ts";

const PAGE = 128;

export interface ShelvesOptions {
  readonly store: EntryStore;
  readonly cacheFolder: string | null;
  readonly exactUpTo: number;
  readonly residentEntries: number;
  readonly logger: Logger;
}

interface Held {
  readonly scope: MemoryScope;
  readonly shelf: Shelf;
  readonly cache: IndexCache | null;
  /** H1 */
  settled: Promise<void>;
  /** Of what `settled` waits for, how much there is. */
  unsettled: number;
  index: ScopeIndex | null;
  indexing: Promise<void> | null;
}

export class Shelves {
  readonly #options: ShelvesOptions;
  /** Searched longest ago first. */
  readonly #held = new Map<string, Held>();
  /** Given up, while their indexes are kept: they hear of changes until then. */
  readonly #leaving = new Set<Held>();
  #isClosed = false;
  #client: Promise<IndexClient | null> | null = null;
  #hnsw: boolean | null = null;

  constructor(options: ShelvesOptions) {
    this.#options = options;
  }

  /** The filled shelf of a scope, and its index as far as it is. Null while the memory is empty. */
  async get(scope: MemoryScope): Promise<{ readonly shelf: Shelf; readonly index: ScopeIndex | null } | null> {
    const held = await this.#get(scope);
    if (held === null) return null;
    void this.#index(held);
    return { shelf: held.shelf, index: held.index };
  }

  /** Resolves when its index is built, where it gets one. */
  async prepare(scope: MemoryScope): Promise<void> {
    const held = await this.#get(scope);
    if (held !== null) await this.#index(held);
  }

  /** To be told in the order of the writes. Resolves when no search is blind to them. */
  async changed(change: Change): Promise<void> {
    const told: Promise<void>[] = [];
    for (const [key, own] of byScope(change)) {
      const all = [...this.#leaving].filter(({ scope }) => scopeKey(scope) === key);
      const held = this.#held.get(key);
      if (held !== undefined) all.push(held);
      // One that could not be filled is not held any more, and whoever asked for it hears of it.
      told.push(...all.map((one) => settle(one, () => applyTo(one, own)).catch(() => undefined)));
    }
    await Promise.all(told);
  }

  /** Deletes the files of the scopes, named by their hashes. */
  async forgetFiles(scopes: ReadonlySet<string>): Promise<void> {
    const { cacheFolder, store } = this.#options;
    if (cacheFolder === null || store.settings === null) return;
    for (const name of scopes) await new IndexCache(cacheFolder, name, store.settings).forget();
  }

  /** Drops all shelves, as when all vectors have changed. */
  async clear(): Promise<void> {
    const all = [...this.#held.values()];
    this.#held.clear();
    for (const held of all) {
      await held.settled.catch(() => undefined);
      await held.indexing;
      await held.index?.drop().catch(() => undefined);
      await held.cache?.forget();
    }
  }

  get hnsw(): boolean | null {
    return this.#hnsw;
  }

  stats(): MemoryStats["scopes"] {
    return [...this.#held.values()].map(({ scope, shelf, index }) => ({
      scope,
      entries: shelf.live,
      indexed: index?.covered ?? 0,
      index: (index?.covered ?? 0) > 0 ? "hnsw" : index?.isExtending ? "building" : "exact",
      recall: index?.recall ?? null,
    }));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const held of this.#held.values()) await this.#save(held);
    await (await this.#client)?.close();
  }

  async #get(scope: MemoryScope): Promise<Held | null> {
    const { settings } = this.#options.store;
    if (settings === null) return null;
    const key = scopeKey(scope);
    await this.#replaceWorn(key);
    const held = this.#held.get(key) ?? this.#fill(scope);
    this.#held.delete(key);
    this.#held.set(key, held);
    await held.settled;
    await this.#makeRoom(held);
    return held;
  }

  #fill(scope: MemoryScope): Held {
    const { store, cacheFolder } = this.#options;
    const settings = store.settings;
    if (settings === null) throw new TypeError("a memory without entries has no shelves");
    const held: Held = {
      scope,
      shelf: new Shelf(settings.dimensions),
      cache: cacheFolder === null ? null : new IndexCache(cacheFolder, scopeHash(scope), settings),
      settled: Promise.resolve(),
      unsettled: 0,
      index: null,
      indexing: null,
    };
    settle(held, () => this.#read(held)).catch(() => {
      // To be tried again by the next search.
      if (this.#held.get(scopeKey(scope)) === held) this.#held.delete(scopeKey(scope));
    });
    return held;
  }

  async #read(held: Held): Promise<void> {
    const { store } = this.#options;
    const seqs = await store.members(held.scope);
    const pace = new Pace();
    for (let at = 0; at < seqs.length; at += PAGE) {
      const page = seqs.slice(at, at + PAGE);
      const [entries, vectors] = await Promise.all([store.read(page), store.vectors(page)]);
      for (const [i, entry] of entries.entries()) {
        const vector = vectors[i];
        if (entry === undefined || vector === undefined) continue;
        if (pace.isDue(held.shelf.add(entry, vector))) await breathe();
      }
    }
  }

  /** H2 */
  async #makeRoom(inUse: Held): Promise<void> {
    let resident = 0;
    for (const { shelf } of this.#held.values()) resident += shelf.live;
    for (const held of this.#held.values()) {
      if (resident <= this.#options.residentEntries) return;
      if (held === inUse || held.unsettled > 0 || held.indexing !== null) continue;
      resident -= held.shelf.live;
      await this.#giveUp(held, true);
    }
  }

  /** What is dead would stay in it, and in its index. The next search fills a shelf anew, and builds its index. */
  async #replaceWorn(key: string): Promise<void> {
    const held = this.#held.get(key);
    if (held === undefined || held.unsettled > 0 || held.indexing !== null) return;
    if (held.index?.isWorn === true || held.shelf.isWorn) await this.#giveUp(held, false);
  }

  async #giveUp(held: Held, isKept: boolean): Promise<void> {
    this.#held.delete(scopeKey(held.scope));
    this.#leaving.add(held);
    if (isKept) await this.#save(held);
    else await held.cache?.forget();
    this.#leaving.delete(held);
    await held.index?.drop().catch(() => undefined);
  }

  /** One at a time for each shelf. H3 */
  #index(held: Held): Promise<void> {
    if (this.#isClosed || held.shelf.live <= this.#options.exactUpTo) return Promise.resolve();
    held.indexing ??= this.#extendIndex(held)
      .catch((error: unknown) => {
        held.index?.drop().catch(() => undefined);
        held.index = null;
        this.#options.logger.warn({ err: error, scope: held.scope }, "memory: search goes on without an index");
      })
      .finally(() => (held.indexing = null));
    return held.indexing;
  }

  async #extendIndex(held: Held): Promise<void> {
    const client = await this.#startClient();
    if (client === null || client.failure !== null) {
      this.#hnsw = false;
      return;
    }
    const isNew = held.index === null;
    held.index ??= await ScopeIndex.open(client, held.shelf, held.cache);
    await held.index.extend();
    if (isNew && held.cache !== null) await held.index.save(held.cache);
  }

  #startClient(): Promise<IndexClient | null> {
    this.#client ??= IndexClient.start().then(
      (client) => {
        this.#hnsw = true;
        return client;
      },
      (error: unknown) => {
        this.#hnsw = false;
        this.#options.logger.info({ err: error }, "memory: hnswlib-node does not load; search looks at every entry");
        return null;
      },
    );
    return this.#client;
  }

  async #save({ index, cache, indexing }: Held): Promise<void> {
    if (index === null || cache === null || indexing !== null || index.isExtending) return;
    await index.save(cache).catch((error: unknown) => {
      this.#options.logger.warn({ err: error }, "memory: an index could not be kept; it will be built anew");
    });
  }
}

function settle(held: Held, work: () => Promise<void>): Promise<void> {
  held.unsettled += 1;
  held.settled = held.settled.then(work).finally(() => (held.unsettled -= 1));
  return held.settled;
}

/** By the scopes that find what came or went. */
function byScope({ added, removed }: Change): Map<string, { added: Change["added"][number][]; removed: Kept[] }> {
  const all = new Map<string, { added: Change["added"][number][]; removed: Kept[] }>();
  const of = ({ scope, provenance }: Kept) =>
    scopesOf(scope, provenance).map((one) => {
      const key = scopeKey(one);
      const own = all.get(key) ?? { added: [], removed: [] };
      all.set(key, own);
      return own;
    });
  for (const entry of removed) for (const own of of(entry)) own.removed.push(entry);
  for (const one of added) for (const own of of(one.entry)) own.added.push(one);
  return all;
}

async function applyTo(held: Held, { added, removed }: Change): Promise<void> {
  const { shelf } = held;
  const pace = new Pace();
  for (const { entry, vector } of added) if (pace.isDue(shelf.add(entry, vector))) await breathe();
  // Last: what takes their place is there already. What is gone from disk is shown to nobody.
  for (const entry of removed) {
    const slot = shelf.remove(entry);
    // A dead slot is passed over; the index may take its time, and one that fails is found out by the next search.
    if (slot !== null) held.index?.remove(slot).catch(() => undefined);
  }
}
