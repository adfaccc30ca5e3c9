// Write-ahead
//
// Owns:      the way of a batch into the database of one folder. It is appended to a file, and with fsync the file goes
//            to disk, which is as much as outliving the process or a loss of power takes. The database gets it later,
//            many batches at a time.
// Does not:  order batches (group-commit.ts: one `write` at a time) or know the bytes of the file (ahead-format.ts).
//
// B1  A batch is in the file before it is acknowledged, with fsync on disk. Where that failed, the file is cut back to
//     what it held and the batch has failed; where it cannot be cut back, the next batch begins a new file, whose
//     records stand in for those of the same number in an older one.
// B2  The database says itself how far it has come: the number of the last record goes into it with its operations,
//     in one batch. Records up to that number are never played again, whatever was written past the file since.
// B3  Readers see what is acknowledged: by key out of memory, otherwise once it is in the database.
// B4  Large values go into the database themselves: written twice, they would cost more than that saves. With them goes
//     their whole batch, after everything before it, unless B10 holds.
// B5  A file goes only when the database has, on disk, all that stands in it; at closing when it has it at all. Once a
//     batch came with fsync, all goes into the database with fsync: LevelDB may begin a new log with the old one not on
//     disk, and a hole between the two would not show.
// B6  When the database refuses, what was acknowledged stays in memory and in the file. The next batch or read tries
//     again, and fails while it cannot be done. `close` tries a last time; the next to open plays the files.
// B7  On opening, all files are checked before the first is played. A gap or damage in the middle is reported, and
//     nothing is played or removed.
// B8  Past `HELD_BYTES_MAX` not yet in the database, writers wait for it.
// B9  While there may be something in a file that is not in the database, a file is there and the database says so: one
//     that is missing was lost. So the next file is begun before the one before it may go. With fsync, a file is on disk
//     before the database says that it is there, and before the one before it goes.
// B10 Without fsync a large value whose operation says that it may be `apart` goes into the database before the rest of its
//     batch goes into the file, which says before and after which keys these are. Until then readers do not see them; after
//     a crash in between they are removed. So what is written again and again (heads, entries, snapshots) seldom gets into
//     the tables with large values, which LevelDB would have to merge for it.

import { OrchestraError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { AheadFile, AheadFiles } from "./ahead-ports.ts";
import { aheadPath } from "./ahead-file.ts";
import { AHEAD_HEADER_BYTES, encodeAheadHeader, encodeAheadRecord } from "./ahead-format.ts";
import type { FileDamage } from "./file-damage.ts";
import { apart, MARK, MOVE_BYTES, progress, replay, UNMARK } from "./ahead-replay.ts";
import { ApartKeys } from "./apart-keys.ts";
import { Held, inOrder, isAscii } from "./held.ts";
import type { KeyValue, WriteOp } from "./key-value.ts";

const FILE_BYTES = 4 * 1024 * 1024;
const HELD_BYTES_MAX = 32 * 1024 * 1024;
/** Of a value that is put apart, or with fsync. */
const LARGE_BYTES = 8 * 1024;
/** Of any other: few are as large, and few of those, snapshots above all, stay for long. */
const HUGE_BYTES = 256 * 1024;

interface Current {
  readonly path: string;
  readonly file: AheadFile;
  length: number;
}

/**
 * Plays what a process left behind, then stands before `database`, which it closes.
 * @throws {OrchestraError} `ORCH_STORE_CORRUPT` naming file and offset, `ORCH_STORE_VERSION`, `ORCH_STORE_FAILED`
 */
export async function openWriteAhead(
  folder: string,
  database: KeyValue,
  logger: Logger,
  files: AheadFiles,
): Promise<WriteAhead> {
  try {
    const last = await replay(folder, database, logger, files);
    return new WriteAhead(folder, database, logger, files, last);
  } catch (error) {
    await database.close().catch(() => undefined);
    throw asFailure(folder, "what was written ahead cannot be played", error);
  }
}

export class WriteAhead implements KeyValue {
  /** Something in here was promised to outlive a loss of power. */
  #toDisk = false;
  readonly #folder: string;
  readonly #database: KeyValue;
  readonly #logger: Logger;
  readonly #files: AheadFiles;
  #current: Current | null = null;
  /** The database says that there is a file. */
  #marked = false;
  #lastFile = 0;
  /** Full or given up, in order. */
  #old: { readonly path: string }[] = [];
  #held = new Held();
  #underWay: Held | null = null;
  /** Number of the last record acknowledged, and of the last in the database. */
  #last: number;
  #moved: number;
  #moving: Promise<void> | null = null;
  #failed = false;
  #suspect = false;
  /** A file became full: it goes once the database has what stands in it. */
  #full = false;
  readonly #apart = new ApartKeys();
  #reopening: Promise<void> | null = null;

  constructor(folder: string, database: KeyValue, logger: Logger, files: AheadFiles, last: number) {
    this.#folder = folder;
    this.#database = database;
    this.#logger = logger;
    this.#files = files;
    this.#last = last;
    this.#moved = last;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    if (this.#failed) await this.#move();
    const op = this.#heldOp(key);
    if (op !== undefined) return op.type === "put" ? op.value : undefined;
    const found = await this.#database.get(key);
    return this.#apart.hides(key) ? undefined : found;
  }

  async getMany(wanted: readonly string[]): Promise<readonly (Uint8Array | undefined)[]> {
    if (this.#failed) await this.#move();
    const held = new Map(
      wanted.flatMap((key) => {
        const op = this.#heldOp(key);
        return op === undefined ? [] : [[key, op.type === "put" ? op.value : undefined] as const];
      }),
    );
    const others = wanted.filter((key) => !held.has(key));
    const found = others.length === 0 ? [] : await this.#database.getMany(others);
    const values = new Map(others.map((key, i) => [key, this.#apart.hides(key) ? undefined : found[i]] as const));
    return wanted.map((key) => (held.has(key) ? held.get(key) : values.get(key)));
  }

  async range(
    from: string,
    to: string,
    options: { readonly limit: number; readonly reverse?: boolean },
  ): Promise<readonly (readonly [string, Uint8Array])[]> {
    if (this.#failed || this.#holdsBetween(from, to)) await this.#move();
    for (;;) {
      const hidden = this.#apart.all;
      const items = await this.#database.range(from, to, { ...options, limit: options.limit + hidden.length });
      const seen = this.#apart.seen(items, ([key]) => key);
      // What is hidden only now took the place of another within the limit.
      if (seen.length === items.length || hidden === this.#apart.all) return seen.slice(0, options.limit);
    }
  }

  async keys(from: string, to: string): Promise<readonly string[]> {
    for (;;) {
      if (this.#failed || !isAscii(from, to)) await this.#move();
      const moved = this.#moved;
      const found = this.#apart.seen(await this.#database.keys(from, to), (key) => key);
      if (this.#moved !== moved) continue;
      if (!isAscii(from, to) || !this.#holdsBetween(from, to)) return found;
      const changed = new Set(found);
      this.#underWay?.changeKeys(changed, from, to);
      this.#held.changeKeys(changed, from, to);
      return inOrder(changed);
    }
  }

  async write(ops: readonly WriteOp[], sync: boolean): Promise<void> {
    this.#toDisk ||= sync;
    if (this.#apart.all.length > 0) await this.#takeBack();
    const way = this.#wayOf(ops, sync);
    if (way === "through" || this.#failed || this.#held.bytes + (this.#underWay?.bytes ?? 0) > HELD_BYTES_MAX)
      await this.#move();
    if (way === "through") return this.#writeThrough(ops, sync);
    await (way === "apart" ? this.#putApart(ops) : this.#append(ops, sync));
    if ((this.#full || this.#held.bytes >= MOVE_BYTES) && this.#moving === null) this.#move().catch(() => undefined);
  }

  async reopen(): Promise<void> {
    if (!this.#suspect) return;
    this.#reopening ??= this.#database
      .reopen()
      .then(() => void (this.#suspect = false))
      .finally(() => (this.#reopening = null));
    await this.#reopening;
  }

  async size(): Promise<number> {
    await this.#move();
    return this.#database.size();
  }

  async damage(): Promise<FileDamage | null> {
    return (await this.#database.damage?.()) ?? null;
  }

  async close(): Promise<void> {
    try {
      try {
        if (this.#apart.all.length > 0) await this.#takeBack();
        await this.#move();
        if (this.#marked) await this.#writeThrough([UNMARK], this.#toDisk);
      } finally {
        this.#current?.file.close();
      }
      for (const { path } of this.#current === null ? this.#old : [...this.#old, this.#current])
        this.#files.remove(path);
    } catch (error) {
      this.#logger.warn(
        { path: this.#folder, err: error },
        "what was written ahead stays in its file for the next to open",
      );
    } finally {
      await this.#database.close();
    }
  }

  #holdsBetween(from: string, to: string): boolean {
    return this.#held.holdsBetween(from, to) || (this.#underWay?.holdsBetween(from, to) ?? false);
  }

  #heldOp(key: string): WriteOp | undefined {
    return this.#held.get(key) ?? this.#underWay?.get(key);
  }

  /** B4, B10 */
  #wayOf(ops: readonly WriteOp[], sync: boolean): "ahead" | "apart" | "through" {
    let way: "ahead" | "apart" = "ahead";
    for (const op of ops) {
      if (op.type === "del" || op.value.byteLength < LARGE_BYTES) continue;
      if (!sync && this.#goesApart(op)) way = "apart";
      else if (sync || op.value.byteLength >= HUGE_BYTES) return "through";
    }
    return way;
  }

  /** What is held of its key would overtake it. */
  #goesApart(op: WriteOp): boolean {
    return (
      op.type === "put" && op.apart === true && op.value.byteLength >= LARGE_BYTES && this.#heldOp(op.key) === undefined
    );
  }

  /** B10 */
  async #putApart(ops: readonly WriteOp[]): Promise<void> {
    const large = ops.filter((op) => this.#goesApart(op));
    const keys = large.map(({ key }) => key);
    await this.#append([apart(keys)], false);
    this.#apart.hide(keys);
    await this.#writeThrough(large, false);
    await this.#append([...ops.filter((op) => !large.includes(op)), apart([])], false);
    this.#apart.show();
  }

  /** B10. Of a batch that failed, before another follows. */
  async #takeBack(): Promise<void> {
    const keys = this.#apart.all;
    // Its rest may stand in a file that could not be cut back, and would count with its values gone: this stands in for it (B1).
    await this.#append([apart(keys)], false);
    await this.#writeThrough(
      keys.map((key) => ({ type: "del", key })),
      false,
    );
    await this.#append([apart([])], false);
    this.#apart.show();
  }

  /** B1. Nothing here counts before the end: the number is given again, and the file cut back, when it fails. */
  async #append(ops: readonly WriteOp[], sync: boolean): Promise<void> {
    const record = encodeAheadRecord(this.#last + 1, ops);
    const current = (this.#current ??= this.#create());
    if (!this.#marked) {
      if (sync) await current.file.sync();
      await this.#writeThrough([MARK], false);
      this.#marked = true;
    }
    try {
      writeWhole(current.file, record, current.length);
      if (sync) await current.file.sync();
    } catch (error) {
      this.#cutBack(current);
      throw error;
    }
    current.length += record.byteLength;
    this.#last += 1;
    for (const op of ops) this.#held.take(op);
    if (current.length >= FILE_BYTES) this.#follow(current);
  }

  /** B9. Where there is no room for another, the file grows on. */
  #follow(current: Current): void {
    try {
      const next = this.#create();
      this.#giveUp(current);
      this.#current = next;
      this.#full = true;
    } catch (error) {
      this.#logger.warn(
        { path: current.path, err: error },
        "a full write-ahead file cannot be followed by a new one yet",
      );
    }
  }

  #create(): Current {
    this.#lastFile = Math.max(this.#lastFile, this.#last) + 1;
    const path = aheadPath(this.#folder, this.#lastFile);
    const file = this.#files.create(path);
    try {
      writeWhole(file, encodeAheadHeader(this.#last + 1), 0);
    } catch (error) {
      file.close();
      this.#files.remove(path);
      throw error;
    }
    return { path, file, length: AHEAD_HEADER_BYTES };
  }

  #cutBack(current: Current): void {
    try {
      current.file.truncate(current.length);
    } catch (error) {
      this.#logger.warn({ path: current.path, err: error }, "a write-ahead file cannot be cut back; a new one follows");
      this.#giveUp(current);
    }
  }

  #giveUp(current: Current): void {
    this.#current = null;
    this.#old.push({ path: current.path });
    try {
      current.file.close();
    } catch (error) {
      this.#logger.warn({ path: current.path, err: error }, "a write-ahead file did not close");
    }
  }

  /** Resolves once the database has all that was acknowledged before the call. */
  async #move(): Promise<void> {
    const upTo = this.#last;
    while (this.#moved < upTo) {
      this.#moving ??= this.#moveHeld().finally(() => (this.#moving = null));
      await this.#moving;
    }
  }

  async #moveHeld(): Promise<void> {
    const [held, last] = [this.#held, this.#last];
    // B5: all records in them are among what is moved now, or were before.
    // B9
    const old = this.#current === null ? this.#old.slice(0, -1) : [...this.#old];
    this.#underWay = held;
    this.#held = new Held();
    this.#full = false;
    try {
      // B2, B5
      await this.#writeThrough([...held.ops, progress(last)], this.#toDisk || old.length > 0);
      this.#moved = last;
      this.#failed = false;
    } catch (error) {
      // B6: what came meanwhile is newer.
      for (const op of this.#held.ops) held.take(op);
      this.#held = held;
      this.#failed = true;
      throw asFailure(this.#folder, "what was written ahead cannot be moved into the database", error);
    } finally {
      this.#underWay = null;
    }
    if (old.length === 0 || !(await this.#staysOnDisk())) return;
    this.#old = this.#old.slice(old.length);
    this.#remove(old);
  }

  /** B9. Whether the file that follows the old ones would be there after a loss of power. */
  async #staysOnDisk(): Promise<boolean> {
    if (!this.#toDisk || this.#current === null) return true;
    const { path, file } = this.#current;
    try {
      await file.sync();
      return true;
    } catch (error) {
      this.#logger.warn({ path, err: error }, "a write-ahead file cannot be put on disk; those before it stay");
      return false;
    }
  }

  /** One that stays is harmless: whoever opens next finds nothing new in it. */
  #remove(files: readonly { readonly path: string }[]): void {
    for (const { path } of files) {
      try {
        this.#files.remove(path);
      } catch (error) {
        this.#logger.warn({ path, err: error }, "a write-ahead file cannot be removed");
      }
    }
  }

  async #writeThrough(ops: readonly WriteOp[], sync: boolean): Promise<void> {
    if (this.#suspect) await this.reopen();
    try {
      await this.#database.write(ops, sync);
    } catch (error) {
      this.#suspect = true;
      throw error;
    }
  }
}

// A disk that becomes full takes a part first; only what is written next says why.
function writeWhole(file: AheadFile, bytes: Uint8Array, position: number): void {
  for (let written = 0; written < bytes.byteLength;) {
    const taken = file.write(written === 0 ? bytes : bytes.subarray(written), position + written);
    if (taken === 0) throw new Error(`only ${written} of ${bytes.byteLength} bytes were written`);
    written += taken;
  }
}

function asFailure(folder: string, what: string, cause: unknown): OrchestraError {
  if (cause instanceof OrchestraError) return cause;
  const { message, code } = cause as { message?: string; code?: string };
  return new OrchestraError("ORCH_STORE_FAILED", `store ${folder}: ${what}: ${message}`, {
    cause,
    details: { store: folder, ...(code === undefined ? {} : { reason: code }) },
  });
}
