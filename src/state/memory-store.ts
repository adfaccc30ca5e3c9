// Memory store
//
// Owns:      commits, snapshots, checkpoints and blobs, by reference; they are never changed.
// Survives:  nothing.
//
// M1  An append has taken place when `append` returns, before its promise is looked at.
// M2  The index entry of a session is kept as handed in; `n` and `updatedAtMs` are those of its last commit.

import { hashBytes } from "../base/crc.ts";
import { OrchestraError } from "../base/errors.ts";
import { blobRefs } from "./blob-refs.ts";
import { isSameCommit } from "./commit-format.ts";
import type {
  AppendRequest,
  AppendResult,
  Checkpoint,
  Commit,
  SessionEntry,
  SessionStore,
  Snapshot,
  StoreStats,
  VerifyReport,
} from "./ports.ts";
import { decideCut, decideStaleSnapshots } from "./retention.ts";

interface Session {
  /** `commits[i].n` is `first + i`. */
  commits: Commit[];
  first: number;
  entry: SessionEntry | null;
  /** Ascending by `n`. */
  snapshots: Snapshot[];
  refs: Set<string> | null;
}

const ACCEPTED: Promise<AppendResult> = Promise.resolve(Object.freeze({ ok: true }));
const LIST_LIMIT = 100;
const ENDED: readonly SessionEntry["status"][] = ["completed", "failed", "cancelled"];

export interface MemoryStorageOptions {
  /** Sessions whose run has ended that are kept; beyond it the one that ended first is dropped, unless it has a checkpoint. Default: all. */
  readonly endedSessionsMax?: number;
}

/** Keeps everything in this process's memory. Made for tests, examples and runs that need not survive. */
export function memoryStorage({ endedSessionsMax = Infinity }: MemoryStorageOptions = {}): SessionStore {
  return new MemoryStore(endedSessionsMax);
}

class MemoryStore implements SessionStore {
  readonly name = "memory";
  readonly durability = "memory";
  readonly #sessions = new Map<string, Session>();
  readonly #checkpoints = new Map<string, Checkpoint>();
  readonly #blobs = new Map<string, { readonly bytes: Uint8Array; sessions: number }>();
  readonly #endedMax: number;
  /** Ids in the order in which their runs ended. */
  readonly #ended = new Set<string>();
  #closed = false;

  constructor(endedMax: number) {
    this.#endedMax = endedMax;
  }

  async open(): Promise<void> {
    this.#check();
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  append(request: AppendRequest): Promise<AppendResult> {
    if (this.#closed) return Promise.reject(closedError());
    const { sessionId, expected, commit } = request;
    let session = this.#sessions.get(sessionId);
    const last = session === undefined ? undefined : session.commits[session.commits.length - 1];
    const begun = request.begins === true && session !== undefined;
    if ((last?.n ?? (request.begins ? expected : 0)) !== expected || commit.n !== expected + 1 || begun) {
      const stored = session?.commits[commit.n - session.first];
      if (stored !== undefined && isSameCommit(stored, commit)) return ACCEPTED;
      return Promise.resolve({
        ok: false,
        last: last === undefined ? null : { n: last.n, epoch: last.epoch, id: last.id },
      });
    }
    if (session === undefined) {
      session = { commits: [], first: commit.n, entry: null, snapshots: [], refs: null };
      this.#sessions.set(sessionId, session);
    }
    session.commits.push(commit);
    if (request.entry !== undefined) {
      session.entry = request.entry;
      this.#noteEnd(request.entry);
    }
    if (request.blobs !== undefined) for (const [ref, bytes] of request.blobs) this.#keepBlob(session, ref, bytes);
    if (this.#blobs.size > 0) for (const ref of blobRefs(commit.facts)) this.#keepBlob(session, ref, undefined);
    return ACCEPTED;
  }

  async *read(sessionId: string, from?: number): AsyncIterable<Commit> {
    this.#check();
    for (let n = Math.max(from ?? 1, 1); ; n++) {
      this.#check();
      const session = this.#sessions.get(sessionId);
      if (session === undefined) return;
      n = Math.max(n, session.first);
      const commit = session.commits[n - session.first];
      if (commit === undefined) return;
      yield commit;
    }
  }

  async last(sessionId: string): Promise<{ readonly n: number; readonly epoch: number; readonly id: string } | null> {
    this.#check();
    const last = this.#sessions.get(sessionId)?.commits.at(-1);
    return last === undefined ? null : { n: last.n, epoch: last.epoch, id: last.id };
  }

  async saveSnapshot(sessionId: string, snapshot: Snapshot): Promise<void> {
    const session = this.#known(sessionId);
    const others = session.snapshots.filter((one) => one.n !== snapshot.n);
    const all = [...others, snapshot].sort((a, b) => a.n - b.n);
    const stale = decideStaleSnapshots(
      all.map((one) => one.n),
      session.first,
    );
    session.snapshots = all.filter((one) => !stale.includes(one.n));
  }

  async latestSnapshot(sessionId: string, atMostN = Infinity): Promise<Snapshot | null> {
    this.#check();
    return this.#sessions.get(sessionId)?.snapshots.findLast((one) => one.n <= atMostN) ?? null;
  }

  async compact(sessionId: string, belowN: number): Promise<void> {
    this.#check();
    const session = this.#sessions.get(sessionId);
    if (session === undefined) return;
    const cut = decideCut(
      belowN,
      session.snapshots.map((one) => one.n),
      session.commits.at(-1)?.n ?? 0,
    );
    if (cut === null) return;
    session.commits = session.commits.slice(Math.max(0, cut.firstCommit - session.first));
    session.first = Math.max(session.first, cut.firstCommit);
    session.snapshots = session.snapshots.filter((one) => one.n >= cut.firstSnapshot);
  }

  async saveCheckpoint(checkpoint: Checkpoint): Promise<void> {
    this.#known(checkpoint.sessionId);
    this.#checkpoints.set(checkpoint.checkpointId, checkpoint);
  }

  async getCheckpoint(checkpointId: string): Promise<Checkpoint | null> {
    this.#check();
    return this.#checkpoints.get(checkpointId) ?? null;
  }

  async listCheckpoints(sessionId: string): Promise<readonly Checkpoint[]> {
    this.#check();
    return [...this.#checkpoints.values()]
      .filter((one) => one.sessionId === sessionId)
      .sort((a, b) => a.n - b.n || (a.checkpointId < b.checkpointId ? -1 : 1));
  }

  async deleteCheckpoint(checkpointId: string): Promise<void> {
    this.#check();
    this.#checkpoints.delete(checkpointId);
  }

  async getBlob(ref: string): Promise<Uint8Array> {
    this.#check();
    const blob = this.#blobs.get(ref);
    if (blob === undefined)
      throw new OrchestraError("ORCH_STORE_CORRUPT", `blob ${ref}: it is missing`, { details: { ref } });
    return blob.bytes;
  }

  async getSession(sessionId: string): Promise<SessionEntry | null> {
    this.#check();
    return entryOf(this.#sessions.get(sessionId));
  }

  async listSessions(options: Parameters<SessionStore["listSessions"]>[0] = {}): Promise<readonly SessionEntry[]> {
    this.#check();
    const { status, cursor, limit = LIST_LIMIT } = options;
    const ids = [...this.#sessions.keys()].filter((id) => cursor === undefined || id > cursor).sort();
    const page: SessionEntry[] = [];
    for (const id of ids) {
      if (page.length >= limit) break;
      const entry = entryOf(this.#sessions.get(id));
      if (entry !== null && (status === undefined || entry.status === status)) page.push(entry);
    }
    return page;
  }

  async deleteSession(sessionId: string): Promise<boolean> {
    this.#check();
    return this.#drop(sessionId);
  }

  #noteEnd({ sessionId, status }: SessionEntry): void {
    if (this.#endedMax === Infinity) return;
    this.#ended.delete(sessionId);
    if (!ENDED.includes(status)) return;
    this.#ended.add(sessionId);
    for (const oldest of this.#ended) {
      if (this.#ended.size <= this.#endedMax) break;
      this.#ended.delete(oldest);
      const pinned = [...this.#checkpoints.values()].some((checkpoint) => checkpoint.sessionId === oldest);
      if (!pinned) this.#drop(oldest);
    }
  }

  #drop(sessionId: string): boolean {
    const session = this.#sessions.get(sessionId);
    if (session === undefined) return false;
    this.#sessions.delete(sessionId);
    for (const [id, one] of this.#checkpoints) if (one.sessionId === sessionId) this.#checkpoints.delete(id);
    for (const ref of session.refs ?? []) {
      const blob = this.#blobs.get(ref);
      if (blob !== undefined && --blob.sessions === 0) this.#blobs.delete(ref);
    }
    return true;
  }

  async verify(): Promise<VerifyReport> {
    this.#check();
    const problems = [...this.#blobs]
      .filter(([ref, blob]) => hashBytes(blob.bytes) !== ref)
      .map(([ref]) => ({
        sessionId: null,
        key: ref,
        message: `blob ${ref}: the bytes do not match their hash`,
        lastGoodN: null,
      }));
    const { sessions, commits, blobs } = await this.stats();
    return { ok: problems.length === 0, sessions, commits, blobs, problems };
  }

  /** `bytes` counts blobs only: commits are kept by reference and have no size here. */
  async stats(): Promise<StoreStats> {
    this.#check();
    const sum = (count: (session: Session) => number): number =>
      [...this.#sessions.values()].reduce((total, one) => total + count(one), 0);
    return {
      sessions: this.#sessions.size,
      commits: sum((one) => one.commits.length),
      snapshots: sum((one) => one.snapshots.length),
      checkpoints: this.#checkpoints.size,
      blobs: this.#blobs.size,
      bytes: [...this.#blobs.values()].reduce((total, one) => total + one.bytes.byteLength, 0),
    };
  }

  /** Without bytes: only where the blob is known, put there by another session. */
  #keepBlob(session: Session, ref: string, bytes: Uint8Array | undefined): void {
    if (session.refs?.has(ref)) return;
    const known = this.#blobs.get(ref);
    if (known === undefined && bytes === undefined) return;
    (session.refs ??= new Set()).add(ref);
    if (known !== undefined) known.sessions += 1;
    else if (bytes !== undefined) this.#blobs.set(ref, { bytes, sessions: 1 });
  }

  #known(sessionId: string): Session {
    this.#check();
    const session = this.#sessions.get(sessionId);
    if (session === undefined)
      throw new OrchestraError("ORCH_SESSION_UNKNOWN", `session ${sessionId} is not in the store "memory"`, {
        details: { sessionId },
      });
    return session;
  }

  #check(): void {
    if (this.#closed) throw closedError();
  }
}

function entryOf(session: Session | undefined): SessionEntry | null {
  const last = session?.commits.at(-1);
  if (session === undefined || session.entry === null || last === undefined) return null;
  return { ...session.entry, n: last.n, updatedAtMs: last.atMs };
}

function closedError(): OrchestraError {
  return new OrchestraError("ORCH_CLOSED", 'the store "memory" is closed');
}
