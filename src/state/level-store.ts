// Level store
//
// Owns:      one caller's hold on a folder. Stores of one process on one folder share a single database, counted.
// Does not:  order writes (level-log.ts), lay out keys (level-keys.ts) or know LevelDB (level-folder.ts).
//
// P1  Nothing is opened before the first call.
// P2  The database closes with its last holder, after what waits is written. Whoever opens the folder meanwhile waits.

import { OrchestraError } from "../base/errors.ts";
import { silentLogger, type Logger } from "../base/logger.ts";
import type { AheadFile } from "./ahead-ports.ts";
import { LOCAL_DISK, type Disk } from "./disk.ts";
import type { KeyValue } from "./key-value.ts";
import { keys } from "./level-keys.ts";
import { LevelLog, type WriteOptions } from "./level-log.ts";
import {
  newestSnapshot,
  readCheckpoint,
  readCheckpoints,
  readCommits,
  readHead,
  readSession,
  readSessions,
  takeOutCommits,
} from "./level-reads.ts";
import { decodeBlob } from "./level-records.ts";
import { countStore, verifyStore } from "./level-verify.ts";
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
import { openWriteAhead } from "./write-ahead.ts";

export interface LevelStorageOptions {
  /** `disk` survives loss of power (one fsync per group of appends), `process` survives kill -9. Default `disk`. */
  readonly durability?: "disk" | "process";
  /** Deflates blobs. Smaller values are compressed by LevelDB anyway. Default false. */
  readonly compression?: boolean;
  /** Told of records that were passed over. Default: nobody. */
  readonly logger?: Logger;
  /** Stands between the store and its database, for tests that make it fail. Used by whoever opens the folder first. */
  readonly intercept?: (database: KeyValue) => KeyValue;
  /** Likewise between a store of durability `process` and each file it writes ahead. */
  readonly interceptFile?: (file: AheadFile) => AheadFile;
  /** The machine below, for simulations. Default: this one. */
  readonly disk?: Disk;
}

/** Keeps sessions in a folder of the local disk. One process at a time; within it, any number of stores. */
export class LevelStorage implements SessionStore {
  readonly name: string;
  readonly durability: "disk" | "process";
  readonly #options: LevelStorageOptions;
  readonly #write: WriteOptions;
  #hold: Promise<Hold> | null = null;
  /** What is held, once it is. */
  #opened: LevelLog | null = null;
  #closing: Promise<void> | null = null;

  /** @throws {OrchestraError} `ORCH_BAD_OPTION` */
  constructor(folder: string, options: LevelStorageOptions = {}) {
    const { durability = "disk", compression = false } = options;
    if (typeof folder !== "string" || folder === "")
      throw new OrchestraError(
        "ORCH_BAD_OPTION",
        `LevelStorage: expected the path of a folder, got ${JSON.stringify(folder)}`,
      );
    if (durability !== "disk" && durability !== "process")
      throw new OrchestraError(
        "ORCH_BAD_OPTION",
        `LevelStorage durability: expected "disk" or "process", got ${JSON.stringify(durability)}`,
      );
    this.name = folder;
    this.durability = durability;
    this.#options = options;
    this.#write = { sync: durability === "disk", compression };
  }

  async open(): Promise<void> {
    await this.#log();
  }

  close(): Promise<void> {
    this.#closing ??= this.#release();
    return this.#closing;
  }

  another(): LevelStorage {
    return new LevelStorage(this.name, this.#options);
  }

  append(request: AppendRequest): Promise<AppendResult> {
    // Without a promise of its own for each step: by then the folder has long been open.
    const log = this.#closing === null ? this.#opened : null;
    if (log === null) return this.#log().then((opened) => opened.append(request, this.#write));
    try {
      return log.append(request, this.#write);
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  async *read(sessionId: string, from?: number): AsyncIterable<Commit> {
    const { kv } = await this.#log();
    for await (const commit of readCommits(kv, sessionId, from)) {
      this.#checkOpen();
      yield commit;
    }
  }

  async takeOut(sessionId: string, upTo: number): Promise<(() => readonly Commit[]) | null> {
    return takeOutCommits((await this.#log()).kv, sessionId, upTo);
  }

  async last(sessionId: string): Promise<{ readonly n: number; readonly epoch: number; readonly id: string } | null> {
    const head = await readHead((await this.#log()).kv, sessionId);
    return head === null ? null : { n: head.n, epoch: head.epoch, id: head.id };
  }

  async saveSnapshot(sessionId: string, snapshot: Snapshot): Promise<void> {
    await (await this.#log()).saveSnapshot(sessionId, snapshot, this.#write);
  }

  async latestSnapshot(sessionId: string, atMostN = Infinity): Promise<Snapshot | null> {
    return newestSnapshot((await this.#log()).kv, this.#logger, sessionId, atMostN);
  }

  async compact(sessionId: string, belowN: number): Promise<void> {
    await (await this.#log()).compact(sessionId, belowN, this.#write);
  }

  async saveCheckpoint(checkpoint: Checkpoint): Promise<void> {
    await (await this.#log()).saveCheckpoint(checkpoint, this.#write);
  }

  async getCheckpoint(checkpointId: string): Promise<Checkpoint | null> {
    return readCheckpoint((await this.#log()).kv, checkpointId);
  }

  async listCheckpoints(sessionId: string): Promise<readonly Checkpoint[]> {
    return readCheckpoints((await this.#log()).kv, sessionId);
  }

  async deleteCheckpoint(checkpointId: string): Promise<void> {
    const log = await this.#log();
    const checkpoint = await readCheckpoint(log.kv, checkpointId);
    if (checkpoint !== null) await log.deleteCheckpoint(checkpoint.sessionId, checkpointId, this.#write);
  }

  async getBlob(ref: string): Promise<Uint8Array> {
    return decodeBlob(ref, await (await this.#log()).kv.get(keys.blob(ref)));
  }

  async getSession(sessionId: string): Promise<SessionEntry | null> {
    return readSession((await this.#log()).kv, sessionId);
  }

  async listSessions(options?: Parameters<SessionStore["listSessions"]>[0]): Promise<readonly SessionEntry[]> {
    return readSessions((await this.#log()).kv, this.#logger, options);
  }

  async deleteSession(sessionId: string): Promise<boolean> {
    return (await this.#log()).deleteSession(sessionId, this.#write);
  }

  async verify(): Promise<VerifyReport> {
    return verifyStore((await this.#log()).kv);
  }

  async stats(): Promise<StoreStats> {
    const log = await this.#log();
    return countStore(log.kv, log.batches);
  }

  get #logger(): Logger {
    return this.#options.logger ?? silentLogger;
  }

  async #log(): Promise<LevelLog> {
    this.#checkOpen();
    // An opening that failed may be tried again: the lock may be gone, the disk mounted.
    this.#hold ??= holdFolder(this.name, this.#options).catch((error: unknown) => {
      this.#hold = null;
      throw error;
    });
    return (this.#opened = (await this.#hold).log);
  }

  async #release(): Promise<void> {
    const hold = await this.#hold?.catch(() => null);
    await hold?.release();
  }

  #checkOpen(): void {
    if (this.#closing !== null)
      throw new OrchestraError("ORCH_CLOSED", `store ${this.name} is closed`, { details: { store: this.name } });
  }
}

/** The name under which other documents know it. */
export const FileStorageBackend = LevelStorage;

interface Hold {
  readonly log: LevelLog;
  release(): Promise<void>;
}

interface Shared {
  readonly log: Promise<LevelLog>;
  holders: number;
  closing: Promise<void> | null;
}

// The one thing that all stores of a process have in common, because LevelDB lets a process open a folder once.
const FOLDERS = new WeakMap<Disk, Map<string, Shared>>();

function foldersOf(disk: Disk): Map<string, Shared> {
  const folders = FOLDERS.get(disk) ?? new Map<string, Shared>();
  FOLDERS.set(disk, folders);
  return folders;
}

async function holdFolder(folder: string, options: LevelStorageOptions): Promise<Hold> {
  const { disk = LOCAL_DISK } = options;
  const folders = foldersOf(disk);
  const path = await disk.prepare(folder);
  for (let shared = folders.get(path); shared?.closing; shared = folders.get(path))
    await shared.closing.catch(() => undefined);
  const shared = folders.get(path) ?? openShared(path, folders, disk, options);
  shared.holders += 1;
  try {
    const log = await shared.log;
    return { log, release: () => letGo(path, folders, shared, log) };
  } catch (error) {
    if (folders.get(path) === shared) folders.delete(path);
    throw error;
  }
}

function openShared(
  path: string,
  folders: Map<string, Shared>,
  disk: Disk,
  { logger = silentLogger, intercept = (database) => database, interceptFile = (file) => file }: LevelStorageOptions,
): Shared {
  const files = { ...disk.files, create: (name: string) => interceptFile(disk.files.create(name)) };
  const log = disk
    .open(path)
    .then((database) => openWriteAhead(path, intercept(database), logger, files))
    .then((database) => new LevelLog(path, database, logger));
  const shared: Shared = { log, holders: 0, closing: null };
  folders.set(path, shared);
  return shared;
}

async function letGo(path: string, folders: Map<string, Shared>, shared: Shared, log: LevelLog): Promise<void> {
  shared.holders -= 1;
  if (shared.holders > 0) return;
  shared.closing = log.close().finally(() => folders.delete(path));
  await shared.closing;
}
