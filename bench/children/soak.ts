// node --expose-gc soak.ts <durability> <minutes> <folder>: runs sessions of three kinds until the time is over.

import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { LevelStorage, next, OrchestraInstance, StateManager, type OrchestraResult } from "orchestra";

export interface SoakSample {
  readonly minute: number;
  readonly sessions: number;
  /** After a forced collection, with no session under way. */
  readonly heapBytes: number;
  readonly rssBytes: number;
}

const AT_A_TIME = 50;
const SAMPLES = 100;

const [durability, minutes, folder = ""] = process.argv.slice(2);
const instance = new OrchestraInstance({
  topology: { nodes: ["First", "A", "B", "Join"], edges: ["First -> A", "First -> B", "A -> Join", "B -> Join"] },
  agents: {
    First: (input: unknown) => input,
    A: ({ kind }: { kind: number }) => (kind === 1 ? next.fail("on purpose") : kind),
    B: ({ kind }: { kind: number }) => (kind === 2 ? next.ask("Shall it go on?") : kind),
    Join: (arrivals: unknown) => arrivals,
  },
  stateManager: new StateManager({
    storage: new LevelStorage(folder, { durability: durability === "disk" ? "disk" : "process" }),
  }),
});
/** One in three completes, one fails, one waits for its user and is deleted. */
const ENDS: readonly OrchestraResult["status"][] = ["completed", "failed", "awaiting_user"];

async function runOne(kind: number): Promise<void> {
  const result = await instance.execute({ task: { kind } });
  if (result.status !== ENDS[kind]) throw new Error(`a session is ${result.status}, expected ${ENDS[kind]}`);
  if (result.status === "awaiting_user") await instance.cancelSession(result.sessionId, "soak");
  await instance.deleteSession(result.sessionId);
}

async function collected(): Promise<NodeJS.MemoryUsage> {
  if (globalThis.gc === undefined) throw new TypeError("start with --expose-gc");
  for (let i = 0; i < 3; i++) {
    globalThis.gc();
    await sleep(20);
  }
  return process.memoryUsage();
}

const began = performance.now();
const totalMs = Number(minutes) * 60_000;
const samples: SoakSample[] = [];
let sessions = 0;
while (performance.now() - began < totalMs) {
  const until = began + (totalMs / SAMPLES) * (samples.length + 1);
  do {
    await Promise.all(Array.from({ length: AT_A_TIME }, (_, i) => runOne((sessions + i) % ENDS.length)));
    sessions += AT_A_TIME;
  } while (performance.now() < until);
  const { heapUsed, rss } = await collected();
  samples.push({ minute: (performance.now() - began) / 60_000, sessions, heapBytes: heapUsed, rssBytes: rss });
}
await instance.close();
console.log(JSON.stringify(samples));
