// Memory ports
//
// What is remembered, for whom, and how it is found again. The words of `orchestra/memory`; whoever builds on memory
// (an orchestrator, an agent) needs these types only.
//
// M1  An entry is durable, as the storage says, before the call that adds it resolves. Entries are the truth; every
//     index is a cache that can be dropped.
// M2  A search shows what is in its scope and nothing else: no hidden namespace, no default scope.
// M3  An entry that was deleted is never found again, and its bytes are gone from disk when `delete` resolves.
// M4  One embedder per memory: its name and dimension are pinned with the first entry (`ORCH_MEMORY_EMBEDDER`).

import type {
  MemoryEntry,
  MemoryInput,
  MemoryOfSteps,
  MemoryProvenance,
  MemoryScope,
  MemorySearchOptions,
  MemorySearchResult,
} from "../runtime/agent-memory.ts";

export type {
  MemoryEntry,
  MemoryInput,
  MemoryOfSteps,
  MemoryOrigin,
  MemoryProvenance,
  MemoryScope,
  MemorySearchOptions,
  MemorySearchResult,
  MemoryStep,
  StepMemory,
} from "../runtime/agent-memory.ts";

/** What one artifact of a run is kept as. */
export type MemoryArtifact = MemoryInput & { readonly key: string };

/** How good artifacts are: one number for all, one each in order, or by key. */
export type ArtifactScores = number | readonly number[] | Readonly<Record<string, number>>;

export interface HarvestOptions {
  /** For every artifact that does not say it itself. `runId` is that of the harvest. */
  readonly provenance?: MemoryProvenance;
  /** Where to keep what is harvested. Default "global". */
  readonly scope?: MemoryScope;
}

export interface HarvestReceipt {
  /** The same for the same run, artifacts and scores. */
  readonly receiptId: string;
  readonly runId: string;
  /** Ids of the entries. */
  readonly entries: readonly string[];
  /** Ids of the learnings of the run, now kept in the scope of the harvest, too. */
  readonly learnings: readonly string[];
  readonly harvestedAtMs: number;
}

/** What is said about text beyond the text. */
export interface EmbedOptions {
  /** Whether the texts are to be kept or searched for: some models tell the two apart. */
  readonly use: "store" | "search";
  /** For searches: how rare a word is among the entries searched, 0 or more. */
  readonly rarity?: (word: string) => number;
  readonly signal?: AbortSignal;
}

/** Makes vectors of texts. The same name must mean the same vectors: it is pinned with the entries. */
export interface Embedder {
  readonly name: string;
  /** Dimensions of its vectors. `null`: known by the first vector. */
  readonly dimensions: number | null;
  /** One vector per text, in order, all of one length and of finite numbers. */
  embed(texts: readonly string[], options: EmbedOptions): Promise<readonly (Float32Array | readonly number[])[]>;
}

export interface MemoryStats {
  readonly entries: number;
  readonly bytes: number;
  readonly embedder: string | null;
  readonly dimensions: number | null;
  /** What is held in memory at this moment: one per scope that was searched. */
  readonly scopes: readonly {
    readonly scope: MemoryScope;
    readonly entries: number;
    /** Entries the approximate index answers for; 0 where search is exact. */
    readonly indexed: number;
    readonly index: "exact" | "building" | "hnsw";
    /** Share of the ten nearest that the index finds, measured on entries it did not hold; null without one. */
    readonly recall: number | null;
  }[];
  /** Whether `hnswlib-node` loads; null until a scope was large enough to need it. Without it, search stays exact. */
  readonly hnsw: boolean | null;
}

/** What is kept in one scope itself. */
export interface MemoryContents {
  readonly scope: MemoryScope;
  readonly entries: number;
  readonly namespaces: readonly { readonly namespace: string; readonly entries: number }[];
}

export interface Memory extends MemoryOfSteps {
  /**
   * Keeps entries in one scope. Up to 1,000 are kept all or none; of more, each thousand. They are read while others have
   * their turn, and are not to be changed until it resolves.
   *
   * @throws {OrchestraError} `ORCH_BAD_OPTION`, `ORCH_NOT_SERIALIZABLE`, `ORCH_PAYLOAD_TOO_LARGE`; `ORCH_MEMORY_EMBEDDER` when
   *   the entries were embedded by another embedder, or its vectors are not what they must be.
   */
  add(
    entries: readonly MemoryInput[],
    options: { readonly scope: MemoryScope; readonly provenance?: MemoryProvenance; readonly signal?: AbortSignal },
  ): Promise<readonly MemoryEntry[]>;

  /** What a run is to know from the start: kept in `{ runId }`. Whether the run has begun is for the caller to say. */
  seedMemory(
    runId: string,
    entries: readonly MemoryInput[],
    options?: { readonly provenance?: MemoryProvenance; readonly signal?: AbortSignal },
  ): Promise<readonly MemoryEntry[]>;

  /** What was learned while a run is under way: kept in `{ runId }`, and by its harvest in the harvest's scope, too. */
  recordLearning(
    runId: string,
    learning: string | MemoryInput,
    quality?: number,
    provenance?: MemoryProvenance,
  ): Promise<MemoryEntry>;

  /**
   * Keeps what a run came to, beyond it: all or nothing, at most 1,000 artifacts and learnings. Repeated with the same
   * artifacts and scores it changes nothing and gives the same receipt. Whether the run has ended is for the caller to say.
   *
   * @throws {OrchestraError} `ORCH_MEMORY_PROVENANCE` naming the artifact and the fields of `project`, `runId`, `cardId` and
   *   `agent` it lacks; nothing is then kept.
   */
  harvestMemory(
    runId: string,
    artifacts: readonly MemoryArtifact[],
    scores: ArtifactScores,
    options?: HarvestOptions,
  ): Promise<HarvestReceipt>;

  /** Best first. The third argument is `topK`, or everything else there is to say. */
  searchMemory(
    query: string,
    scope: MemoryScope,
    options?: number | Omit<MemorySearchOptions, "scope">,
  ): Promise<readonly MemorySearchResult[]>;
  search(query: string, options: MemorySearchOptions): Promise<readonly MemorySearchResult[]>;

  get(id: string): Promise<MemoryEntry | null>;
  /** Oldest first, those in time. */
  list(scope: MemoryScope, options?: { readonly namespace?: string | readonly string[] }): AsyncIterable<MemoryEntry>;
  /** Resolves with how many there were, once their bytes are gone from disk. */
  delete(ids: readonly string[]): Promise<number>;
  /** Deletes what is kept in the scope itself, or what of it is in the namespace; what is kept in a wider one stays. */
  deleteScope(scope: MemoryScope, options?: { readonly namespace?: string }): Promise<number>;
  /** Deletes what has outlived its time; done on opening and now and then as entries come, too. */
  sweep(): Promise<number>;
  /**
   * Makes the vectors of all entries anew with the embedder this memory was created with, and pins it. May be called again
   * after it was cut short: what is done is not done again. Resolves with how many entries there are.
   */
  reembed(options?: {
    readonly onProgress?: (done: number, total: number) => void;
    readonly signal?: AbortSignal;
  }): Promise<number>;
  /** Reads what searches in the scope look at, and builds its index if it is large enough for one. Searches do so themselves, without waiting for the index. */
  prepare(scope: MemoryScope): Promise<void>;
  stats(): Promise<MemoryStats>;
  /** How much is kept where, in the order in which scopes were first used. Reads every entry. */
  contents(): Promise<readonly MemoryContents[]>;
  /** Idempotent. Waits for what is being written, not for an index that is being built. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
