// node --expose-gc heap.ts <contender> <count>: has `count` sessions (threads, actors) wait, and prints what each holds.

import { setTimeout as sleep } from "node:timers/promises";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Makes `count` more wait, and resolves when all of them do. */
export type Hold = (count: number) => Promise<void>;
export type CreateHold = (folder: string) => Hold;

export interface HeapCost {
  readonly heapBytesEach: number;
  /** With what the process itself, the engine's free space and the code take. */
  readonly rssBytes: number;
}

const CREATORS: Readonly<Record<string, () => Promise<CreateHold>>> = {
  "orchestra-live": async () => (await import("./heap-orchestra.ts")).live(),
  "orchestra-live-process": async () => (await import("./heap-orchestra.ts")).live("process"),
  "orchestra-awaiting-user-memory": async () => (await import("./heap-orchestra.ts")).awaitingUser(),
  "orchestra-awaiting-user": async () => (await import("./heap-orchestra.ts")).awaitingUser("process"),
  "orchestra-paused": async () => (await import("./heap-orchestra.ts")).paused("process"),
  xstate: async () => (await import("./heap-xstate.ts")).waiting,
  "langgraph-live": async () => (await import("../peers/langgraph-heap.ts")).live,
  "langgraph-interrupted": async () => (await import("../peers/langgraph-heap.ts")).interrupted,
};

/** What is made once, and what the engine compiles, does not count as anybody's. */
const WARM_UP = 200;

async function collected(): Promise<NodeJS.MemoryUsage> {
  if (globalThis.gc === undefined) throw new TypeError("start with --expose-gc");
  for (let i = 0; i < 4; i++) {
    globalThis.gc();
    await sleep(50);
  }
  return process.memoryUsage();
}

const [id = "", count] = process.argv.slice(2);
const creator = CREATORS[id];
if (creator === undefined) throw new Error(`no such contender: ${id}`);
const folder = mkdtempSync(join(tmpdir(), "orchestra-heap-"));
const hold = (await creator())(folder);
await hold(WARM_UP);
const before = await collected();
// Those of the warm-up wait too: `count` in all, which is as many as one host takes by default.
const more = Number(count) - WARM_UP;
await hold(more);
const after = await collected();
const cost: HeapCost = { heapBytesEach: (after.heapUsed - before.heapUsed) / more, rssBytes: after.rss };
console.log(JSON.stringify(cost));
rmSync(folder, { recursive: true, force: true });
// What waits would keep the process; ending it all is not what is measured.
process.exit(0);
