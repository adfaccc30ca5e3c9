// A cycle of one agent that hands its state to itself: what a step costs as the run gets long, and what it writes.

import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { runChild } from "./children.ts";
import type { CycleCost } from "./children/cycle.ts";
import { complete, inRounds, type Measured } from "./rounds.ts";
import type { Outcome, Scenario, ScenarioOptions } from "./scenario.ts";
import { ratioOf, spreadOf, table, withSpread, type Spread } from "./statistics.ts";

interface Contender {
  readonly id: string;
  readonly name: string;
  readonly steps: number;
}

const STEPS = 10_000;
/** LangGraph.js takes a millisecond a step and more; it is given fewer. fsync likewise. */
const FEWER_STEPS = 2_000;
const ROUNDS_MAX = 5;

const CONTENDERS: readonly Contender[] = [
  { id: "orchestra-memory", name: "Orchestra, in memory", steps: STEPS },
  { id: "orchestra-process", name: "Orchestra, LevelDB, `process`", steps: STEPS },
  { id: "orchestra-disk", name: "Orchestra, LevelDB, `disk`", steps: FEWER_STEPS },
  { id: "langgraph-sqlite", name: 'LangGraph.js, SqliteSaver, durability "sync"', steps: FEWER_STEPS },
  { id: "level", name: "LevelDB alone, the same values, one put per step", steps: STEPS },
];

const SIZES: readonly { readonly title: string; readonly bytes: number }[] = [
  { title: "small state", bytes: 0 },
  { title: "10 kB", bytes: 10_000 },
];

/** The last tenth of the steps beside the first, microseconds per step. */
function growthOf({ windows }: CycleCost): number {
  return (windows.at(-1) ?? Number.NaN) / (windows[0] ?? Number.NaN);
}

async function measure(title: string, bytes: number, options: ScenarioOptions): Promise<Outcome> {
  const rounds = Math.min(options.rounds, ROUNDS_MAX);
  const contenders = CONTENDERS.filter(({ id }) => options.isWanted(id));
  const all: Measured<CycleCost>[] = contenders.map(({ id, name }) => ({ id, name, samples: [] }));
  const stepsOf = (id: string): number => {
    const steps = contenders.find((one) => one.id === id)?.steps ?? 0;
    return options.quick ? steps / 10 : steps;
  };
  await inRounds(`cycle, ${title}`, rounds, all, async (id) => {
    const folder = mkdtempSync(join(options.folder, "cycle-"));
    try {
      return await runChild<CycleCost>("cycle.ts", [id, String(stepsOf(id)), String(bytes), folder]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  const figures: Record<string, Spread> = {};
  const note = (text: string, values: readonly number[]): Spread =>
    (figures[`cycle, ${title}: ${text}`] = spreadOf(values));
  const rows = all.map(({ id, name, samples, problem }) => {
    if (problem !== undefined) return [name, problem, "", "", "", "", ""];
    const usPerStep = samples.map(({ windows }) => windows.reduce((sum, us) => sum + us, 0) / windows.length);
    return [
      name,
      stepsOf(id).toLocaleString("en"),
      withSpread(note(`${id}, µs per step`, usPerStep)),
      withSpread(note(`${id}, last / first tenth`, samples.map(growthOf)), "×"),
      withSpread(
        note(
          `${id}, bytes per step`,
          samples.map((one) => one.writtenPerStep.handedOver),
        ),
      ),
      withSpread(spreadOf(samples.map((one) => one.writtenPerStep.toDevice))),
      withSpread(spreadOf(samples.map((one) => one.folderBytesPerStep))),
    ];
  });
  const ratios = [
    ["orchestra-process", "level"],
    ["langgraph-sqlite", "orchestra-process"],
  ].flatMap(([a = "", b = ""]) => {
    const left = complete(all, a, rounds)?.map((one) => one.writtenPerStep.handedOver);
    const right = complete(all, b, rounds)?.map((one) => one.writtenPerStep.handedOver);
    if (left === undefined || right === undefined) return [];
    const ratio = ratioOf(left, right);
    figures[`cycle, ${title}: ${a} / ${b}, bytes per step`] = ratio;
    return [[`${a} / ${b}`, withSpread(ratio, "×")]];
  });
  const head = [
    "",
    "steps",
    "µs per step",
    "last tenth / first",
    "B/step given to write(2)",
    "B/step to the device",
    "B/step on disk after",
  ];
  const parts = [`A process each, ${rounds} rounds: median (min–max).`, table(head, rows)];
  if (ratios.length > 0) parts.push(table(["bytes given to write(2), one over the other, per round", "ratio"], ratios));
  return { markdown: parts.join("\n\n"), figures, samples: all, failed: all.some(({ failed }) => failed === true) };
}

export const cycleScenarios: readonly Scenario[] = SIZES.map(({ title, bytes }) => ({
  name: `cycle, ${title}`,
  ids: CONTENDERS.map(({ id }) => id),
  run: (options) => measure(title, bytes, options),
}));
