// Write-ahead files in a folder
//
// The only file that makes the event loop wait for a write, and why that is right: an append ends up in the memory of
// the operating system within microseconds, a tenth of what handing it to a thread and back costs. How the disk itself is
// waited for is in sync-pace.ts.
//
// LevelDB leaves files alone whose names it cannot read, `ahead-*.wal` among them.

import {
  closeSync,
  fdatasync,
  fdatasyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { systemClock } from "../base/clock.ts";
import type { AheadFile, AheadFiles } from "./ahead-ports.ts";
import { RoomyFile } from "./roomy-file.ts";
import { SyncPace } from "./sync-pace.ts";

const clock = systemClock();
const WAYS = { inPlace: fdatasyncSync, aside: promisify(fdatasync), nowMs: () => clock.monotonicMs() };

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
  const pace = new SyncPace(WAYS);
  let isNamed = false;
  return new RoomyFile({
    write: (bytes, position) => writeSync(descriptor, bytes, 0, bytes.byteLength, position),
    truncate: (length) => ftruncateSync(descriptor, length),
    async sync() {
      await pace.wait(descriptor);
      if (isNamed) return;
      await folderToDisk(dirname(path));
      isNamed = true;
    },
    close: () => closeSync(descriptor),
  });
}

/** A new file can be found after a loss of power only when its folder is on disk too. */
async function folderToDisk(folder: string): Promise<void> {
  // Windows keeps folders itself and lets nobody open them.
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
