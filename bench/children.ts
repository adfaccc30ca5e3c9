// Scenarios that need a process of their own per measurement: memory, bytes written, cold starts.

import { execFile } from "node:child_process";
import { symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const TIMEOUT_MS = 30 * 60_000;
const run = promisify(execFile);

/** Runs `children/<file>` and reads the JSON of the last line it prints. `runsMs`: how long it is meant to run. */
export async function runChild<T>(
  file: string,
  args: readonly string[],
  flags: readonly string[] = [],
  runsMs = 0,
): Promise<T> {
  const path = file.endsWith(".ts") ? await compiledChild(file) : `children/${file}`;
  const { stdout } = await run(process.execPath, [...flags, fileURLToPath(new URL(path, import.meta.url)), ...args], {
    cwd: ROOT,
    timeout: runsMs + TIMEOUT_MS,
    killSignal: "SIGKILL",
    maxBuffer: 64 * 1024 * 1024,
  });
  return JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "") as T;
}

let compiling: Promise<unknown> | undefined;

/** The file as plain JavaScript: a loader of TypeScript takes tens of megabytes of the process that is measured. */
export async function compiledChild(file: string): Promise<string> {
  await (compiling ??= compileAll());
  return `built/children/${file.replace(/\.ts$/, ".js")}`;
}

async function compileAll(): Promise<void> {
  const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");
  await run(process.execPath, [tsc, "-p", "bench/tsconfig.children.json"], { cwd: ROOT });
  // What the peers import is found beside them.
  const peers = fileURLToPath(new URL("peers/node_modules", import.meta.url));
  try {
    symlinkSync(peers, fileURLToPath(new URL("built/peers/node_modules", import.meta.url)), "junction");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}
