// Copied store
//
// Owns:      a local copy of the logs that another store keeps for many hosts.
// Does not:  answer from the copy what only the other store can know: what a log ends with, which sessions there are,
//            who won a position.
//
// Y1  The copy is written after the truth, in the background; lost writes and a crash leave it behind, never wrong.
// Y2  Commits come from the copy only after the truth showed that it holds the last of them, the same in all it says.
//     A log only grows, so what is before that is the same, too. A copy that does not fit is dropped.
// Y3  Nothing that befalls the copy fails a call: it is logged, and the truth is asked.

import { silentLogger, type Logger } from "../base/logger.ts";
import { OrchestraError } from "../base/errors.ts";
import { Turns } from "../base/turns.ts";
import { isSameCommit } from "./commit-format.ts";
import type {
  AppendRequest,
  AppendResult,
  Checkpoint,
  Commit,
  Durability,
  SessionEntry,
  SessionStore,
  Snapshot,
  StoreStats,
  VerifyReport,
} from "./ports.ts";

const COPIED = new WeakMap<SessionStore, WeakMap<SessionStore, CopiedStore>>();

/** One and the same for the same two stores: engines that share them must know of each other's sessions. */
export function copiedStoreOf(truth: SessionStore, copy: SessionStore, logger?: Logger): CopiedStore {
  const copies = COPIED.get(truth) ?? new WeakMap<SessionStore, CopiedStore>();
  COPIED.set(truth, copies);
  const store = copies.get(copy) ?? new CopiedStore(truth, copy, logger);
  copies.set(copy, store);
  return store;
}

/** Writes to the copy that may wait; beyond it the copy falls behind and is completed when the log is read. */
const WAITING_MAX = 1_000;

export class CopiedStore implements SessionStore {
  readonly #truth: SessionStore;
  readonly #copy: SessionStore;
  readonly #logger: Logger;
  readonly #turns = new Turns();
  #waiting = 0;
  #closing: Promise<void> | null = null;

  /** Both stay their owners' to close, after this one. */
  constructor(truth: SessionStore, copy: SessionStore, logger: Logger = silentLogger) {
    this.#truth = truth;
    this.#copy = copy;
    this.#logger = logger;
  }

  get name(): string {
    return this.#truth.name;
  }
  get durability(): Durability {
    return this.#truth.durability;
  }

  async open(): Promise<void> {
    await Promise.all([this.#asked.open(), this.#copy.open()]);
  }

  /** Waits for what is being written to the copy. */
  close(): Promise<void> {
    this.#closing ??= this.idle();
    return this.#closing;
  }

  /** Resolves when nothing is being written to the copy. */
  idle(): Promise<void> {
    return this.#turns.idle();
  }

  async append(request: AppendRequest): Promise<AppendResult> {
    const result = await this.#asked.append(request);
    if (result.ok) this.#note(request.sessionId, () => this.#copy.append(request));
    return result;
  }

  async *read(sessionId: string, from = 1): AsyncIterable<Commit> {
    this.#checkOpen();
    await this.#turns.take(sessionId, async () => undefined);
    const held = await this.#lastHeld(sessionId);
    if (held === null || held.n < from) {
      yield* this.#readAndCopy(sessionId, from, held === null && from === 1);
      return;
    }
    const rest = this.#truth.read(sessionId, held.n)[Symbol.asyncIterator]();
    const proof = await rest.next();
    if (proof.done === true || !isSameCommit(proof.value, held)) {
      this.#logger.info({ sessionId, n: held.n }, "the local copy of a log does not fit; it is dropped");
      await this.#drop(sessionId);
      yield* this.#readAndCopy(sessionId, from, from === 1);
      return;
    }
    let next = from;
    for await (const commit of this.#heldCommits(sessionId, from)) {
      if (commit.n > held.n) break;
      this.#checkOpen();
      yield commit;
      next = commit.n + 1;
    }
    if (next <= held.n) {
      // What the copy lost is not lost.
      await this.#drop(sessionId);
      yield* this.#readAndCopy(sessionId, next, false);
      return;
    }
    for (let one = await rest.next(); one.done !== true; one = await rest.next()) {
      const commit = one.value;
      this.#keep(sessionId, commit, null);
      yield commit;
    }
  }

  async last(sessionId: string): ReturnType<SessionStore["last"]> {
    return this.#asked.last(sessionId);
  }

  async saveSnapshot(sessionId: string, snapshot: Snapshot): Promise<void> {
    await this.#asked.saveSnapshot(sessionId, snapshot);
    this.#note(sessionId, async () => {
      if ((await this.#copy.last(sessionId)) !== null) await this.#copy.saveSnapshot(sessionId, snapshot);
    });
  }

  async latestSnapshot(sessionId: string, atMostN?: number): Promise<Snapshot | null> {
    return this.#asked.latestSnapshot(sessionId, atMostN);
  }

  async compact(sessionId: string, belowN: number): Promise<void> {
    await this.#asked.compact(sessionId, belowN);
    this.#note(sessionId, () => this.#copy.compact(sessionId, belowN));
  }

  async saveCheckpoint(checkpoint: Checkpoint): Promise<void> {
    return this.#asked.saveCheckpoint(checkpoint);
  }

  async getCheckpoint(checkpointId: string): Promise<Checkpoint | null> {
    return this.#asked.getCheckpoint(checkpointId);
  }

  async listCheckpoints(sessionId: string): Promise<readonly Checkpoint[]> {
    return this.#asked.listCheckpoints(sessionId);
  }

  async deleteCheckpoint(checkpointId: string): Promise<void> {
    return this.#asked.deleteCheckpoint(checkpointId);
  }

  /** Its hash proves it, wherever it comes from. */
  async getBlob(ref: string): Promise<Uint8Array> {
    this.#checkOpen();
    return this.#copy.getBlob(ref).catch(() => this.#truth.getBlob(ref));
  }

  async getSession(sessionId: string): Promise<SessionEntry | null> {
    return this.#asked.getSession(sessionId);
  }

  async listSessions(options?: Parameters<SessionStore["listSessions"]>[0]): Promise<readonly SessionEntry[]> {
    return this.#asked.listSessions(options);
  }

  async deleteSession(sessionId: string): Promise<boolean> {
    const existed = await this.#asked.deleteSession(sessionId);
    await this.#drop(sessionId);
    return existed;
  }

  async verify(): Promise<VerifyReport> {
    return this.#asked.verify();
  }

  async stats(): Promise<StoreStats> {
    return this.#asked.stats();
  }

  async *#readAndCopy(sessionId: string, from: number, copies: boolean): AsyncIterable<Commit> {
    // The folder's own tools list by it.
    const entry = copies ? await this.#truth.getSession(sessionId) : null;
    let begins = true;
    for await (const commit of this.#truth.read(sessionId, from)) {
      if (entry !== null) this.#keep(sessionId, commit, begins ? entry : null);
      begins = false;
      yield commit;
    }
  }

  #keep(sessionId: string, commit: Commit, begins: SessionEntry | null): void {
    const request = { sessionId, expected: commit.n - 1, commit };
    this.#note(sessionId, () =>
      this.#copy.append(begins === null ? request : { ...request, entry: begins, begins: true }),
    );
  }

  /** The last commit of the copy; null where it has none that can be read. */
  async #lastHeld(sessionId: string): Promise<Commit | null> {
    try {
      const last = await this.#copy.last(sessionId);
      if (last !== null) for await (const commit of this.#copy.read(sessionId, last.n)) return commit;
    } catch (error) {
      this.#logger.warn({ sessionId, err: error }, "the local copy of a log cannot be read; it is dropped");
      await this.#drop(sessionId);
    }
    return null;
  }

  /** As far as they can be read. */
  async *#heldCommits(sessionId: string, from: number): AsyncIterable<Commit> {
    try {
      yield* this.#copy.read(sessionId, from);
    } catch (error) {
      this.#logger.warn({ sessionId, err: error }, "the local copy of a log cannot be read; the log itself is");
    }
  }

  async #drop(sessionId: string): Promise<void> {
    await this.#turns.take(sessionId, async () => {
      await this.#copy.deleteSession(sessionId).catch((error: unknown) => this.#complain(sessionId, error));
    });
  }

  /** Y1. */
  #note(sessionId: string, write: () => Promise<unknown>): void {
    if (this.#waiting >= WAITING_MAX) return;
    this.#waiting += 1;
    void this.#turns
      .take(sessionId, write)
      .catch((error: unknown) => this.#complain(sessionId, error))
      .finally(() => (this.#waiting -= 1));
  }

  #complain(sessionId: string, error: unknown): void {
    this.#logger.warn({ sessionId, err: error }, "the local copy of a log could not be written");
  }

  get #asked(): SessionStore {
    this.#checkOpen();
    return this.#truth;
  }

  #checkOpen(): void {
    if (this.#closing !== null) throw new OrchestraError("ORCH_CLOSED", `the store "${this.name}" is closed`);
  }
}
