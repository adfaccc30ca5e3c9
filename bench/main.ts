// Runs everything that is compared in one process, interleaved: round 1 takes A, B, C, round 2 B, C, A, and so on, so
// that a slow minute of the machine falls on all of them. README.md says how to read the figures.

import { setMaxListeners } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { expected, nameOf, stepsOf, type Contender, type Prepared, type Shape } from "./contender.ts";
import { floorContenders } from "./floors.ts";
import { describeMachine } from "./machine.ts";
import { orchestraContenders } from "./orchestra.ts";
import { langgraphContenders } from "./peers/langgraph.ts";
import { spreadOf, table, withSpread } from "./statistics.ts";

const USAGE = `npm run bench -- [options]
  --quick            3 rounds instead of 15, no fan-out of 1,000
  --rounds <n>       rounds to run
  --only <text,…>    only contenders whose id contains one of the texts
  --shape <text,…>   only shapes whose name contains one of the texts ("pipeline", "fan-out of 100")
  --json             print JSON instead of Markdown
  --list             print the ids and stop
  --no-build         measure dist/ as it stands
The files are written under $TMPDIR: point it at the disk that is to be measured.`;

const SHAPES: readonly Shape[] = [
  { kind: "pipeline", size: 10 },
  { kind: "fan-out", size: 10 },
  { kind: "fan-out", size: 100 },
  { kind: "fan-out", size: 1_000 },
];

/** A sample is as many runs as take about this long, so that a collection or two falls into each and none decides it. */
const SAMPLE_MS = 200;

/** Which two are told as a ratio, and why they may be compared. */
const PAIRS: readonly (readonly [string, string])[] = [
  ["langgraph", "orchestra-memory"],
  ["langgraph-memory", "orchestra-memory"],
  ["langgraph-sqlite-sync", "orchestra-process"],
  ["langgraph-sqlite-sync", "orchestra-disk"],
  ["orchestra-process", "level"],
  ["orchestra-disk", "level-fsync"],
  ["orchestra-memory", "xstate"],
];

/** Long enough for the engine to have compiled what runs often: a service is measured, not its first seconds. */
const WARM_UP_MS = 1_500;

interface Samples {
  readonly shape: string;
  readonly id: string;
  readonly name: string;
  readonly keeps: string;
  /** Agent invocations of one run. */
  readonly steps: number;
  /** One per round. */
  readonly msPerRun: number[];
  failure?: string;
}

async function timed(prepared: Prepared, shape: Shape, repeats: number): Promise<number> {
  const started = performance.now();
  for (let i = 0; i < repeats; i++) {
    const value = await prepared.run();
    if (value !== expected(shape)) throw new Error(`${nameOf(shape)} gave ${value}, expected ${expected(shape)}`);
  }
  return (performance.now() - started) / repeats;
}

async function measureShape(
  shape: Shape,
  contenders: readonly Contender[],
  rounds: number,
  folder: string,
): Promise<Samples[]> {
  const entries: { samples: Samples; prepared?: Prepared; repeats: number }[] = [];
  for (const contender of contenders) {
    const { id, name, keeps } = contender;
    const entry: (typeof entries)[number] = {
      samples: { shape: nameOf(shape), id, name, keeps, steps: stepsOf(shape), msPerRun: [] },
      repeats: 1,
    };
    entries.push(entry);
    await attempt(entry.samples, async () => {
      const own = join(folder, `${shape.kind}-${shape.size}`, id);
      mkdirSync(own, { recursive: true });
      entry.prepared = await contender.prepare(shape, own);
      const until = performance.now() + WARM_UP_MS;
      let msPerRun = 0;
      while (performance.now() < until) msPerRun = await timed(entry.prepared, shape, 1);
      entry.repeats = Math.max(1, Math.round(SAMPLE_MS / msPerRun));
    });
  }
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < entries.length; i++) {
      const { samples, prepared, repeats = 1 } = entries[(i + round) % entries.length] ?? {};
      if (samples === undefined || prepared === undefined || samples.failure !== undefined) continue;
      await attempt(samples, async () => void samples.msPerRun.push(await timed(prepared, shape, repeats)));
    }
    process.stderr.write(`\r${nameOf(shape)}: round ${round + 1} of ${rounds}   `);
  }
  process.stderr.write("\n");
  for (const { prepared } of entries) await prepared?.close();
  return entries.map(({ samples }) => samples);
}

/** A contender that fails is named in the result; the others are still measured. */
async function attempt(samples: Samples, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    samples.failure = error instanceof Error ? error.message : String(error);
    process.stderr.write(`\n${samples.id}: ${samples.failure}\n`);
  }
}

function report(all: readonly Samples[], rounds: number, machine: string): string {
  const parts = [`${rounds} rounds, interleaved; milliseconds per run: median (min–max).\n\n${machine}`];
  for (const shape of new Set(all.map((one) => one.shape))) {
    const ofShape = all.filter((one) => one.shape === shape);
    const rows = ofShape.map((one) => {
      if (one.failure !== undefined) return [one.name, one.failure, "", one.keeps];
      const spread = spreadOf(one.msPerRun);
      return [
        one.name,
        withSpread(spread),
        Math.round((one.steps / spread.median) * 1_000).toLocaleString("en"),
        one.keeps,
      ];
    });
    parts.push(`### ${shape}\n\n${table(["", "ms per run", "steps/s", "what is kept"], rows)}`);
    const ratios = PAIRS.flatMap(([slow, fast]) => {
      const a = ofShape.find((one) => one.id === slow)?.msPerRun ?? [];
      const b = ofShape.find((one) => one.id === fast)?.msPerRun ?? [];
      if (a.length !== rounds || b.length !== rounds) return [];
      return [[`${slow} / ${fast}`, withSpread(spreadOf(a.map((ms, round) => ms / (b[round] ?? Number.NaN))), "×")]];
    });
    if (ratios.length > 0) parts.push(table(["time of one over time of the other, per round", "ratio"], ratios));
  }
  parts.push(
    "Not measured: model calls and tools (they take seconds; everything here is milliseconds), memory, start-up, recovery,\n" +
      "large values, several sessions at once, a network. The agents add 1. Files that grow over the rounds slow all alike.",
  );
  return parts.join("\n\n");
}

// LangGraph.js puts one abort listener per node on one signal; Node.js would warn on every run, and the warning costs time.
setMaxListeners(0);

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    only: { type: "string" },
    shape: { type: "string" },
    json: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
    "no-build": { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

function matching<T>(items: readonly T[], text: string | undefined, nameOfItem: (item: T) => string): T[] {
  const parts = text?.split(",").map((part) => part.trim());
  return items.filter((item) => parts === undefined || parts.some((part) => nameOfItem(item).includes(part)));
}

const everyone = [...orchestraContenders, ...langgraphContenders, ...floorContenders];

if (options.help) console.log(USAGE);
else if (options.list) console.log(everyone.map(({ id, name }) => `${id}\t${name}`).join("\n"));
else {
  const rounds = options.rounds === undefined ? (options.quick ? 3 : 15) : Number(options.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds: expected a whole number above 0`);
  const shapes = matching(SHAPES, options.shape, nameOf).filter((shape) => !options.quick || shape.size < 1_000);
  const contenders = matching(everyone, options.only, ({ id }) => id);
  const folder = mkdtempSync(join(tmpdir(), "orchestra-bench-"));
  try {
    const machine = describeMachine(folder);
    const all: Samples[] = [];
    for (const shape of shapes) all.push(...(await measureShape(shape, contenders, rounds, folder)));
    console.log(
      options.json ? JSON.stringify({ rounds, machine, samples: all }, null, 2) : report(all, rounds, machine),
    );
    if (all.some(({ failure }) => failure !== undefined)) process.exitCode = 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
