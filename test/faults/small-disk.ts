// A disk of a few megabytes that is really full, or really read-only: a tmpfs of its own, which is gone with the processes
// that see it.

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { childProgram } from "../support/child-program.ts";

const run = promisify(execFile);
const CHILD = await childProgram(new URL("./full-disk-child.ts", import.meta.url));
const NEEDS =
  "tests with a full disk need Linux and unshare (apt-get install util-linux), as root or with user namespaces (sysctl kernel.unprivileged_userns_clone=1)";

/**
 * Runs a shell script on a fresh disk, whose folder is `$DISK`; `child PHASE` in it is a process with the store in `$DISK/state`.
 * Resolves to what the children say, by phase.
 */
export async function onSmallDisk(
  folder: string,
  mebibytes: number,
  script: string,
): Promise<Readonly<Record<string, unknown>>> {
  const whole = `set -e
    mount -t tmpfs -o size=${mebibytes}m tmpfs "$DISK"
    child() { "$NODE" "${CHILD}" "$DISK" "$1"; }
    ${script}`;
  const user = process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"];
  try {
    await run("unshare", [...user, "--mount", "true"]);
  } catch (error) {
    throw new Error(NEEDS, { cause: error });
  }
  const { stdout } = await run("unshare", [...user, "--mount", "sh", "-c", whole], {
    env: { ...process.env, DISK: folder, NODE: process.execPath },
  });
  return Object.fromEntries(
    stdout
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as { phase: string })
      .map(({ phase, ...said }) => [phase, said]),
  );
}
