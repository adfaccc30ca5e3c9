// Collect: the text documents of a folder, bounded, and in the same order on every machine.

import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join, posix } from "node:path";

export interface CollectLimits {
  /** Files longer than this are cut at a line end. */
  readonly fileBytesMax: number;
  readonly totalBytesMax: number;
  readonly filesMax: number;
}
export const COLLECT_LIMITS: Readonly<CollectLimits> = Object.freeze({
  fileBytesMax: 256 * 1024,
  totalBytesMax: 16 * 1024 * 1024,
  filesMax: 5000,
});

export interface SourceFile {
  /** Relative to the folder, with forward slashes. */
  readonly path: string;
  readonly lines: readonly string[];
}

export interface Collection {
  readonly folder: string;
  readonly files: readonly SourceFile[];
  /** SHA-256 over paths and contents: equal hashes, equal collections. */
  readonly hash: string;
  readonly bytes: number;
  /** Binary files, and files left out because a limit was reached. */
  readonly skipped: number;
  /** Files of which only the beginning was taken. */
  readonly cut: number;
}

const DOCUMENT = /\.(?:md|mdx|markdown|txt|rst|adoc|asciidoc)$/i;
const BARE_DOCUMENT =
  /^(?:readme|changelog|changes|history|licen[cs]e|copying|notice|security|upgrading)(?:[-._].*)?$/i;
const CODE = /\.(?:[cm]?[jt]sx?|map|json|ya?ml|css|html?|node|wasm|png|svg)$/i;
const BUILD_FILE = /^(?:cmakelists\.txt|requirements.*\.txt|robots\.txt)$/i;
/** How many folders deep the walk goes; deeper ones are left out. */
const DEPTH_MAX = 12;

/** Readme, changelog, licence and documentation files, and package.json; judged by the name alone. */
export function isDocument(name: string): boolean {
  if (name === "package.json") return true;
  if (BUILD_FILE.test(name)) return false;
  return DOCUMENT.test(name) || (BARE_DOCUMENT.test(name) && !CODE.test(name));
}

/**
 * Reads the documents under `folder`. Hidden files and folders and symbolic links are left out.
 *
 * @throws {Error} when `folder` cannot be read.
 */
export async function collect(folder: string, limits: CollectLimits = COLLECT_LIMITS): Promise<Collection> {
  const paths = await documentPaths(folder);
  const hash = createHash("sha256");
  const files: SourceFile[] = [];
  let bytes = 0;
  let skipped = 0;
  let cut = 0;
  for (const path of paths) {
    if (files.length >= limits.filesMax || bytes >= limits.totalBytesMax) {
      skipped += 1;
      continue;
    }
    const whole = await readFile(join(folder, path));
    if (whole.subarray(0, 8192).includes(0)) {
      skipped += 1;
      continue;
    }
    if (whole.length > limits.fileBytesMax) cut += 1;
    const content = whole.length > limits.fileBytesMax ? cutAtLine(whole, limits.fileBytesMax) : whole;
    hash.update(`${path}\0${content.length}\0`).update(content);
    files.push({ path, lines: linesOf(content.toString("utf8")) });
    bytes += content.length;
  }
  return { folder, files, hash: hash.digest("hex").slice(0, 32), bytes, skipped, cut };
}

/** The lines of a text as an editor counts them: no last empty one, no carriage returns, no byte order mark. */
export function linesOf(text: string): string[] {
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

async function documentPaths(folder: string): Promise<string[]> {
  const out: string[] = [];
  const walk = async (inside: string, depth: number): Promise<void> => {
    for (const entry of await readdir(join(folder, inside), { withFileTypes: true })) {
      if (entry.name.startsWith(".")) continue;
      const path = posix.join(inside, entry.name);
      if (entry.isDirectory() && depth < DEPTH_MAX) await walk(path, depth + 1);
      else if (entry.isFile() && isDocument(entry.name)) out.push(path);
    }
  };
  if (!(await stat(folder)).isDirectory()) throw new Error(`${folder} is not a folder`);
  await walk("", 0);
  return out.sort((a, b) => (a < b ? -1 : 1));
}

function cutAtLine(content: Buffer, limit: number): Buffer {
  const end = content.lastIndexOf(0x0a, limit - 1);
  return content.subarray(0, end === -1 ? limit : end + 1);
}
