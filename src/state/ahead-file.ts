// Write-ahead files in a folder
//
// The only file that makes the event loop wait for the disk, and why that is right: an append ends up in the memory of
// the operating system within microseconds, a tenth of what handing it to a thread and back costs.
//
// LevelDB leaves files alone whose names it cannot read, `ahead-*.wal` among them.

import { closeSync, ftruncateSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";

/** One file, open for writing. A call is done, or has thrown, when it returns. */
export interface AheadFile {
  /** How many of the bytes were taken. */
  write(bytes: Uint8Array, position: number): number;
  truncate(length: number): void;
  close(): void;
}

/** The write-ahead files of folders. Every call is done, or has thrown, when it returns. */
export interface AheadFiles {
  /** Fails when the file is there. */
  create(path: string): AheadFile;
  /** In the order of their numbers. */
  list(folder: string): readonly { readonly path: string; readonly number: number }[];
  read(path: string): Buffer;
  remove(path: string): void;
}

export const localAheadFiles: AheadFiles = {
  create: createAheadFile,
  list: (folder) => aheadFilesAmong(readdirSync(folder), folder),
  read: (path) => readFileSync(path),
  remove: (path) => rmSync(path, { force: true }),
};

export function aheadPath(folder: string, number: number): string {
  return join(folder, `ahead-${String(number).padStart(12, "0")}.wal`);
}

/** Those among the names of a folder, in the order of their numbers. */
export function aheadFilesAmong(names: readonly string[], folder: string): ReturnType<AheadFiles["list"]> {
  return names
    .map((name) => ({ path: join(folder, name), digits: /^ahead-(\d{12,15})\.wal$/.exec(name)?.[1] }))
    .flatMap(({ path, digits }) => (digits === undefined ? [] : [{ path, number: Number(digits) }]))
    .sort((a, b) => a.number - b.number);
}

function createAheadFile(path: string): AheadFile {
  const descriptor = openSync(path, "wx");
  return {
    write: (bytes, position) => writeSync(descriptor, bytes, 0, bytes.byteLength, position),
    truncate: (length) => ftruncateSync(descriptor, length),
    close: () => closeSync(descriptor),
  };
}
