// Scenarios that need a process of their own per measurement: memory, bytes written, cold starts.

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const TIMEOUT_MS = 30 * 60_000;

/** Runs `children/<file>` and reads the JSON of the last line it prints. */
export async function runChild<T>(file: string, args: readonly string[], flags: readonly string[] = []): Promise<T> {
  const path = fileURLToPath(new URL(`children/${file}`, import.meta.url));
  const loader = file.endsWith(".ts") ? ["--import", "jiti/register"] : [];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, ...loader, path, ...args], {
    cwd: ROOT,
    timeout: TIMEOUT_MS,
    killSignal: "SIGKILL",
    maxBuffer: 64 * 1024 * 1024,
  });
  return JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "") as T;
}
