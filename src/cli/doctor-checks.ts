// Doctor's checks: what orchestra stands on, each looked at by itself. A check reports, it never throws.

import { mkdtemp, open, rm, stat, statfs } from "node:fs/promises";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { performance } from "node:perf_hooks";

import { connectControl } from "../control/index.ts";
import { isOrchestraError, LevelStorage, StateManager } from "../index.ts";
import { byteCount } from "./byte-count.ts";
import { requireOfPackage, versionOf } from "./package-version.ts";
import { untilFree } from "./store-access.ts";

export interface Finding {
  readonly name: string;
  /** `note`: worth knowing, nothing to be mended. */
  readonly verdict: "ok" | "note" | "wrong";
  readonly found: string;
  /** What to do about it; of what is wrong always. */
  readonly cure?: string;
}

const PARTS = ["level", "classic-level", "xstate", "zod", "commander", "jiti", "pino", "yaml"] as const;

export function nodeVersion(): Finding {
  const { engines } = createRequire(import.meta.url)("../../package.json") as { engines: { node: string } };
  const found = `${process.version} on ${process.platform} ${process.arch}`;
  if (isAtLeast(process.versions.node, engines.node)) return { name: "node", verdict: "ok", found };
  return { name: "node", verdict: "wrong", found, cure: `install Node.js ${engines.node} (https://nodejs.org)` };
}

export function isAtLeast(version: string, range: string): boolean {
  const [have, want] = [version, range.replace(/^>=\s*/, "")].map((text) => text.split(".").map(Number));
  for (let i = 0; i < 3; i++) {
    const difference = (have?.[i] ?? 0) - (want?.[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

export function versions(): Finding {
  const parts = PARTS.map((name) => ({ name, version: versionOf(name) }));
  const missing = parts.filter(({ version }) => version === undefined).map(({ name }) => name);
  const found = [
    `orchestra ${versionOf("orchestra")}`,
    ...parts.map(({ name, version }) => `${name} ${version ?? "–"}`),
  ];
  return missing.length === 0
    ? { name: "versions", verdict: "ok", found: found.join(", ") }
    : {
        name: "versions",
        verdict: "wrong",
        found: `not installed: ${missing.join(", ")}`,
        cure: "install the package's dependencies: npm ci, or npm install orchestra",
      };
}

/** LevelDB, by opening a store with it. */
export async function levelDb(): Promise<Finding> {
  const name = "classic-level";
  const folder = await mkdtemp(join(tmpdir(), "orchestra-doctor-"));
  try {
    requireOfPackage("level")("classic-level");
    const storage = new LevelStorage(join(folder, "store"));
    await storage.open();
    await storage.close();
    return { name, verdict: "ok", found: "loads, and opens a store" };
  } catch (error) {
    const { message } = error as Error;
    return {
      name,
      verdict: "wrong",
      found: message.split("\n")[0] ?? message,
      cure: `its native part is built for each platform: run "npm rebuild classic-level" here, on ${process.platform} ${process.arch}, rather than copy node_modules from elsewhere`,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** hnswlib-node is a choice: without it a memory looks at every entry, which takes longer where there are many. */
export function hnswlib(): Finding {
  const name = "hnswlib-node";
  const load = createRequire(import.meta.url);
  const instead = "memories search exactly without it, which takes longer in scopes of more than some thousand entries";
  try {
    load.resolve(name);
  } catch {
    return {
      name,
      verdict: "note",
      found: `not installed; ${instead}`,
      cure: "for large memories: npm install hnswlib-node",
    };
  }
  try {
    load(name);
    return { name, verdict: "ok", found: "loads" };
  } catch (error) {
    const [why = ""] = (error as Error).message.split("\n");
    return {
      name,
      verdict: "note",
      found: `does not load: ${why}; ${instead}`,
      cure: "its native part is built for each platform: npm rebuild hnswlib-node",
    };
  }
}

const FREE_BYTES_MIN = 200 * 1024 * 1024;

export async function diskFree(folder: string): Promise<Finding> {
  const place = nearest(folder);
  const { bavail, bsize } = await statfs(place);
  const free = bavail * bsize;
  const found = `${byteCount(free)} free at ${place}`;
  return free >= FREE_BYTES_MIN
    ? { name: "disk", verdict: "ok", found }
    : {
        name: "disk",
        verdict: "wrong",
        found,
        cure: `make room: below ${byteCount(FREE_BYTES_MIN)} a store may come to refuse what is written (ORCH_STORE_FAILED)`,
      };
}

const FSYNCS = 20;
const FSYNC_SLOW_MS = 50;

/** Of a file beside the store's own: 4 KiB are written and made durable, twenty times. */
export async function fsyncCost(folder: string): Promise<Finding> {
  const place = nearest(folder);
  const file = join(place, `orchestra-doctor-${process.pid}.tmp`);
  try {
    const handle = await open(file, "w", 0o600);
    const took: number[] = [];
    try {
      const block = Buffer.alloc(4096, 1);
      for (let i = 0; i < FSYNCS; i++) {
        const begun = performance.now();
        await handle.write(block);
        await handle.datasync();
        took.push(performance.now() - begun);
      }
    } finally {
      await handle.close();
    }
    took.sort((a, b) => a - b);
    const [median, worst] = [took[Math.floor(FSYNCS / 2)] ?? 0, took.at(-1) ?? 0];
    const found = `${median.toFixed(2)} ms median, ${worst.toFixed(2)} ms worst of ${FSYNCS} at ${place}`;
    if (median <= FSYNC_SLOW_MS) return { name: "fsync", verdict: "ok", found };
    return {
      name: "fsync",
      verdict: "note",
      found,
      cure: `each step waits for one: use a faster disk, or durability "process" where loss of power may cost the last commits`,
    };
  } catch (error) {
    return {
      name: "fsync",
      verdict: "wrong",
      found: (error as Error).message,
      cure: `let this user write in ${place}`,
    };
  } finally {
    await rm(file, { force: true }).catch(() => undefined);
  }
}

/** The store itself: that it opens, or who has it. */
export async function storeState(folder: string): Promise<Finding> {
  const name = "store";
  if (!existsSync(folder)) return { name, verdict: "note", found: `there is none in ${folder} yet; a run makes it` };
  if (!(await stat(folder)).isDirectory())
    return { name, verdict: "wrong", found: `${folder} is a file`, cure: "name a folder with --store DIR" };
  // A folder of something else is not made into a store by looking at it.
  if (!existsSync(join(folder, "CURRENT")))
    return { name, verdict: "note", found: `${folder} holds no store yet; a run makes it` };
  try {
    await using client = await connectControl(folder);
    if (client !== null) return { name, verdict: "ok", found: `open in process ${client.pid}, which serves it` };
    return await untilFree(async () => {
      const { sessions, commits, bytes: size } = await new StateManager({ storage: new LevelStorage(folder) }).stats();
      return {
        name,
        verdict: "ok",
        found: `opens; ${sessions} sessions, ${commits} commits, ${byteCount(size)}`,
      } as const;
    });
  } catch (error) {
    const { message } = error as Error;
    if (isOrchestraError(error, "ORCH_STORE_LOCKED"))
      return { name, verdict: "note", found: message, cure: "wait for that process, or stop it" };
    const code = isOrchestraError(error) ? error.code : "";
    return {
      name,
      verdict: "wrong",
      found: `${code} ${message}`.trim(),
      cure: `see docs/errors.md#${code.toLowerCase()}`,
    };
  }
}

/** The folder, or where it would be made. */
function nearest(folder: string): string {
  return existsSync(folder) || dirname(folder) === folder ? folder : nearest(dirname(folder));
}
