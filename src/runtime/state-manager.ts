// State manager
//
// Owns:      the settings of a store, and who uses it at this moment.
// Does not:  write facts (the runtime does, as they happen), or know which adapter it holds.
//
// S1  Each lease has a hold of its own on the storage, closed when it is released; within a process, holds on one
//     folder share one database. Memory has no handle to let go of, so it is never closed: closing it would be forgetting.
// S2  Retention is applied when the first of several leases is taken, before anyone gets the store.

import { OrchestraError } from "../base/errors.ts";
import { systemClock, type Clock } from "../base/clock.ts";
import type { SessionStore, StoreStats, VerifyReport } from "../state/ports.ts";
import { applyRetention, resolveRetention, type RetentionPolicy } from "../state/retention.ts";
import { exportSession, importSession } from "../state/session-file.ts";

export interface StateManagerOptions {
  /** `memoryStorage()`, or `new LevelStorage(folder)`. */
  readonly storage: SessionStore;
  /** Makes a checkpoint of every running session this often, in milliseconds, beside the commits, which are saved as they happen. Default `false`. */
  readonly autoSaveIntervalMs?: number | false;
  /** Compresses exports. Default false. */
  readonly compression?: boolean;
  /** What may be deleted when the store is opened. Default: nothing. */
  readonly retention?: RetentionPolicy;
  readonly clock?: Clock;
}

/** The open store, until it is released. */
export interface StoreLease {
  readonly store: SessionStore;
  /** Nobody else in this process used the store by way of this manager when the lease was taken. */
  readonly first: boolean;
  /** Idempotent. */
  release(): Promise<void>;
}

export class StateManager {
  readonly storage: SessionStore;
  readonly autoSaveIntervalMs: number | false;
  readonly compression: boolean;
  readonly #retention: RetentionPolicy | undefined;
  readonly #clock: Clock;
  #leases = 0;
  /** Whoever comes while the first is opening waits for it. */
  #opening: Promise<void> = Promise.resolve();

  /** Opens nothing. @throws {OrchestraError} `ORCH_BAD_OPTION` */
  constructor({ storage, autoSaveIntervalMs = false, compression = false, retention, clock = systemClock() }: StateManagerOptions) {
    if (typeof storage?.append !== "function") throw new OrchestraError("ORCH_BAD_OPTION", "StateManager: storage: expected a store such as memoryStorage() or new LevelStorage(folder)");
    if (autoSaveIntervalMs !== false && !(autoSaveIntervalMs > 0)) throw new OrchestraError("ORCH_BAD_OPTION", `StateManager: autoSaveIntervalMs: expected milliseconds above 0, or false, got ${String(autoSaveIntervalMs)}`);
    if (retention !== undefined) resolveRetention(retention);
    this.storage = storage;
    this.autoSaveIntervalMs = autoSaveIntervalMs;
    this.compression = compression;
    this.#retention = retention;
    this.#clock = clock;
  }

  /** A hold on the open store. @throws {OrchestraError} `ORCH_STORE_LOCKED`, `ORCH_STORE_CORRUPT`, `ORCH_STORE_FAILED` */
  async acquire(): Promise<StoreLease> {
    const first = this.#leases++ === 0;
    const store = this.storage.another?.() ?? this.storage;
    const before = this.#opening;
    const opened = before.catch(() => undefined).then(() => this.#open(store, first));
    this.#opening = opened;
    try {
      await opened;
    } catch (error) {
      this.#leases--;
      throw error;
    }
    let out = true;
    return {
      store,
      first,
      release: async () => {
        if (!out) return;
        out = false;
        this.#leases--;
        if (store !== this.storage) await store.close();
      },
    };
  }

  /**
   * Writes one session to `file`, to be taken in elsewhere by `importSession`.
   *
   * @throws {OrchestraError} `ORCH_SESSION_UNKNOWN`; `ORCH_STORE_CORRUPT` at the first bad record.
   */
  exportSession(sessionId: string, file: string): Promise<void> {
    return this.#with((store) => exportSession(store, sessionId, file, { compression: this.compression }));
  }

  /** Takes a session in from a file. Resolves with its id. @throws {OrchestraError} `ORCH_SESSION_BUSY` when the store has one of that id. */
  importSession(file: string): Promise<string> {
    return this.#with((store) => importSession(store, file));
  }

  /** Walks every record's checksum and number; changes nothing. */
  verify(): Promise<VerifyReport> {
    return this.#with((store) => store.verify());
  }

  stats(): Promise<StoreStats> {
    return this.#with((store) => store.stats());
  }

  async #open(store: SessionStore, first: boolean): Promise<void> {
    await store.open();
    if (first && this.#retention !== undefined) await applyRetention(store, this.#retention, this.#clock.nowMs());
  }

  async #with<T>(act: (store: SessionStore) => Promise<T>): Promise<T> {
    const lease = await this.acquire();
    try {
      return await act(lease.store);
    } finally {
      await lease.release();
    }
  }
}
