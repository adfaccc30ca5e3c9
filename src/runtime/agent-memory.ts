// Agent memory: what agents have as `ctx.memory`, and what the runtime needs of whatever remembers. Kept by `orchestra/memory`, whose
// words these are.

/**
 * Where an entry is kept, from narrow to wide: a run, a session, a project, or `global`. A search in a narrow scope also finds
 * what is kept in a wider one but comes from there: what run `r1` harvested into `global` is found in `{ runId: "r1" }`
 * and in its project, too. It does not find what others put into the wider scope.
 */
export type MemoryScope =
  | { readonly runId: string }
  | { readonly sessionId: string }
  | { readonly project: string }
  | "global";

/** Where an entry comes from. What is harvested must say project, run, card and agent. */
export interface MemoryProvenance {
  readonly project?: string;
  readonly runId?: string;
  readonly cardId?: string;
  /** Name of the agent, or of the node it stood at. */
  readonly agent?: string;
  readonly sessionId?: string;
  readonly assignmentId?: string;
  /** Whatever else is worth keeping; plain values. */
  readonly [more: string]: unknown;
}

/** What is put into memory. */
export interface MemoryInput {
  /** Names the entry in its scope and namespace; one put under the same key replaces it. Default: the hash of its value and text, so that the same content is kept once. */
  readonly key?: string;
  /** Any value that can be stored, at most 256 KiB as stored. */
  readonly value: unknown;
  /** What is searched. Default: the value if it is a string, else its JSON. */
  readonly text?: string;
  /** Default "default". A search without a namespace searches all. */
  readonly namespace?: string;
  readonly tags?: readonly string[];
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** How long it is remembered, in milliseconds. Default: for ever. */
  readonly ttlMs?: number | false;
  readonly provenance?: MemoryProvenance;
  /** How good it is, as judged by whoever puts it in: a finite number, usually 0 to 1. */
  readonly quality?: number;
}

export type MemoryOrigin = "added" | "seeded" | "learned" | "harvested";

export interface MemoryEntry {
  /** The same for the same scope, namespace and key. */
  readonly id: string;
  readonly key: string;
  readonly value: unknown;
  readonly namespace: string;
  readonly tags: readonly string[];
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly scope: MemoryScope;
  readonly provenance: MemoryProvenance;
  readonly origin: MemoryOrigin;
  readonly quality: number | null;
  readonly createdAtMs: number;
  readonly expiresAtMs: number | null;
}

export interface MemorySearchResult extends MemoryEntry {
  /** How well it fits, higher is better; what it is made of depends on `mode`. Comparable within one search only. */
  readonly score: number;
  /** Cosine of the angle between the vectors of query and entry, -1 to 1. */
  readonly similarity: number;
}

export interface MemorySearchOptions {
  readonly scope: MemoryScope;
  /** At most this many; 0 gives none, more than there are gives all. Default 10. */
  readonly topK?: number;
  /** One or several. Default: all. */
  readonly namespace?: string | readonly string[];
  /** Only entries that have every one of these. */
  readonly tags?: readonly string[];
  /** Only entries that were judged at least this good. */
  readonly minQuality?: number;
  /** By vectors and words together, or by one of them. Default "hybrid". */
  readonly mode?: "hybrid" | "vector" | "words";
  /** 0 takes the best as they are, up to 1 rather takes what differs from what was taken (maximal marginal relevance). Default 0. */
  readonly diversity?: number;
  readonly signal?: AbortSignal;
}

/** What an agent has as `ctx.memory`: the memory as seen from its step. What it adds carries its run, session and name. */
export interface StepMemory {
  /** Default scope: that of `add`. */
  search(
    query: string,
    options?: Omit<MemorySearchOptions, "scope"> & { readonly scope?: MemoryScope },
  ): Promise<readonly MemorySearchResult[]>;
  /** Default scope: the session, so that later runs in it find the entry; in a run of an orchestrator, that run. Added again by a re-run of the step it is the same entry. */
  add(entry: MemoryInput, options?: { readonly scope?: MemoryScope }): Promise<MemoryEntry>;
  get(id: string): Promise<MemoryEntry | null>;
  delete(id: string): Promise<boolean>;
}

/** The step that memory is handed to. */
export interface MemoryStep {
  readonly sessionId: string;
  readonly runId: string;
  readonly stepId: string;
  readonly node: string;
  readonly signal: AbortSignal;
}

/** What the runtime needs of a memory in order to give agents theirs. */
export interface MemoryOfSteps {
  forStep(step: MemoryStep): StepMemory;
}
