// Changed files: what of a folder is another than before, and whether it may be.

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, readlink } from "node:fs/promises";
import { join } from "node:path";

import type { RunSpec } from "./run-spec.ts";

/** Paths below the folder, with `/`, each with a digest. Pairs, since a file may have a name that no object's field can have. */
export type FileList = readonly (readonly [path: string, digest: string])[];

/** What commands make anew, and what is not the user's own work. */
const LEFT_OUT: ReadonlySet<string> = new Set([".git", "node_modules"]);

/** Every file and link below, by content; links are not followed. */
export async function listFiles(folder: string): Promise<FileList> {
  const files: [path: string, digest: string][] = [];
  const pending = [""];
  for (let below = pending.pop(); below !== undefined; below = pending.pop()) {
    for (const entry of await readdir(join(folder, below), { withFileTypes: true })) {
      const path = below === "" ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory()) {
        if (!LEFT_OUT.has(entry.name)) pending.push(path);
      } else if (entry.isSymbolicLink()) files.push([path, `-> ${await readlink(join(folder, path))}`]);
      else if (entry.isFile()) files.push([path, await digestOf(join(folder, path))]);
    }
  }
  return files;
}

/** A piece at a time: files may be larger than memory. */
async function digestOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const bytes of createReadStream(path)) hash.update(bytes as Buffer);
  return hash.digest("base64url").slice(0, 22);
}

/** Sorted: made, changed or removed since `before`. */
function changedPaths(before: FileList, now: FileList): readonly string[] {
  const [was, is] = [new Map(before), new Map(now)];
  return [...new Set([...was.keys(), ...is.keys()])].filter((path) => was.get(path) !== is.get(path)).sort();
}

/** Whether changes at or below the path go unseen. */
export function isLeftOut(path: string): boolean {
  return path.split("/").some((name) => LEFT_OUT.has(name));
}

/** A line for each change of `spec.cwd` that its paths do not allow. */
export async function misplacedChanges(
  { cwd, allowedPaths, forbiddenPaths }: Pick<RunSpec, "cwd" | "allowedPaths" | "forbiddenPaths">,
  before: FileList,
): Promise<readonly string[]> {
  return changedPaths(before, await listFiles(cwd)).flatMap((path) => {
    const forbidden = forbiddenPaths.find((one) => isWithin(path, one));
    if (forbidden !== undefined) return [`${path} has changed, and ${forbidden} is forbidden`];
    if (allowedPaths === undefined || allowedPaths.some((one) => isWithin(path, one))) return [];
    return [`${path} has changed, and is in none of the allowed paths (${allowedPaths.join(", ")})`];
  });
}

function isWithin(path: string, folder: string): boolean {
  return folder === "." || path === folder || path.startsWith(`${folder}/`);
}
