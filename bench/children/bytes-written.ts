// What this process has handed to the kernel to write, and what the kernel has accounted to it as going to a device.

import { readFileSync, statSync, type Stats } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";

export interface BytesWritten {
  /**
   * `wchar` of /proc/self/io: bytes given to write(2) and its kin by all threads of the process, so logs, tables and the
   * rewriting of tables by compaction count, each time. Writes through mmap do not; neither LevelDB nor SQLite's WAL do
   * that with data.
   */
  readonly handedOver: number;
  /** `write_bytes`: whole pages made dirty, charged to the process that dirtied them; a page written twice before it went out counts once. */
  readonly toDevice: number;
}

export function bytesWritten(): BytesWritten {
  const text = readFileSync("/proc/self/io", "utf8");
  const read = (name: string): number => Number(new RegExp(`^${name}: (\\d+)$`, "m").exec(text)?.[1]);
  return { handedOver: read("wchar"), toDevice: read("write_bytes") };
}

async function filesIn(folder: string): Promise<Stats[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => statSync(join(entry.parentPath, entry.name)));
}

/** The sum of what its files hold. */
export async function folderSize(folder: string): Promise<number> {
  return (await filesIn(folder)).reduce((sum, { size }) => sum + size, 0);
}

/** In whole blocks of the file system, as `du` counts. */
export async function occupiedBytes(folder: string): Promise<number> {
  return (await filesIn(folder)).reduce((sum, { blocks }) => sum + blocks * 512, 0);
}
