// Git history: what was committed in a folder since a run began.

import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { NAME_LENGTH_MAX } from "./event-room.ts";

export interface Commit {
  readonly sha: string;
  /** Its first line, at most 500 characters of it. */
  readonly message: string;
  /** `HEAD` where none is checked out. */
  readonly branch: string;
}

const run = promisify(execFile);
const OUTPUT_BYTES_MAX = 16 * 1_048_576;

/** The commit that is checked out; `""` before the first of a repository, `null` where there is no repository, or no git. */
export async function headOf(folder: string): Promise<string | null> {
  const head = (await git(folder, "rev-parse", "--verify", "--quiet", "HEAD"))?.trim();
  if (head !== undefined) return head;
  return (await git(folder, "rev-parse", "--git-dir")) === undefined ? null : "";
}

/** Oldest first, with the first line of their messages. @param sha `""`: from the first */
export async function commitsSince(folder: string, sha: string): Promise<readonly Commit[]> {
  const branch = (await git(folder, "rev-parse", "--abbrev-ref", "HEAD"))?.trim() ?? "HEAD";
  const range = sha === "" ? "HEAD" : `${sha}..HEAD`;
  const lines = (await git(folder, "log", "--reverse", "--format=%H %s", range, "--")) ?? "";
  return lines
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const at = line.indexOf(" ");
      return { sha: line.slice(0, at), message: line.slice(at + 1).slice(0, NAME_LENGTH_MAX), branch };
    });
}

async function git(folder: string, ...args: readonly string[]): Promise<string | undefined> {
  try {
    return (await run("git", ["-C", folder, ...args], { maxBuffer: OUTPUT_BYTES_MAX })).stdout;
  } catch {
    return undefined;
  }
}
