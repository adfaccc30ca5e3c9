// Open memory
//
// Owns:      an open memory: its entries (entry-store.ts), what is searched (shelves.ts) and the embedder.
// Does not:  know LevelDB, hnswlib or any model; or whether a run has begun or ended, which its caller knows.
//
// Crossing:  call → drafts → embedder → EntryStore (on disk) → Shelves (told) → answer.

import type { Clock } from "../base/clock.ts";
import { OrchestraError } from "../base/errors.ts";
import { assertOptions } from "../runtime/option-schema.ts";
import { createIds } from "../base/ids.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";
import { readContents } from "./contents.ts";
import {
  addOptions,
  deleteScopeOptions,
  harvestOptions,
  listOptions,
  reembedOptions,
  seedOptions,
} from "./call-options.ts";
import { BATCH_MAX, draftingUs, draftsOf, textsOf } from "./drafts.ts";
import { embedTexts } from "./embedding.ts";
import { assertEmbedder } from "./embedder-pin.ts";
import { EntryStore, type Draft } from "./entry-store.ts";
import { assertProvenance, decideHarvest, learningDraft, tooMany } from "./harvest.ts";
import { breathe, Pace } from "./pace.ts";
import type {
  ArtifactScores,
  Embedder,
  HarvestOptions,
  HarvestReceipt,
  Memory,
  MemoryArtifact,
  MemoryContents,
  MemoryEntry,
  MemoryInput,
  MemoryOrigin,
  MemoryProvenance,
  MemoryScope,
  MemorySearchOptions,
  MemorySearchResult,
  MemoryStats,
  MemoryStep,
  StepMemory,
} from "./ports.ts";
import type { Kept } from "./records.ts";
import { clearVectors, reembed, type ReembedOptions } from "./reembed.ts";
import { isScope, parseScope, scopeKey } from "./scopes.ts";
import { parseSearch } from "./search-options.ts";
import { searchShelf } from "./search-shelf.ts";
import { Shelves } from "./shelves.ts";
import { stepMemory } from "./step-memory.ts";
import type { MemoryStorage } from "./storage.ts";

/** Where and by what it remembers; MemoryOptions (create-memory.ts) says what each is. */
export interface ResolvedMemory {
  readonly storage: MemoryStorage;
  readonly embedder: Embedder;
  readonly exactUpTo: number;
  readonly residentEntries: number;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
}
type Parts = { readonly store: EntryStore; readonly shelves: Shelves };

const READ_PAGE = 200;
/** How often a search looks again when what it found was replaced or deleted meanwhile. */
const LOOKS = 3;

export class OpenMemory implements Memory {
  readonly #options: ResolvedMemory;
  #opening: Promise<Parts> | null = null;
  #closing: Promise<void> | null = null;

  constructor(options: ResolvedMemory) {
    this.#options = options;
  }

  async add(
    entries: readonly MemoryInput[],
    options: { readonly scope: MemoryScope; readonly provenance?: MemoryProvenance; readonly signal?: AbortSignal },
  ): Promise<readonly MemoryEntry[]> {
    assertOptions(addOptions, options, "add");
    return this.#add(entries, parseScope(options.scope), "added", options.provenance, options.signal);
  }

  async seedMemory(
    runId: string,
    entries: readonly MemoryInput[],
    options: { readonly provenance?: MemoryProvenance; readonly signal?: AbortSignal } = {},
  ): Promise<readonly MemoryEntry[]> {
    assertOptions(seedOptions, options, "seedMemory");
    const provenance = { ...options.provenance, runId };
    return this.#add(entries, parseScope({ runId }), "seeded", provenance, options.signal);
  }

  async recordLearning(
    runId: string,
    learning: string | MemoryInput,
    quality?: number,
    provenance: MemoryProvenance = {},
  ): Promise<MemoryEntry> {
    const input = typeof learning === "string" ? { value: learning } : learning;
    const judged = quality === undefined ? input : { ...input, quality };
    const [entry] = await this.#add([judged], parseScope({ runId }), "learned", { ...provenance, runId });
    return entry as MemoryEntry;
  }

  async harvestMemory(
    runId: string,
    artifacts: readonly MemoryArtifact[],
    scores: ArtifactScores,
    options: HarvestOptions = {},
  ): Promise<HarvestReceipt> {
    parseScope({ runId });
    assertOptions(harvestOptions, options, "harvestMemory");
    const nowMs = this.#options.clock.nowMs();
    const harvest = await decideHarvest(runId, artifacts, scores, options, nowMs);
    const { store, shelves } = await this.#parts();
    const known = await store.receipt(harvest.receiptId);
    if (known !== null) return known;
    const provenance = { ...options.provenance, runId };
    const learnings: Draft[] = [];
    const pace = new Pace();
    for (const learning of await this.#learnings(store, runId)) {
      const draft = learningDraft(learning, harvest, provenance, nowMs);
      assertProvenance(draft.content.provenance, `learning ${JSON.stringify(learning.key)}`);
      learnings.push(draft);
      if (pace.isDue(draftingUs(draft))) await breathe();
    }
    const drafts = [...harvest.drafts, ...learnings];
    if (drafts.length > BATCH_MAX) throw tooMany(drafts.length);
    const { vectors, pin } = await this.#embed(store, drafts);
    const { change, receipt } = await store.put(withVectors(drafts, vectors), pin, nowMs, {
      receiptId: harvest.receiptId,
      runId,
      entries: harvest.drafts.map(({ id }) => id),
      learnings: learnings.map(({ id }) => id),
      harvestedAtMs: nowMs,
    });
    await shelves.changed(change);
    return receipt as HarvestReceipt;
  }

  async searchMemory(
    query: string,
    scope: MemoryScope,
    options: number | Omit<MemorySearchOptions, "scope"> = {},
  ): Promise<readonly MemorySearchResult[]> {
    const rest = typeof options === "object" ? options : { topK: options };
    // Some know it as (scope, query, topK).
    const isReversed = !isScope(scope) && isScope(query) && typeof scope === "string";
    return isReversed ? this.search(scope, { ...rest, scope: query }) : this.search(query, { ...rest, scope });
  }

  async search(query: string, options: MemorySearchOptions): Promise<readonly MemorySearchResult[]> {
    const parsed = parseSearch(query, options);
    const { store, shelves } = await this.#parts();
    this.#assertEmbedder(store);
    if (parsed.topK === 0 || store.settings === null) return [];
    const opened = await shelves.get(parsed.scope);
    if (opened === null || opened.shelf.live === 0) return [];
    const { words } = opened.shelf;
    const { vectors } = await embedTexts(this.#options.embedder, [parsed.text], store.settings.dimensions, {
      use: "search",
      rarity: (word) => words.rarity(word),
      signal: parsed.signal,
    });
    const [vector] = vectors as [Float32Array];
    parsed.signal?.throwIfAborted();
    for (let look = 1; ; look++) {
      const { shelf, index } = opened;
      const times = { exactUpTo: this.#options.exactUpTo, nowMs: this.#options.clock.nowMs() };
      const found = await searchShelf(shelf, index, { ...parsed, vector }, times);
      const entries = await store.read(found.map(({ seq }) => seq));
      // One that was replaced in between is there all the time: the shelf has heard of it by now.
      if (look < LOOKS && entries.includes(undefined)) {
        await breathe();
        continue;
      }
      return found.flatMap(({ score, similarity }, i) => {
        const entry = entries[i];
        return entry === undefined ? [] : [{ ...shown(entry), score, similarity }];
      });
    }
  }

  async get(id: string): Promise<MemoryEntry | null> {
    const { store } = await this.#parts();
    const entry = await store.get(id);
    return entry === null || this.#isExpired(entry) ? null : shown(entry);
  }

  async *list(
    scope: MemoryScope,
    options: { readonly namespace?: string | readonly string[] } = {},
  ): AsyncIterable<MemoryEntry> {
    assertOptions(listOptions, options, "list");
    const { namespace } = options;
    const { store } = await this.#parts();
    const namespaces = namespace === undefined ? null : [namespace].flat();
    const seqs = await store.members(parseScope(scope));
    for (let at = 0; at < seqs.length; at += READ_PAGE)
      for (const entry of await store.read(seqs.slice(at, at + READ_PAGE)))
        if (entry !== undefined && !this.#isExpired(entry) && (namespaces?.includes(entry.namespace) ?? true))
          yield shown(entry);
  }

  async delete(ids: readonly string[]): Promise<number> {
    if (!Array.isArray(ids) || !ids.every((id) => typeof id === "string"))
      throw new OrchestraError("ORCH_BAD_OPTION", "ids: expected an array of the ids of entries");
    return this.#delete(await this.#parts(), ids);
  }

  async deleteScope(scope: MemoryScope, options: { readonly namespace?: string } = {}): Promise<number> {
    assertOptions(deleteScopeOptions, options, "deleteScope");
    const key = scopeKey(parseScope(scope));
    const ids: string[] = [];
    for await (const entry of this.list(scope, options)) if (scopeKey(entry.scope) === key) ids.push(entry.id);
    return this.delete(ids);
  }

  async sweep(): Promise<number> {
    return this.#sweep(await this.#parts());
  }

  async reembed(options: ReembedOptions = {}): Promise<number> {
    assertOptions(reembedOptions, options, "reembed");
    const { store, shelves } = await this.#parts();
    const total = await reembed(store, this.#options.embedder, options);
    await shelves.clear();
    return total;
  }

  async prepare(scope: MemoryScope): Promise<void> {
    const { store, shelves } = await this.#parts();
    this.#assertEmbedder(store);
    await shelves.prepare(parseScope(scope));
  }

  async stats(): Promise<MemoryStats> {
    const { store, shelves } = await this.#parts();
    return {
      entries: await store.count(),
      bytes: await store.bytes(),
      embedder: store.settings?.embedder ?? null,
      dimensions: store.settings?.dimensions ?? null,
      scopes: shelves.stats(),
      hnsw: shelves.hnsw,
    };
  }

  async contents(): Promise<readonly MemoryContents[]> {
    const { store } = await this.#parts();
    return readContents(store, (entry) => !this.#isExpired(entry));
  }

  forStep({ sessionId, runId, node, signal }: MemoryStep): StepMemory {
    return stepMemory(this, { scope: { sessionId }, provenance: { sessionId, runId, agent: node }, signal });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const parts = await this.#opening?.catch(() => null);
    await parts?.shelves.close();
    await parts?.store.close();
  }

  async #parts(): Promise<Parts> {
    if (this.#closing !== null)
      throw new OrchestraError("ORCH_CLOSED", `memory ${this.#options.storage.name} is closed`);
    // An opening that failed may be tried again: the lock may be gone, the disk mounted.
    this.#opening ??= this.#open().catch((error: unknown) => {
      this.#opening = null;
      throw error;
    });
    return this.#opening;
  }

  async #open(): Promise<Parts> {
    const { storage, exactUpTo, residentEntries, logger } = this.#options;
    const kv = await storage.open();
    try {
      const store = await EntryStore.open(storage.name, kv);
      const shelves = new Shelves({ store, cacheFolder: storage.cacheFolder, exactUpTo, residentEntries, logger });
      await clearVectors(store);
      if (await store.hasUnfinished()) await store.forget((scopes) => shelves.forgetFiles(scopes));
      await this.#sweep({ store, shelves });
      return { store, shelves };
    } catch (error) {
      await kv.close();
      throw error;
    }
  }

  async #add(
    entries: readonly MemoryInput[],
    scope: MemoryScope,
    origin: MemoryOrigin,
    provenance: MemoryProvenance = {},
    signal?: AbortSignal,
  ): Promise<readonly MemoryEntry[]> {
    const nowMs = this.#options.clock.nowMs();
    const drafts = await draftsOf(entries, { scope, origin, provenance, nowMs });
    const parts = await this.#parts();
    const { store, shelves } = parts;
    this.#assertEmbedder(store);
    if (store.nextExpiryMs <= nowMs) await this.#sweep(parts);
    const kept: MemoryEntry[] = [];
    for (let at = 0; at < drafts.length; at += BATCH_MAX) {
      const batch = drafts.slice(at, at + BATCH_MAX);
      // Of two with one id the later counts.
      const last = [...new Map(batch.map((draft) => [draft.id, draft])).values()];
      // What is there already costs no model call.
      const known = await store.known(last);
      const added = new Map<string, Kept>();
      const open = last.filter(({ id }) => !known.has(id));
      if (open.length > 0) {
        const { vectors, pin } = await this.#embed(store, open, signal);
        const { change } = await store.put(withVectors(open, vectors), pin, nowMs);
        await shelves.changed(change);
        for (const { entry } of change.added) added.set(entry.id, entry);
        if (store.isForgetful) await store.forget((scopes) => shelves.forgetFiles(scopes));
      }
      for (const { id } of batch) kept.push(shown((added.get(id) ?? known.get(id)) as Kept));
    }
    return kept;
  }

  #assertEmbedder({ settings }: EntryStore): void {
    const { embedder, storage } = this.#options;
    assertEmbedder(settings, embedder, storage.folder);
  }

  /** Unit vectors of the drafts' texts, and whose they are. */
  async #embed(store: EntryStore, drafts: readonly Draft[], signal?: AbortSignal) {
    const { embedder, clock, random } = this.#options;
    this.#assertEmbedder(store);
    const pinned = store.settings?.dimensions ?? null;
    const { vectors, dimensions } = await embedTexts(embedder, textsOf(drafts), pinned, {
      use: "store",
      rarity: undefined,
      signal,
    });
    return { vectors, pin: { embedder: embedder.name, dimensions, memoryId: createIds(clock, random).next("memory") } };
  }

  async #learnings(store: EntryStore, runId: string): Promise<Kept[]> {
    const entries = await store.read(await store.members({ runId }));
    return entries.filter(
      (entry): entry is Kept =>
        entry !== undefined &&
        entry.origin === "learned" &&
        scopeKey(entry.scope) === scopeKey({ runId }) &&
        !this.#isExpired(entry),
    );
  }

  async #delete(
    { store, shelves }: Parts,
    ids: readonly string[],
    isMeant?: (entry: Kept) => boolean,
  ): Promise<number> {
    const removed = await store.delete(ids, isMeant);
    await shelves.changed({ added: [], removed });
    // Also where nothing is removed: somebody else may be about to, or may have replaced it.
    await store.forget((scopes) => shelves.forgetFiles(scopes));
    return removed.length;
  }

  async #sweep(parts: Parts): Promise<number> {
    let swept = 0;
    for (;;) {
      const ids = await parts.store.expired(this.#options.clock.nowMs());
      if (ids.length === 0) return swept;
      // One that was put again meanwhile has more time.
      swept += await this.#delete(parts, ids, (entry) => this.#isExpired(entry));
    }
  }

  #isExpired({ expiresAtMs }: Kept): boolean {
    return expiresAtMs !== null && expiresAtMs <= this.#options.clock.nowMs();
  }
}

function withVectors(drafts: readonly Draft[], vectors: readonly Float32Array[]): (Draft & { vector: Float32Array })[] {
  return drafts.map((draft, i) => ({ ...draft, vector: vectors[i] as Float32Array }));
}

function shown({ seq: _seq, text: _text, ...entry }: Kept): MemoryEntry {
  return entry;
}
