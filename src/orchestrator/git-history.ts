// Git history: what was committed in a folder since a run began.

import { execFile } from "node:child_process";
import { promisify } from "node:util";

export interface Commit {
  readonly sha: string;
  readonly message: string;
  /** `HEAD` where none is checked out. */
  readonly branch: string;
}

const run = promisify(execFile);
const OUTPUT_BYTES_MAX = 16 * 1_048_576;

/** The commit that is checked out; `null` where there is none, or no repository, or no git. */
export async function headOf(folder: string): Promise<string | null> {
  return (await git(folder, "rev-parse", "HEAD"))?.trim() ?? null;
}

/** Oldest first. */
export async function commitsSince(folder: string, sha: string): Promise<readonly Commit[]> {
  const branch = (await git(folder, "rev-parse", "--abbrev-ref", "HEAD"))?.trim() ?? "HEAD";
  const lines = (await git(folder, "log", "--reverse", "--format=%H %s", `${sha}..HEAD`)) ?? "";
  return lines
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => ({ sha: line.slice(0, line.indexOf(" ")), message: line.slice(line.indexOf(" ") + 1), branch }));
}

async function git(folder: string, ...args: readonly string[]): Promise<string | undefined> {
  try {
    return (await run("git", ["-C", folder, ...args], { maxBuffer: OUTPUT_BYTES_MAX })).stdout;
  } catch {
    return undefined;
  }
}
