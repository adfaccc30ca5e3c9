// LevelDB
//
// Owns:      one database in one folder, its lock and the file naming the process that holds it. The only file that
//            knows LevelDB, which is loaded on first use.
//
// F1  Reads and writes wait while the database is being reopened. Where that failed (a full disk), the next one tries
//     again.
// F2  The lock is LevelDB's own. `orchestra.pid` only says who holds it; one left by a dead process means nothing.
// F3  LevelDB opens only what is whole (leveldb-files.ts), else nothing is opened. A process that has the folder open
//     changes it while we look: what is found counts when it is found again.

import { mkdir, readdir, realpath, rm, stat, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { decodeValue, encodeValue } from "../base/codec.ts";
import { OrchestraError } from "../base/errors.ts";
import { loadedOnFirstUse } from "../base/on-first-use.ts";
import { decodeRecord, encodeRecord } from "../base/record.ts";
import { damagedFolder } from "./damaged-folder.ts";
import { holderOf, PID_FILE, statedHolder, storeLocked } from "./folder-holder.ts";
import type { KeyValue, WriteOp } from "./key-value.ts";
import { FORMAT_KEY, STORE_FORMAT } from "./level-keys.ts";
import type { FileDamage } from "./file-damage.ts";
import { firstLevelDamage } from "./leveldb-files.ts";

/** By `require`, which takes three quarters of the CPU time that `import()` takes for a package of many CommonJS files. */
const level = loadedOnFirstUse<typeof import("level")>("level");

type Database = import("level").Level<string, Uint8Array>;
/** What it can do in Node; the package's types are those of all its platforms. */
type Compactable = Database & { compactRange(from: string, to: string): Promise<void> };

const LOOKS = 3;

/** Creates the folder with its parents and names it for good. */
export async function prepareFolder(path: string): Promise<string> {
  const full = resolve(path);
  try {
    await mkdir(full, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
    if (!(await stat(full)).isDirectory()) throw new Error("it is a file, expected a folder");
    return await realpath(full);
  } catch (error) {
    throw storeFailed(full, "cannot be opened", error);
  }
}

/**
 * @param remedy for messages; default: what mends a folder of sessions.
 * @throws {OrchestraError} `ORCH_STORE_LOCKED` naming the process that has it open; `ORCH_STORE_CORRUPT` naming the file
 *   that is damaged or missing, before anything is changed; `ORCH_STORE_VERSION` when a newer program wrote it; `ORCH_STORE_FAILED` with the path for anything else.
 */
export async function openLevelFolder(path: string, remedy?: string): Promise<KeyValue> {
  const damage = await confirmedDamage(path);
  if (damage !== null) {
    const holder = await holderOf(path);
    throw holder === null ? damagedFolder(path, damage, remedy) : storeLocked(path, holder);
  }
  const { Level } = level();
  const folder = new LevelFolder(
    path,
    () => new Level<string, Uint8Array>(path, { keyEncoding: "utf8", valueEncoding: "view" }),
  );
  await folder.open();
  return folder;
}

/** F3 */
async function confirmedDamage(path: string): Promise<FileDamage | null> {
  let before: FileDamage | null = null;
  for (let look = 1; look <= LOOKS; look++) {
    const damage = await lookAt(path);
    if (damage === null) return null;
    if (before !== null && damage.file === before.file && damage.offset === before.offset) break;
    before = damage;
  }
  return before;
}

async function lookAt(path: string): Promise<FileDamage | null> {
  try {
    return await firstLevelDamage(path);
  } catch (error) {
    throw storeFailed(path, "cannot be read", error);
  }
}

class LevelFolder implements KeyValue {
  readonly #path: string;
  readonly #make: () => Database;
  #db: Database;
  #reopening: Promise<void> | null = null;
  #closed = false;

  constructor(path: string, make: () => Database) {
    this.#path = path;
    this.#make = make;
    this.#db = make();
  }

  async open(): Promise<void> {
    try {
      await this.#db.open();
    } catch (error) {
      throw await this.#openError(error);
    }
    try {
      await this.#checkFormat();
      await writeFile(join(this.#path, PID_FILE), `${process.pid}\n`);
    } catch (error) {
      await this.#db.close();
      throw error instanceof OrchestraError ? error : storeFailed(this.#path, "cannot be opened", error);
    }
  }

  get(key: string): Promise<Uint8Array | undefined> {
    return this.#use((db) => db.get(key));
  }

  getMany(wanted: readonly string[]): Promise<readonly (Uint8Array | undefined)[]> {
    return this.#use((db) => db.getMany([...wanted]));
  }

  range(
    from: string,
    to: string,
    options: { readonly limit: number; readonly reverse?: boolean },
  ): Promise<readonly (readonly [string, Uint8Array])[]> {
    return this.#use((db) =>
      db.iterator({ gte: from, lt: to, limit: options.limit, reverse: options.reverse ?? false }).all(),
    );
  }

  keys(from: string, to: string): Promise<readonly string[]> {
    return this.#use((db) => db.keys({ gte: from, lt: to }).all());
  }

  async write(ops: readonly WriteOp[], sync: boolean): Promise<void> {
    await this.#ready();
    // Operation by operation: as a list, each would be copied and taken apart again on the way to LevelDB.
    const batch = this.#db.batch();
    for (const op of ops) {
      if (op.type === "put") batch.put(op.key, op.value);
      else batch.del(op.key);
    }
    await batch.write({ sync });
  }

  purge(from: string, to: string): Promise<void> {
    return this.#use((db) => (db as Compactable).compactRange(from, to));
  }

  reopen(): Promise<void> {
    this.#reopening ??= this.#reopen().finally(() => (this.#reopening = null));
    return this.#reopening;
  }

  async size(): Promise<number> {
    const names = await readdir(this.#path);
    // A file may be compacted away between listing and looking.
    const sizes = await Promise.all(
      names.map((name) =>
        stat(join(this.#path, name)).then(
          (info) => info.size,
          () => 0,
        ),
      ),
    );
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  /** F3: what this process itself changes meanwhile is not found again. */
  damage(): Promise<FileDamage | null> {
    return confirmedDamage(this.#path);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#reopening?.catch(() => undefined);
    await this.#db.close();
    await rm(join(this.#path, PID_FILE), { force: true }).catch(() => undefined);
  }

  async #reopen(): Promise<void> {
    await this.#db.close();
    this.#db = this.#make();
    try {
      // A folder that went away must not come back empty.
      await this.#db.open({ createIfMissing: false });
    } catch (error) {
      throw await this.#openError(error);
    }
  }

  async #ready(): Promise<void> {
    if (this.#reopening !== null) await this.#reopening;
    else if (this.#db.status !== "open" && !this.#closed) await this.reopen();
  }

  async #use<T>(read: (db: Database) => Promise<T>): Promise<T> {
    await this.#ready();
    try {
      return await read(this.#db);
    } catch (error) {
      const broken = (error as { code?: string }).code === "LEVEL_CORRUPTION";
      if (broken)
        throw new OrchestraError(
          "ORCH_STORE_CORRUPT",
          `store ${this.#path}: LevelDB found damage: ${(error as Error).message}`,
          { cause: error, details: { path: this.#path } },
        );
      throw storeFailed(this.#path, "cannot be read", error);
    }
  }

  async #checkFormat(): Promise<void> {
    const stored = await this.#db.get(FORMAT_KEY);
    if (stored !== undefined) {
      const version = decodeValue(decodeRecord("format", stored, FORMAT_KEY));
      if (typeof version !== "number")
        throw new OrchestraError("ORCH_STORE_CORRUPT", `store ${this.#path}: its format is no number`);
      if (version > STORE_FORMAT) {
        throw new OrchestraError(
          "ORCH_STORE_VERSION",
          `store ${this.#path} has format ${version}; this program reads up to ${STORE_FORMAT}`,
          { details: { path: this.#path, version, supported: STORE_FORMAT } },
        );
      }
      return;
    }
    const [first] = await this.#db.keys({ limit: 1 }).all();
    if (first !== undefined)
      throw new OrchestraError(
        "ORCH_STORE_FAILED",
        `store ${this.#path}: it is a database, but none of Orchestra's, or its first record was lost`,
        { details: { path: this.#path } },
      );
    await this.#db.batch(
      [{ type: "put", key: FORMAT_KEY, value: encodeRecord("format", encodeValue(STORE_FORMAT), FORMAT_KEY) }],
      { sync: true },
    );
  }

  async #openError(error: unknown): Promise<OrchestraError> {
    const cause = (error as { cause?: { code?: string; message?: string } }).cause;
    if (cause?.code === "LEVEL_LOCKED") return storeLocked(this.#path, await statedHolder(this.#path), error);
    if (cause?.code === "LEVEL_CORRUPTION")
      return new OrchestraError("ORCH_STORE_CORRUPT", `store ${this.#path}: LevelDB found damage: ${cause.message}`, {
        cause: error,
        details: { path: this.#path },
      });
    return storeFailed(this.#path, "cannot be opened", cause ?? error);
  }
}

function storeFailed(path: string, what: string, cause: unknown): OrchestraError {
  return new OrchestraError("ORCH_STORE_FAILED", `store ${path}: ${what}: ${(cause as Error).message}`, {
    cause,
    details: { path },
  });
}
