// Simulated database
//
// The disk as one process reaches it: every read and write takes its time, may fail, and never ends in a process that has
// died. It stands where LevelDB stands, below the store's own log, group commit and write-ahead.

import { OrchestraError } from "../../base/errors.ts";
import type { AheadFile, AheadFiles } from "../../state/ahead-ports.ts";
import { aheadFilesAmong } from "../../state/ahead-file.ts";
import type { Disk } from "../../state/disk.ts";
import type { KeyValue, WriteOp } from "../../state/key-value.ts";
import { RoomyFile } from "../../state/roomy-file.ts";
import { between } from "./chance.ts";
import type { Latency } from "./scheduler.ts";
import type { FileContent, SimDisk } from "./sim-disk.ts";
import type { Process } from "./sim-machine.ts";

/** Small, so that files outgrow it often. */
const ROOM_BYTES = 1_500;
const AT_ONCE: Latency = { beforeMs: 0, afterMs: 0 };

/** The machine's disk for one process. */
export function diskFor(process: Process, disk: SimDisk): Disk {
  const { scheduler } = process.machine;
  return {
    prepare: (folder) => scheduler.call(process.scope, "disk.prepare", AT_ONCE, () => folder),
    open: (path) =>
      scheduler.call(process.scope, "disk.open", AT_ONCE, () => {
        disk.settleHalfWritten();
        return new SimDatabase(process, disk, path);
      }),
    files: aheadFilesFor(process, disk),
  };
}

class SimDatabase implements KeyValue {
  readonly #process: Process;
  readonly #disk: SimDisk;
  readonly #path: string;
  #closed = false;

  constructor(process: Process, disk: SimDisk, path: string) {
    this.#process = process;
    this.#disk = disk;
    this.#path = path;
  }

  get(key: string): Promise<Uint8Array | undefined> {
    return this.#read("get", () => this.#disk.get(key));
  }

  getMany(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]> {
    return this.#read("getMany", () => keys.map((key) => this.#disk.get(key)));
  }

  range(
    from: string,
    to: string,
    options: Parameters<KeyValue["range"]>[2],
  ): Promise<readonly (readonly [string, Uint8Array])[]> {
    return this.#read("range", () =>
      this.#disk.range(from, to, options).map((key) => [key, this.#disk.get(key) as Uint8Array] as const),
    );
  }

  keys(from: string, to: string): Promise<readonly string[]> {
    return this.#read("keys", () => this.#disk.range(from, to, { limit: Infinity }));
  }

  write(ops: readonly WriteOp[], sync: boolean): Promise<void> {
    const { scheduler, faults, canary } = this.#process.machine;
    const latency = writeLatency(this.#process, sync);
    return scheduler.call(this.#process.scope, sync ? "database.flush" : "database.write", latency, () => {
      this.#assertOpen();
      if (faults.strikes("torn-write") !== undefined) {
        // A torn batch is no batch: LevelDB drops it when it is opened again.
        this.#process.crash("torn-write");
        return;
      }
      const failed = faults.strikes("failed-write");
      if (failed !== undefined) {
        if (failed.next() < 0.3) this.#disk.leaveHalfWritten(ops);
        throw Object.assign(new Error("EIO: i/o error, write"), { code: "EIO" });
      }
      this.#disk.apply(ops, sync && canary !== "flushes-nothing");
    });
  }

  reopen(): Promise<void> {
    return this.#read("reopen", () => this.#disk.settleHalfWritten());
  }

  size(): Promise<number> {
    return this.#read("size", () => this.#disk.size);
  }

  close(): Promise<void> {
    return this.#read("close", () => {
      this.#closed = true;
    });
  }

  #read<T>(what: string, act: () => T): Promise<T> {
    const { scheduler } = this.#process.machine;
    return new Promise((resolve, reject) => {
      scheduler.after(this.#process.scope, 0, `database.${what}`, () => {
        try {
          this.#assertOpen();
          resolve(act());
        } catch (error) {
          reject(error as Error);
        }
      });
    });
  }

  #assertOpen(): void {
    if (this.#closed) throw new OrchestraError("ORCH_STORE_FAILED", `store ${this.#path}: the database is closed`);
  }
}

function aheadFilesFor(process: Process, disk: SimDisk): AheadFiles {
  const { files } = disk;
  return {
    create(path) {
      if (!process.scope.alive) throw dead();
      if (files.has(path))
        throw Object.assign(new Error(`EEXIST: file already exists, open '${path}'`), { code: "EEXIST" });
      const content: FileContent = { bytes: new Uint8Array(0), flushed: 0, flushedSize: 0 };
      files.set(path, content);
      return new RoomyFile(new SimFile(process, content), ROOM_BYTES);
    },
    list: (folder) =>
      aheadFilesAmong(
        [...files.keys()].map((path) => path.slice(path.lastIndexOf("/") + 1)),
        folder,
      ),
    read: (path) => Buffer.from(files.get(path)?.bytes ?? []),
    remove(path) {
      if (!process.scope.alive) throw dead();
      disk.removeFile(path);
    },
  };
}

class SimFile implements AheadFile {
  readonly #process: Process;
  readonly #content: FileContent;

  constructor(process: Process, content: FileContent) {
    this.#process = process;
    this.#content = content;
  }

  write(bytes: Uint8Array, position: number): number {
    this.#assertAlive();
    const { faults } = this.#process.machine;
    const torn = faults.strikes("torn-write");
    if (torn !== undefined) {
      this.#put(bytes.subarray(0, between(torn, 0, bytes.byteLength)), position);
      this.#process.crash("torn-write");
      throw dead();
    }
    const failed = faults.strikes("failed-write");
    if (failed !== undefined) {
      this.#put(bytes.subarray(0, between(failed, 0, bytes.byteLength)), position);
      throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    }
    this.#put(bytes, position);
    return bytes.byteLength;
  }

  truncate(length: number): void {
    this.#assertAlive();
    if (this.#process.machine.faults.strikes("failed-write") !== undefined)
      throw Object.assign(new Error("EIO: i/o error, ftruncate"), { code: "EIO" });
    const { bytes } = this.#content;
    this.#content.bytes = resized(bytes, length);
    this.#content.flushed = Math.min(this.#content.flushed, length, bytes.byteLength);
    this.#content.flushedSize = Math.min(this.#content.flushedSize, length);
  }

  sync(): Promise<void> {
    const { scheduler, faults, canary } = this.#process.machine;
    return scheduler.call(this.#process.scope, "file.flush", writeLatency(this.#process, true), () => {
      if (faults.strikes("failed-write") !== undefined)
        throw Object.assign(new Error("EIO: i/o error, fdatasync"), { code: "EIO" });
      if (canary === "flushes-nothing") return;
      this.#content.flushed = this.#content.flushedSize = this.#content.bytes.byteLength;
    });
  }

  close(): void {}

  #put(bytes: Uint8Array, position: number): void {
    const before = this.#content.bytes;
    const after = resized(before, Math.max(before.byteLength, position + bytes.byteLength));
    after.set(bytes, position);
    this.#content.bytes = after;
    this.#content.flushed = Math.min(this.#content.flushed, position);
  }

  #assertAlive(): void {
    if (!this.#process.scope.alive) throw dead();
  }
}

function writeLatency({ machine: { faults, random } }: Process, sync: boolean): Latency {
  const slow = faults.strikes("slow-write");
  return {
    beforeMs: slow === undefined ? between(random, 0, 1) : between(slow, 50, 5_000),
    afterMs: between(random, 0, sync ? 2 : 0),
  };
}

/** Thrown into a process that no longer exists, to unwind what it was in the middle of. */
function dead(): Error {
  return new Error("the process has died");
}

function resized(bytes: Uint8Array, length: number): Uint8Array {
  const made = new Uint8Array(length);
  made.set(bytes.subarray(0, length));
  return made;
}
