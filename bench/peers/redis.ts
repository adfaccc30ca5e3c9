// A redis-server of its own for each contender that needs one: on a socket in its folder, so that no port is taken.
//
// Taken from $REDIS_SERVER, else from $PATH, else, on Debian and its kin, from its packages unpacked into a cache.

import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { PeerMissing } from "../contender.ts";

const CACHE = fileURLToPath(new URL("node_modules/.cache/redis", import.meta.url));
const PACKAGES = ["redis-server", "redis-tools", "libjemalloc2", "liblzf1"];
const HOW = "redis-server is missing: apt-get install redis-server, or say where it is in $REDIS_SERVER";
const START_MS = 10_000;

interface Program {
  readonly path: string;
  readonly env: NodeJS.ProcessEnv;
}

function unpacked(): Program {
  const libraries = existsSync(join(CACHE, "usr/lib")) ? readdirSync(join(CACHE, "usr/lib")) : [];
  const path = libraries.map((name) => join(CACHE, "usr/lib", name)).join(delimiter);
  return { path: join(CACHE, "usr/bin/redis-server"), env: { ...process.env, LD_LIBRARY_PATH: path } };
}

function starts({ path, env }: Program): boolean {
  try {
    execFileSync(path, ["--version"], { env, stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function unpack(): void {
  mkdirSync(CACHE, { recursive: true });
  try {
    execFileSync("apt-get", ["download", ...PACKAGES], { cwd: CACHE, stdio: "ignore" });
    for (const name of readdirSync(CACHE).filter((entry) => entry.endsWith(".deb"))) {
      execFileSync("dpkg", ["-x", name, "."], { cwd: CACHE, stdio: "ignore" });
    }
  } catch {
    rmSync(CACHE, { recursive: true, force: true });
  }
}

let found: Program | undefined;

function program(): Program {
  if (found !== undefined) return found;
  const installed = { path: process.env.REDIS_SERVER ?? "redis-server", env: process.env };
  found = [installed, unpacked()].find(starts);
  if (found !== undefined) return found;
  unpack();
  if (!starts(unpacked())) throw new PeerMissing(HOW);
  found = unpacked();
  return found;
}

export interface Redis {
  /** The path of its socket. */
  readonly socket: string;
  close(): Promise<void>;
}

/**
 * With every command in its append-only file before it is answered: `fsync` waits until it is on disk, else it is
 * written and flushed once a second.
 *
 * @throws {PeerMissing} when there is no redis-server and none can be unpacked.
 */
export async function startRedis(folder: string, fsync: boolean): Promise<Redis> {
  const { path, env } = program();
  const socket = join(folder, "redis.sock");
  const options = {
    dir: folder,
    port: "0",
    unixsocket: socket,
    appendonly: "yes",
    appendfsync: fsync ? "always" : "everysec",
    save: "",
    "maxmemory-policy": "noeviction",
  };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  const child = spawn(path, args, { env, stdio: "ignore" });
  await listening(child, socket);
  return {
    socket,
    close: () =>
      new Promise((resolve) => {
        child.once("exit", () => resolve());
        child.kill();
      }),
  };
}

async function listening(child: ChildProcess, socket: string): Promise<void> {
  for (let waited = 0; waited < START_MS && child.exitCode === null; waited += 20) {
    if (existsSync(socket)) return;
    await sleep(20);
  }
  child.kill();
  throw new Error(`redis-server did not listen on ${socket} (exit code ${child.exitCode})`);
}
