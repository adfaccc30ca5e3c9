// Orphan watch
//
// A shell in a session of its own holds the reading end of a pipe of ours. While we live it waits; when we are gone, by
// SIGKILL too, the pipe ends and it ends the group. It is told when the group ended by itself.

import { spawn } from "node:child_process";
import { Socket } from "node:net";

const WATCH = `
read -r line
[ "$line" = over ] && exit 0
kill -TERM "-$1" 2>/dev/null || exit 0
sleep "$2"
kill -KILL "-$1" 2>/dev/null
`;

/** Ends the group when this process dies. Returns the way to call that off. Where there is no /bin/sh, nothing watches. */
export function watchForOrphans(pgid: number, killGraceMs: number): () => void {
  const graceS = String(Math.max(1, Math.ceil(killGraceMs / 1_000)));
  const shell = spawn("/bin/sh", ["-c", WATCH, "orchestra-orphan-watch", String(pgid), graceS], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
    env: {},
  });
  shell.on("error", () => undefined);
  shell.stdin.on("error", () => undefined);
  shell.unref();
  if (shell.stdin instanceof Socket) shell.stdin.unref();
  return () => void shell.stdin.end("over\n");
}
