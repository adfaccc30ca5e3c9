// Group commit
//
// Owns:      the order of writes to one database.
// Does not:  know what is written.
//
// G1  One batch is under way at a time. All that waits when it ends goes into the next one, with one fsync, up to
//     `JOBS_MAX` jobs or `BYTES_MAX` bytes.
// G2  Jobs are prepared in the order of their submission. One that must see what is stored, rather than what is
//     about to be, is exclusive: it has a batch of its own.
// G3  When a batch fails, every job in it fails with ORCH_STORE_FAILED, and `onFailure` forgets what was assumed.
//     The database is reopened before the next batch is prepared: LevelDB may have torn its log and would go on behind
//     the tear, and what is read meanwhile may be gone after it.
// G4  At most `QUEUE_MAX` jobs wait here; the submitters of more wait for room, in order.

import { OrchestraError } from "../base/errors.ts";
import type { WriteOp } from "./key-value.ts";

const JOBS_MAX = 1000;
const BYTES_MAX = 4 * 1024 * 1024;
const QUEUE_MAX = 10_000;

export interface Job<T> {
  /**
   * Adds what it wants written to `ops`, behind what the batch has already; throwing fails this job alone. No ops: nothing
   * to wait for but its turn.
   */
  prepare(ops: WriteOp[]): T | Promise<T>;
  readonly sync: boolean;
  readonly exclusive?: boolean;
}

interface Waiting {
  readonly job: Job<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** What it was prepared to be answered with. */
  value: unknown;
}

interface Target {
  write(ops: readonly WriteOp[], sync: boolean): Promise<void>;
  reopen(): Promise<void>;
  /** Called after a failed batch, before its jobs are told. */
  onFailure(): void;
  readonly name: string;
}

export class GroupCommit {
  /** Batches written so far. */
  batches = 0;
  readonly #target: Target;
  #queue: Waiting[] = [];
  #forRoom: (() => void)[] = [];
  #running: Promise<void> | null = null;
  #suspect = false;
  #closed = false;

  constructor(target: Target) {
    this.#target = target;
  }

  /**
   * @throws {OrchestraError} `ORCH_STORE_FAILED` when the batch could not be written; nothing of it is then visible.
   *   `ORCH_CLOSED` after `close`.
   */
  submit<T>(job: Job<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new OrchestraError("ORCH_CLOSED", `store ${this.#target.name} is closed`));
    if (this.#queue.length >= QUEUE_MAX || this.#forRoom.length > 0)
      return new Promise<void>((resolve) => this.#forRoom.push(resolve)).then(() => this.#enqueue(job));
    return this.#enqueue(job);
  }

  #enqueue<T>(job: Job<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({ job, resolve: resolve as (value: unknown) => void, reject, value: undefined });
      this.#running ??= this.#run();
    });
  }

  /** Refuses what comes now; resolves once what waits is written. */
  async close(): Promise<void> {
    this.#closed = true;
    while (this.#running !== null) await this.#running;
  }

  async #run(): Promise<void> {
    // A turn of the microtask queue lets appends made side by side meet in one batch.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      await this.#batch();
      while (this.#forRoom.length > 0 && this.#queue.length < QUEUE_MAX) {
        this.#forRoom.shift()?.();
        await Promise.resolve();
      }
    }
    this.#running = null;
  }

  async #batch(): Promise<void> {
    try {
      if (this.#suspect) await this.#target.reopen();
      this.#suspect = false;
    } catch (cause) {
      for (const waiting of this.#queue.splice(0, JOBS_MAX)) waiting.reject(failed(this.#target.name, cause));
      return;
    }
    const ops: WriteOp[] = [];
    const done: Waiting[] = [];
    let bytes = 0;
    let sync = false;
    let taken = 0;
    for (; taken < this.#queue.length && taken < JOBS_MAX && bytes < BYTES_MAX; taken++) {
      const waiting = this.#queue[taken] as Waiting;
      if (waiting.job.exclusive && taken > 0) break;
      const before = ops.length;
      try {
        const prepared = waiting.job.prepare(ops);
        waiting.value = prepared instanceof Promise ? await prepared : prepared;
        done.push(waiting);
        if (ops.length > before) sync ||= waiting.job.sync;
        for (let i = before; i < ops.length; i++) bytes += bytesOf(ops[i] as WriteOp);
      } catch (error) {
        ops.length = before;
        waiting.reject(error);
      }
      if (waiting.job.exclusive) {
        taken++;
        break;
      }
    }
    this.#queue = this.#queue.slice(taken);
    try {
      if (ops.length > 0) await this.#write(ops, sync);
      for (const { resolve, value } of done) resolve(value);
    } catch (cause) {
      this.#target.onFailure();
      for (const { reject } of done) reject(failed(this.#target.name, cause));
    }
  }

  async #write(ops: readonly WriteOp[], sync: boolean): Promise<void> {
    this.#suspect = true;
    await this.#target.write(ops, sync);
    this.#suspect = false;
    this.batches += 1;
  }
}

function bytesOf(op: WriteOp): number {
  return op.key.length + (op.type === "put" ? op.value.byteLength : 0);
}

function failed(name: string, cause: unknown): OrchestraError {
  if (cause instanceof OrchestraError) return cause;
  const { message, code } = cause as { message?: string; code?: string };
  return new OrchestraError(
    "ORCH_STORE_FAILED",
    `store ${name}: a write failed and nothing of it was stored: ${message}`,
    { cause, details: { store: name, ...(code === undefined ? {} : { reason: code }) } },
  );
}
