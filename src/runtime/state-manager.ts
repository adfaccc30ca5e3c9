// State manager
//
// Owns:      the settings of a store, and who uses it at this moment.
// Does not:  write facts (the runtime does, as they happen), or know which adapter it holds.
//
// S1  All leases of one moment share one hold on the storage, so that their engines see each other's sessions; it is
//     closed with the last of them. Memory has no handle to let go of, so it is never closed: closing it would be forgetting.
// S2  Retention is applied when the first of several leases is taken, before anyone gets the store. From then on the
//     engines on it do so (housekeeping.ts).

import { readFile, rename, writeFile } from "node:fs/promises";

import { OrchestraError } from "../base/errors.ts";
import { systemClock, type Clock } from "../base/clock.ts";
import type { SessionStore, StoreStats, VerifyReport } from "../state/ports.ts";
import { applyRetention, resolveRetention, type RetentionPolicy } from "../state/retention.ts";
import { moveSession } from "../state/move-session.ts";
import { exportSession, importSession } from "../state/transfer.ts";

export interface StateManagerOptions {
  /** `memoryStorage()`, or `new LevelStorage(folder)`. */
  readonly storage: SessionStore;
  /** Makes a checkpoint of every running session this often, in milliseconds, beside the commits, which are saved as they happen. Default `false`. */
  readonly autoSaveIntervalMs?: number | false;
  /** Compresses exports. Default false. */
  readonly compression?: boolean;
  /** What may be dropped when the store is opened, while sessions run, and when they end. Default: nothing. */
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
  readonly retention: RetentionPolicy | undefined;
  readonly #clock: Clock;
  #hold: { readonly store: SessionStore; readonly opened: Promise<void>; leases: number } | undefined;

  /** Opens nothing. @throws {OrchestraError} `ORCH_BAD_OPTION` */
  constructor({
    storage,
    autoSaveIntervalMs = false,
    compression = false,
    retention,
    clock = systemClock(),
  }: StateManagerOptions) {
    if (typeof storage?.append !== "function")
      throw new OrchestraError(
        "ORCH_BAD_OPTION",
        "StateManager: storage: expected a store such as memoryStorage() or new LevelStorage(folder)",
      );
    if (autoSaveIntervalMs !== false && !(autoSaveIntervalMs > 0))
      throw new OrchestraError(
        "ORCH_BAD_OPTION",
        `StateManager: autoSaveIntervalMs: expected milliseconds above 0, or false, got ${String(autoSaveIntervalMs)}`,
      );
    if (retention !== undefined) resolveRetention(retention);
    this.storage = storage;
    this.autoSaveIntervalMs = autoSaveIntervalMs;
    this.compression = compression;
    this.retention = retention;
    this.#clock = clock;
  }

  /** A hold on the open store. @throws {OrchestraError} `ORCH_STORE_LOCKED`, `ORCH_STORE_CORRUPT`, `ORCH_STORE_FAILED` */
  async acquire(): Promise<StoreLease> {
    const first = this.#hold === undefined;
    const hold = (this.#hold ??= this.#open());
    hold.leases++;
    let out = true;
    const release = async (): Promise<void> => {
      if (!out) return;
      out = false;
      if (--hold.leases > 0) return;
      if (this.#hold === hold) this.#hold = undefined;
      if (hold.store !== this.storage) await hold.store.close();
    };
    try {
      await hold.opened;
    } catch (error) {
      await release();
      throw error;
    }
    return { store: hold.store, first, release };
  }

  /**
   * One session as bytes, at most 64 MiB before compression, to be taken in elsewhere by `importSession`; written to
   * `file` as well when one is named (whole or not at all).
   *
   * @throws {OrchestraError} `ORCH_SESSION_UNKNOWN`; `ORCH_STORE_CORRUPT` when a part of it cannot be read.
   */
  async exportSession(sessionId: string, file?: string): Promise<Uint8Array> {
    const bytes = await this.#with((store) => exportSession(store, sessionId, { compression: this.compression }));
    if (file !== undefined) {
      await writeFile(`${file}.part`, bytes);
      await rename(`${file}.part`, file);
    }
    return bytes;
  }

  /**
   * Takes a session in, from a file or its bytes, under its own id or `as` another. Resolves with that id.
   *
   * @throws {OrchestraError} `ORCH_SESSION_STATE` when the store has a session of that id; `ORCH_STORE_VERSION`,
   *   `ORCH_STORE_CORRUPT` for what is no such file.
   */
  async importSession(file: string | Uint8Array, options: { as?: string } = {}): Promise<string> {
    const bytes = typeof file === "string" ? await readFile(file) : file;
    return this.#with((store) => importSession(store, bytes, options));
  }

  /**
   * Moves a session, with what is nested in it, to another store: copied whole, then deleted here. Resolves with how many
   * sessions that were. One that was cut short is ended by calling it again.
   *
   * @throws {OrchestraError} `ORCH_SESSION_UNKNOWN`; `ORCH_SESSION_STATE` while a run in it moves, for a session that is nested
   *   in another, and when the other store has another of that id; `ORCH_STORE_CORRUPT` when a part of it cannot be read.
   */
  async moveSession(sessionId: string, to: StateManager): Promise<number> {
    return this.#with((from) => to.#with((target) => moveSession(from, target, sessionId)));
  }

  /** Walks every record's checksum and number; changes nothing. */
  verify(): Promise<VerifyReport> {
    return this.#with((store) => store.verify());
  }

  stats(): Promise<StoreStats> {
    return this.#with((store) => store.stats());
  }

  #open(): { readonly store: SessionStore; readonly opened: Promise<void>; leases: number } {
    const store = this.storage.another?.() ?? this.storage;
    const open = async (): Promise<void> => {
      await store.open();
      if (this.retention !== undefined) await applyRetention(store, this.retention, this.#clock.nowMs());
    };
    return { store, opened: open(), leases: 0 };
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
