// What stands in the files of a folder.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Where a table is compressed, four equal bytes are written once: of a random text some fragments of so many stay whole. */
const FRAGMENT_CHARS = 16;

/** Is anything of it there? Of bytes: are they all there? */
export function isOnDisk(folder: string, what: string | Buffer): boolean {
  const pieces = typeof what === "string" ? (what.match(new RegExp(`.{${FRAGMENT_CHARS}}`, "gs")) ?? [what]) : [what];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((file) => file.isFile())
    .map((file) => readFileSync(join(file.parentPath, file.name)))
    .some((bytes) => pieces.some((piece) => bytes.includes(piece)));
}
