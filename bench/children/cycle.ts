// node cycle.ts <contender> <steps> <bytes of state> <folder>: goes round a cycle of one agent and prints what it cost.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { bytesWritten, folderSize, type BytesWritten } from "./bytes-written.ts";
import { createTexts } from "./cycle-state.ts";

export interface Cycle {
  /** Goes round `steps` times in a new session; resolves with the count the state ends with. */
  run(steps: number, onStep: () => void): Promise<number>;
  close(): Promise<void>;
}

export type OpenCycle = (folder: string, textOf: (count: number) => string) => Promise<Cycle>;

export interface CycleCost {
  /** Microseconds per step in the first tenth of the steps, the second, … */
  readonly windows: readonly number[];
  /** From opening to closed, so that compaction under way counts; per step. */
  readonly writtenPerStep: BytesWritten;
  readonly folderBytesPerStep: number;
}

const OPENERS: Readonly<Record<string, () => Promise<OpenCycle>>> = {
  "orchestra-memory": async () => (await import("./cycle-orchestra.ts")).openMemory,
  "orchestra-process": async () => (await import("./cycle-orchestra.ts")).openProcess,
  "orchestra-disk": async () => (await import("./cycle-orchestra.ts")).openDisk,
  level: async () => (await import("./cycle-level.ts")).openLevel,
  "langgraph-sqlite": async () => (await import("../peers/langgraph-cycle.ts")).openSqlite,
};

const WINDOWS = 10;
/** Enough for the engine to have compiled everything, or the first window looks dear and growth stays hidden. */
const WARM_UP_STEPS = 5_000;

async function goRound(cycle: Cycle, steps: number, onStep: () => void): Promise<void> {
  const count = await cycle.run(steps, onStep);
  if (count !== steps) throw new Error(`the cycle ended at ${count}, expected ${steps}`);
}

async function measure(open: OpenCycle, steps: number, stateBytes: number, folder: string): Promise<CycleCost> {
  const textOf = createTexts(stateBytes);
  const folderOf = (name: string): string => {
    mkdirSync(join(folder, name), { recursive: true });
    return join(folder, name);
  };
  const warmUp = await open(folderOf("warm-up"), textOf);
  await goRound(warmUp, Math.min(steps, WARM_UP_STEPS), () => undefined);
  await warmUp.close();

  const before = bytesWritten();
  const cycle = await open(folderOf("measured"), textOf);
  const perWindow = Math.max(1, Math.floor(steps / WINDOWS));
  const marks = [performance.now()];
  let done = 0;
  await goRound(cycle, steps, () => {
    if (++done % perWindow === 0) marks.push(performance.now());
  });
  await cycle.close();
  const after = bytesWritten();
  return {
    windows: marks.slice(1).map((mark, i) => ((mark - (marks[i] ?? Number.NaN)) * 1_000) / perWindow),
    writtenPerStep: {
      handedOver: (after.handedOver - before.handedOver) / steps,
      toDevice: (after.toDevice - before.toDevice) / steps,
    },
    folderBytesPerStep: (await folderSize(folderOf("measured"))) / steps,
  };
}

const [id = "", steps, stateBytes, folder = ""] = process.argv.slice(2);
const opener = OPENERS[id];
if (opener === undefined) throw new Error(`no such contender: ${id}`);
console.log(JSON.stringify(await measure(await opener(), Number(steps), Number(stateBytes), folder)));
