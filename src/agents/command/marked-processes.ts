// Marked processes
//
// Every process that a command starts inherits a variable that names its step. On Linux the kernel tells the environment
// of each process of ours, so that what left its group, or outlived the host that started it, is found by it. Elsewhere
// nothing is found.

import { readdir, readFile } from "node:fs/promises";

export const MARK = "ORCHESTRA_COMMAND";

/** Kills what carries the mark, and what that starts meanwhile. Returns how many were found. */
export async function killMarked(mark: string): Promise<number> {
  const killed = new Set<number>();
  for (let look = 0; look < LOOKS_MAX; look++) {
    const found = (await findMarked(mark)).filter((pid) => !killed.has(pid));
    if (found.length === 0) break;
    for (const pid of found) {
      killed.add(pid);
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It ended by itself.
      }
    }
  }
  return killed.size;
}

const LOOKS_MAX = 10;

async function findMarked(mark: string): Promise<number[]> {
  const entries = await readdir("/proc").catch(() => []);
  const pids = entries.map(Number).filter((pid) => Number.isInteger(pid) && pid !== process.pid);
  const wanted = `\0${MARK}=${mark}\0`;
  const carriers = await Promise.all(
    pids.map(async (pid) => {
      // Of another user, or gone meanwhile.
      const environment = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
      return `\0${environment}`.includes(wanted) ? [pid] : [];
    }),
  );
  return carriers.flat();
}
