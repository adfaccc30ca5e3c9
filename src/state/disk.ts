// Disk: what the durable store asks of the machine below it. A simulation hands in its own.

import type { AheadFiles } from "./ahead-ports.ts";
import { localAheadFiles } from "./ahead-file.ts";
import type { KeyValue } from "./key-value.ts";
import { openLevelFolder, prepareFolder } from "./level-folder.ts";

export interface Disk {
  /** Creates the folder with its parents and names it for good. */
  prepare(folder: string): Promise<string>;
  /** The database in a prepared folder. One holder at a time. @throws {OrchestraError} `ORCH_STORE_*` */
  open(path: string): Promise<KeyValue>;
  /** The files beside the database that are written ahead of it. */
  readonly files: AheadFiles;
}

/** Folders of this machine, with LevelDB in them. */
export const LOCAL_DISK: Disk = { prepare: prepareFolder, open: openLevelFolder, files: localAheadFiles };
