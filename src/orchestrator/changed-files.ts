// Changed files: what of a folder is another than before, and whether it may be.

import { createHash } from "node:crypto";
import { readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";

import type { RunSpec } from "./run-spec.ts";

/** A digest by path below the folder, with `/`. */
export type FileList = Readonly<Record<string, string>>;

/** What commands make anew, and what is not the user's own work. */
const LEFT_OUT: ReadonlySet<string> = new Set([".git", "node_modules"]);

/** Every file and link below, by content; links are not followed. */
export async function listFiles(folder: string): Promise<FileList> {
  const files: Record<string, string> = {};
  const pending = [""];
  for (let below = pending.pop(); below !== undefined; below = pending.pop()) {
    for (const entry of await readdir(join(folder, below), { withFileTypes: true })) {
      const path = below === "" ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory()) {
        if (!LEFT_OUT.has(entry.name)) pending.push(path);
      } else if (entry.isSymbolicLink()) files[path] = `-> ${await readlink(join(folder, path))}`;
      else if (entry.isFile()) files[path] = await digestOf(join(folder, path));
    }
  }
  return files;
}

async function digestOf(path: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(path))
    .digest("base64url")
    .slice(0, 22);
}

/** Sorted: made, changed or removed since `before`. */
export function changedPaths(before: FileList, now: FileList): readonly string[] {
  const paths = new Set([...Object.keys(before), ...Object.keys(now)]);
  return [...paths].filter((path) => before[path] !== now[path]).sort();
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
