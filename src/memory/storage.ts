// Where a memory is kept.

import { join } from "node:path";
import type { KeyValue } from "../state/key-value.ts";
import { openLevelFolder, prepareFolder } from "../state/level-folder.ts";
import { memoryKeyValue } from "../state/memory-key-value.ts";

export interface MemoryStorage {
  /** For messages. */
  readonly name: string;
  open(): Promise<KeyValue>;
  /** Of the local disk; null where it is in none. */
  readonly folder: string | null;
  /** For caches; null where none outlive the process. */
  readonly cacheFolder: string | null;
}

const REMEDY = "Put back a copy of the folder, or begin anew in another: a memory cannot be repaired";

/** A folder of the local disk: `entries` is a database, `index` may be deleted at any time. One process at a time. */
export function folderStorage(folder: string): MemoryStorage {
  return {
    name: folder,
    folder,
    open: async () => openLevelFolder(await prepareFolder(join(folder, "entries")), REMEDY),
    cacheFolder: join(folder, "index"),
  };
}

/** This process's memory. */
export function volatileStorage(): MemoryStorage {
  return { name: "memory", folder: null, open: async () => memoryKeyValue(), cacheFolder: null };
}
