// A folder that is not opened: going on in it would throw away what cannot be read, and with it what it was.

import { join } from "node:path";
import { OrchestraError } from "../base/errors.ts";
import type { FileDamage } from "./leveldb-files.ts";

export function damagedFolder(folder: string, { file, offset, message }: FileDamage): OrchestraError {
  const where = offset === null ? `file ${file}` : `file ${file} at byte ${offset}`;
  return new OrchestraError(
    "ORCH_STORE_CORRUPT",
    `store ${folder}: ${where}: ${message}. "orchestra verify" says what is lost, "orchestra repair --copy" saves the rest`,
    { details: { path: join(folder, file), ...(offset === null ? {} : { offset }) } },
  );
}
