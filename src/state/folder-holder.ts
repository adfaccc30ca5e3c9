// Which process has a folder open. LevelDB's lock decides that; its holder leaves its number beside it.

import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { OrchestraError } from "../base/errors.ts";

export const PID_FILE = "orchestra.pid";

/** The live process that has the folder open; null when there is none. */
export async function holderOf(folder: string): Promise<number | null> {
  const locks = await readFile("/proc/locks", "utf8").catch(() => null);
  if (locks !== null) return lockedBy(locks, await stat(join(folder, "LOCK")).catch(() => null));
  const pid = await statedHolder(folder);
  // Our own number was somebody's before us, as happens in containers: a folder that this process has open is not looked at.
  return pid !== null && pid !== process.pid && isAlive(pid) ? pid : null;
}

/** Who wrote last that it has it open, alive or not. */
export async function statedHolder(folder: string): Promise<number | null> {
  const text = await readFile(join(folder, PID_FILE), "utf8").catch(() => "");
  const pid = Number.parseInt(text, 10);
  return Number.isNaN(pid) ? null : pid;
}

export function storeLocked(folder: string, pid: number | null, cause?: unknown): OrchestraError {
  const who = pid === null ? "another process" : `another process (pid ${pid})`;
  return new OrchestraError("ORCH_STORE_LOCKED", `store ${folder}: ${who} has it open`, {
    ...(cause === undefined ? {} : { cause }),
    details: { path: folder, ...(pid === null ? {} : { pid }) },
  });
}

// A line: "1: POSIX  ADVISORY  WRITE 4711 fd:01:131099 0 EOF"; the last part of the device is the inode.
function lockedBy(locks: string, file: { readonly ino: number } | null): number | null {
  for (const line of file === null ? [] : locks.split("\n")) {
    const [, pid, inode] = / (\d+) [\da-f]+:[\da-f]+:(\d+) /.exec(line) ?? [];
    if (Number(inode) === file?.ino) return Number(pid);
  }
  return null;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
