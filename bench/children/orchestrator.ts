// node orchestrator.ts <awaits|computes> <memory|disk> <runs>: starts runs while an agent of the first is busy all the time.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setImmediate as turn, setTimeout as sleep } from "node:timers/promises";
import { LevelStorage, StateManager } from "orchestra";
import { createOrchestrator, type IterationTask, type RunHandle } from "orchestra/orchestrator";
import { LoopWatch, type WatchedGaps } from "./loop-watch.ts";

export interface StartCosts {
  /** How long the calls of `startRun` took. */
  readonly startMs: readonly number[];
  /** From the call to the run's first event in the hands of a subscriber. */
  readonly firstEventMs: readonly number[];
  readonly gaps: WatchedGaps;
  readonly stretchMs: number;
}

const STRETCH_MS = 100;
const BETWEEN_MS = 5;
const FIRST = "until told";

const [kind = "", storage = "", count = 0] = process.argv.slice(2).map((arg, i) => (i === 2 ? Number(arg) : arg));
const folder = mkdtempSync(join(tmpdir(), "orchestra-start-"));
let isOver = false;

function compute(ms: number): number {
  const end = performance.now() + ms;
  let sum = 0;
  while (performance.now() < end) sum += Math.sqrt(sum + 1);
  return sum;
}

/** A stretch on the loop, or of waiting; the first run's agent goes on until all that is measured has been measured. */
async function busy({ description }: IterationTask): Promise<string> {
  do {
    if (kind === "computes") compute(STRETCH_MS);
    await (kind === "computes" ? turn() : sleep(STRETCH_MS));
  } while (description === FIRST && !isOver);
  return "done";
}

await using orchestrator = createOrchestrator({
  agents: { Busy: busy },
  ...(storage === "disk"
    ? { stateManager: new StateManager({ storage: new LevelStorage(join(folder, "runs")) }) }
    : {}),
});

function started(description: string): { handle: RunHandle; startMs: number; beganMs: number } {
  const beganMs = performance.now();
  const handle = orchestrator.startRun({ description });
  return { handle, startMs: performance.now() - beganMs, beganMs };
}

async function firstEvent(runId: string): Promise<void> {
  for await (const _event of orchestrator.subscribeRunEvents(runId)) return;
}

const watch = await LoopWatch.start();
const startMs: number[] = [];
const firstEventMs: number[] = [];
const handles: RunHandle[] = [];
for (let i = 0; i < Number(count); i++) {
  // The first call of a process counts, too: it loads what the others find loaded.
  const one = started(i === 0 ? FIRST : "once");
  handles.push(one.handle);
  startMs.push(one.startMs);
  await firstEvent(one.handle.runId);
  firstEventMs.push(performance.now() - one.beganMs);
  await sleep(BETWEEN_MS);
}
const gaps = await watch.lap();
isOver = true;
const results = await Promise.all(handles.map(({ result }) => result));
watch.stop();
await orchestrator.close();
rmSync(folder, { recursive: true, force: true });
if (results.some(({ reason }) => reason !== "converged")) throw new Error("a run did not end as it should");
const costs: StartCosts = { startMs, firstEventMs, gaps, stretchMs: STRETCH_MS };
console.log(JSON.stringify(costs));
