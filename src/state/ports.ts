// State ports
//
// What a session leaves behind, and how it is kept. Adapters: memory, LevelDB; JetStream later. One contract
// suite (`orchestra/testing`) runs on each.
//
// L1  An append is accepted only at the expected position; positions count 1, 2, 3… without a hole.
// L2  An accepted append is durable, as the store's `durability` says, before it resolves; its commit, blobs and
//     index entry become visible together or not at all.
// L3  Appending the commit that stands at that position already is `ok`: the acknowledgement was lost. Another one with
//     the same id, as two processes make whose chance began alike, is refused.
// L4  A record that was changed, torn or lost on disk is reported (ORCH_STORE_CORRUPT), never read as good.
// L5  A snapshot is only a shortcut: one that is missing or bad falls back to an older one, or to the log.

import type { RunStatus } from "../actors/effects.ts";
import type { Fact } from "../actors/facts.ts";

/** memory: survives nothing. process: our own death. disk: loss of power. quorum: loss of a machine. */
export type Durability = "memory" | "process" | "disk" | "quorum";

export interface Commit {
  readonly v: 1;
  /** 1, 2, 3… within the session. */
  readonly n: number;
  readonly epoch: number;
  /** Unique per append; the same for every repeat of that append. */
  readonly id: string;
  readonly host: string;
  /** Never before that of the commit ahead of it. */
  readonly atMs: number;
  /** Position in the inbox up to which commands are taken in. */
  readonly inbox?: number;
  readonly facts: readonly Fact[];
}

export interface SessionEntry {
  readonly sessionId: string;
  readonly status: RunStatus;
  readonly runId: string | null;
  readonly topologyHash: string | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly host: string;
  readonly n: number;
  /** The session whose step runs this one. */
  readonly parentSessionId?: string;
  /** While it waits for people: when the first question is too late, in wall-clock milliseconds. */
  readonly dueAtMs?: number;
}

export interface AppendRequest {
  readonly sessionId: string;
  /** `n` of the commit before this one; 0 for the first. */
  readonly expected: number;
  readonly commit: Commit;
  /** New blobs by content hash (SHA-256, hex), as encoded values. */
  readonly blobs?: ReadonlyMap<string, Uint8Array>;
  /** Written only when it differs from what is stored in more than `n` and time. */
  readonly entry?: SessionEntry;
  /** The session's id was made for this append: the store need not look whether it knows it. */
  readonly idIsNew?: boolean;
  /** For imports of a compacted log: the session must be unknown, and begins at `commit.n`. */
  readonly begins?: true;
}

export type AppendResult =
  | { readonly ok: true }
  /** Somebody else wrote there. `last` is what the log ends with now. */
  | { readonly ok: false; readonly last: { readonly n: number; readonly epoch: number; readonly id: string } | null };

export interface Snapshot {
  readonly n: number;
  /** Version of the reducer that folded it. */
  readonly reducer: number;
  readonly topologyHash: string | null;
  readonly atMs: number;
  /** Plain data, as `encodeState` gives it. */
  readonly state: unknown;
}

export interface Checkpoint {
  readonly checkpointId: string;
  readonly sessionId: string;
  readonly name: string;
  readonly n: number;
  readonly atMs: number;
  readonly status: RunStatus;
  readonly snapshot: Snapshot;
}

/** What `verify` found; the first bad record of each session, and what can still be proved good. */
export interface VerifyReport {
  readonly ok: boolean;
  readonly sessions: number;
  readonly commits: number;
  readonly blobs: number;
  readonly problems: readonly {
    readonly sessionId: string | null;
    readonly key: string;
    readonly message: string;
    /** Up to here the log of the session is whole; null where that is unknown, or nothing of it is. */
    readonly lastGoodN: number | null;
    /** When that was committed. */
    readonly lastGoodAtMs?: number;
    /** Number of the last commit the session is known to have had: those behind `lastGoodN` up to it are lost. */
    readonly lastN?: number;
  }[];
}

export interface StoreStats {
  readonly sessions: number;
  readonly commits: number;
  readonly snapshots: number;
  readonly checkpoints: number;
  readonly blobs: number;
  readonly bytes: number;
  /** Writes made since the store was opened; with group commit fewer than appends. */
  readonly batches?: number;
}

export interface SessionStore {
  readonly name: string;
  readonly durability: Durability;
  /** Opens nothing until the first call of another method; idempotent. */
  open(): Promise<void>;
  close(): Promise<void>;
  /** A hold of its own on the same storage, also after this one was closed. Absent where closing lets go of nothing (memory). */
  another?(): SessionStore;

  append(request: AppendRequest): Promise<AppendResult>;
  /** Commits from `from` (default 1, or the first kept) on, in order, each checked. @throws ORCH_STORE_CORRUPT at the first bad one. */
  read(sessionId: string, from?: number): AsyncIterable<Commit>;
  /**
   * Commits 1 to `upTo`, taken out of the store now; decoded and checked when they are asked for, also after `close`.
   * Null where they are too many to be held, where the log begins later or has a gap, and where values of the session
   * are kept by reference; `read` then says what there is. The function throws what `read` throws.
   */
  takeOut?(sessionId: string, upTo: number): Promise<(() => readonly Commit[]) | null>;
  /** The last commit's position, epoch and id; null for an unknown session. */
  last(sessionId: string): Promise<{ readonly n: number; readonly epoch: number; readonly id: string } | null>;

  saveSnapshot(sessionId: string, snapshot: Snapshot): Promise<void>;
  /** The newest good snapshot at or before `atMostN`, or null. A bad one is passed over and reported to the logger. */
  latestSnapshot(sessionId: string, atMostN?: number): Promise<Snapshot | null>;
  /** Drops commits and snapshots that are no longer needed below `n`; what a checkpoint needs stays. */
  compact(sessionId: string, belowN: number): Promise<void>;

  saveCheckpoint(checkpoint: Checkpoint): Promise<void>;
  getCheckpoint(checkpointId: string): Promise<Checkpoint | null>;
  listCheckpoints(sessionId: string): Promise<readonly Checkpoint[]>;
  deleteCheckpoint(checkpointId: string): Promise<void>;

  /** The encoded value behind a hash, checked against it. @throws ORCH_STORE_CORRUPT when it is missing or changed. */
  getBlob(ref: string): Promise<Uint8Array>;

  getSession(sessionId: string): Promise<SessionEntry | null>;
  /** Oldest id first. `cursor` is the last id of the page before. */
  listSessions(options?: { status?: RunStatus; limit?: number; cursor?: string }): Promise<readonly SessionEntry[]>;
  /** Removes the session, its snapshots, checkpoints and the blobs nobody else refers to. */
  deleteSession(sessionId: string): Promise<boolean>;

  verify(): Promise<VerifyReport>;
  stats(): Promise<StoreStats>;
}
