// Pipelines, fan-outs and many sessions at a time: whole runs, everything in one process.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { expected, nameOf, stepsOf, type Contender, type Prepared, type Shape } from "./contender.ts";
import { attempt, complete, inRounds, type Measured } from "./rounds.ts";
import type { Outcome, Scenario, ScenarioOptions } from "./scenario.ts";
import { ratioOf, spreadOf, table, withSpread, type Spread } from "./statistics.ts";

const SHAPES: readonly Shape[] = [
  { kind: "pipeline", size: 10 },
  { kind: "fan-out", size: 10 },
  { kind: "fan-out", size: 100 },
  { kind: "fan-out", size: 1_000 },
  { kind: "sessions", size: 100 },
  { kind: "sessions", size: 1_000 },
];

/** A sample is as many runs as take about this long, so that a collection or two falls into each and none decides it. */
const SAMPLE_MS = 200;

/** Long enough for the engine to have compiled what runs often: a service is measured, not its first seconds. */
const WARM_UP_MS = 1_500;

/** Of shapes whose single run is long; the peers take seconds. */
const LONG_ROUNDS_MAX = 5;

/** Which two are told as a ratio, and why they may be compared: both keep the same. */
const PAIRS: readonly (readonly [string, string])[] = [
  ["langgraph", "orchestra-memory"],
  ["langgraph-memory", "orchestra-memory"],
  ["mastra", "orchestra-memory"],
  ["langgraph-sqlite-sync", "orchestra-process"],
  ["langgraph-sqlite-sync", "orchestra-disk"],
  ["mastra-libsql", "orchestra-process"],
  ["bullmq", "orchestra-process"],
  ["bullmq-one-job", "orchestra-process"],
  ["bullmq-fsync", "orchestra-disk"],
  ["bullmq-one-job-fsync", "orchestra-disk"],
  ["restate", "orchestra-disk"],
  ["orchestra-process", "level"],
  ["orchestra-disk", "level-fsync"],
  ["orchestra-memory", "xstate"],
  ["bullmq", "orchestra-nats-1"],
  ["bullmq-one-job", "orchestra-nats-1"],
  ["bullmq-fsync", "orchestra-nats-1-sync"],
  ["bullmq-one-job-fsync", "orchestra-nats-1-sync"],
  ["restate", "orchestra-nats-1-sync"],
  ["restate", "orchestra-nats-3-sync"],
];

/** Where what runs beside each other are clusters, or could be. */
const CLUSTER_SHAPES: readonly Shape[] = [
  { kind: "pipeline", size: 10 },
  { kind: "sessions", size: 100 },
];

async function timed(prepared: Prepared, shape: Shape, repeats: number): Promise<number> {
  const started = performance.now();
  for (let i = 0; i < repeats; i++) {
    const value = await prepared.run();
    if (value !== expected(shape)) throw new Error(`${nameOf(shape)} gave ${value}, expected ${expected(shape)}`);
  }
  return (performance.now() - started) / repeats;
}

interface Ready {
  readonly prepared: Prepared;
  /** Runs that make a sample. */
  readonly repeats: number;
}

async function warmUp(contender: Contender, shape: Shape, folder: string): Promise<Ready> {
  mkdirSync(folder, { recursive: true });
  const prepared = await contender.prepare(shape, folder);
  try {
    let msPerRun = await timed(prepared, shape, 1);
    const until = performance.now() + WARM_UP_MS;
    while (performance.now() < until) msPerRun = await timed(prepared, shape, 1);
    return { prepared, repeats: Math.max(1, Math.round(SAMPLE_MS / msPerRun)) };
  } catch (error) {
    await prepared.close();
    throw error;
  }
}

async function measure(
  title: string,
  shape: Shape,
  contenders: readonly Contender[],
  options: ScenarioOptions,
): Promise<Outcome> {
  const ready = new Map<string, Ready>();
  const all: Measured<number>[] = [];
  for (const contender of contenders) {
    const measured: Measured<number> = { id: contender.id, name: contender.name, samples: [] };
    all.push(measured);
    const own = join(options.folder, `${shape.kind}-${shape.size}`, contender.id);
    await attempt(measured, async () => void ready.set(contender.id, await warmUp(contender, shape, own)));
  }
  await inRounds(title, options.rounds, all, (id) => {
    const one = ready.get(id);
    if (one === undefined) throw new TypeError(`${id} is not prepared`);
    return timed(one.prepared, shape, one.repeats);
  });
  for (const { prepared } of ready.values()) await prepared.close();
  return report(title, shape, contenders, all, options.rounds);
}

function report(
  title: string,
  shape: Shape,
  contenders: readonly Contender[],
  all: readonly Measured<number>[],
  rounds: number,
): Outcome {
  const figures: Record<string, Spread> = {};
  const many = shape.kind === "sessions";
  const perSecond = (count: number, ms: number): string => Math.round((count / ms) * 1_000).toLocaleString("en");
  const rows = all.map(({ id, name, samples, problem }) => {
    const keeps = contenders.find((one) => one.id === id)?.keeps ?? "";
    if (problem !== undefined) return [name, problem, "", ...(many ? [""] : []), keeps];
    const spread = spreadOf(samples);
    figures[`${title}: ${id}`] = spread;
    const sessions = many ? [perSecond(shape.size, spread.median)] : [];
    return [name, withSpread(spread), ...sessions, perSecond(stepsOf(shape), spread.median), keeps];
  });
  const ratios = PAIRS.flatMap(([slow, fast]) => {
    const a = complete(all, slow, rounds);
    const b = complete(all, fast, rounds);
    if (a === undefined || b === undefined) return [];
    const ratio = ratioOf(a, b);
    figures[`${title}: ${slow} / ${fast}`] = ratio;
    return [[`${slow} / ${fast}`, withSpread(ratio, "×")]];
  });
  const head = ["", "ms per run", ...(many ? ["sessions/s"] : []), "steps/s", "what is kept"];
  const parts = [`Milliseconds per run over ${rounds} rounds: median (min–max).`, table(head, rows)];
  if (ratios.length > 0) parts.push(table(["time of one over time of the other, per round", "ratio"], ratios));
  return {
    markdown: parts.join("\n\n"),
    figures,
    samples: all,
    failed: all.some(({ failed }) => failed === true),
  };
}

export function shapeScenarios(contenders: readonly Contender[]): Scenario[] {
  return SHAPES.map((shape) => scenarioOf(nameOf(shape), shape, contenders));
}

/** What keeps steps on servers beside, in one run. */
export function clusterShapeScenarios(contenders: readonly Contender[]): Scenario[] {
  return CLUSTER_SHAPES.map((shape) => scenarioOf(`cluster: ${nameOf(shape)}`, shape, contenders));
}

function scenarioOf(name: string, shape: Shape, contenders: readonly Contender[]): Scenario {
  const able = contenders.filter(({ without }) => without?.includes(shape.kind) !== true);
  const isLong = shape.size >= 1_000;
  return {
    name,
    ids: able.map(({ id }) => id),
    slow: isLong,
    run(options) {
      return measure(
        name,
        shape,
        able.filter(({ id }) => options.isWanted(id)),
        isLong ? { ...options, rounds: Math.min(options.rounds, LONG_ROUNDS_MAX) } : options,
      );
    },
  };
}
