// What must not outlive this process, however it ends: server processes, their folders, network namespaces.
//
// A shell of its own session holds the reading end of a pipe and is told the list of processes at each change. When this process is gone, by
// SIGKILL too, the pipe ends; the shell then kills what is on the last list and removes the folder and the namespaces.

import { spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const WATCH = `
while IFS= read -r line; do pids=$line; done
for pid in $pids; do kill -9 "$pid" 2>/dev/null; done
for try in 1 2 3 4 5; do rm -rf "$1" && break; sleep 0.2; done
for namespace in $(ls /run/netns 2>/dev/null | grep "^$2-"); do ip netns del "$namespace"; done
`;

interface Watch {
  readonly folder: string;
  readonly pipe: Socket;
  readonly pids: Set<number>;
}

let watch: Watch | undefined;

/** Network namespaces of this name and a hyphen go with this process. */
const NAMESPACES = `orch${process.pid}`;

function started(): Watch {
  if (watch !== undefined) return watch;
  const folder = mkdtempSync(join(tmpdir(), "orchestra-nats-"));
  const shell = spawn("/bin/sh", ["-c", WATCH, "watch", folder, NAMESPACES], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  shell.unref();
  // A pipe of a child process is a socket to Node.js; kept open, it must not keep this process alive.
  const pipe = shell.stdin as unknown as Socket;
  pipe.unref();
  watch = { folder, pipe, pids: new Set() };
  return watch;
}

/** A new folder, gone after this process at the latest. */
export function temporaryFolder(name: string): string {
  return mkdtempSync(join(started().folder, `${name}-`));
}

/** The name of a network namespace that is gone after this process at the latest. */
export function temporaryNamespace(name: string): string {
  started();
  return `${NAMESPACES}-${name}`;
}

/** Kills `pid` when this process is gone and it is still alive; call what is returned once it has ended, since numbers are used again. */
export function endWithUs(pid: number): () => void {
  const { pids, pipe } = started();
  const tell = () => pipe.write(`${[...pids].join(" ")}\n`);
  pids.add(pid);
  tell();
  return () => {
    pids.delete(pid);
    tell();
  };
}
