// What a check costs: eight arms that each go round on their own, up to the bound on states; once with every move made by the
// reducer, once with local moves remembered, in rounds one after the other. CPU time, for the search has no I/O.

import { limitsOf } from "../src/actors/check/check.ts";
import { Exploration } from "../src/actors/check/explore.ts";
import { compilePlan } from "../src/topology/compile.ts";
import { readTopology } from "../src/topology/read.ts";
import type { Outcome, Scenario, ScenarioOptions } from "./scenario.ts";
import { ratioOf, spreadOf, table, withSpread } from "./statistics.ts";

const ARMS = 8;
const STEPS = 3;
const STATES = 65_536;
const ROUNDS_MAX = 5;

const WAYS = [
  { id: "every-move", name: "the reducer makes every move", options: { rememberFrom: Infinity } },
  { id: "remembered", name: "local moves are remembered", options: {} },
] as const;

function loopingArms(): unknown {
  const nodes = ["First"];
  const edges: unknown[] = [];
  for (let arm = 0; arm < ARMS; arm++) {
    const step = (i: number): string => `A${arm}S${i}`;
    for (let i = 0; i < STEPS; i++) nodes.push(step(i));
    edges.push({ from: "First", to: step(0) });
    for (let i = 1; i < STEPS; i++) edges.push({ from: step(i - 1), to: step(i) });
    // A condition each, so that the arms are no twins.
    edges.push({ from: step(STEPS - 1), to: step(0), back: true, metadata: { condition: `again${arm}` } });
    edges.push({ from: step(STEPS - 1), to: "Join", metadata: { condition: `done${arm}` } });
  }
  return { nodes: [...nodes, "Join"], edges };
}

function cpuMs(maxStates: number, options: { readonly rememberFrom?: number }): number {
  const { data } = readTopology(loopingArms());
  const plan = compilePlan(data, { errorRouting: true });
  const before = process.cpuUsage();
  const { states } = new Exploration(data, plan, limitsOf(true), { maxStates, ...options }).run();
  const { user, system } = process.cpuUsage(before);
  if (states.length !== maxStates) throw new Error(`${states.length} states were found, expected ${maxStates}`);
  return (user + system) / 1_000;
}

async function run({ rounds, quick, isWanted }: ScenarioOptions): Promise<Outcome> {
  const maxStates = quick ? STATES / 8 : STATES;
  const samples = WAYS.filter(({ id }) => isWanted(id)).map((way) => ({ ...way, tookMs: [] as number[] }));
  for (let round = 0; round < Math.min(rounds, ROUNDS_MAX); round++)
    for (const { options, tookMs } of samples) tookMs.push(cpuMs(maxStates, options));
  const rows = samples.map(({ name, tookMs }) => {
    const spread = spreadOf(tookMs);
    return [name, withSpread(spread), Math.round((maxStates / spread.median) * 1_000).toLocaleString("en")];
  });
  const parts = [
    `CPU milliseconds for ${maxStates.toLocaleString("en")} states over ${samples[0]?.tookMs.length ?? 0} rounds in one process, without findings: median (min–max).`,
    table(["", "CPU ms", "states/s"], rows),
  ];
  const [slow, fast] = samples;
  if (slow !== undefined && fast !== undefined)
    parts.push(`Every move / remembered, per round: ${withSpread(ratioOf(slow.tookMs, fast.tookMs), "×")}.`);
  return { markdown: parts.join("\n\n"), figures: {}, samples, failed: false };
}

export const checkScenario: Scenario = { name: "check", ids: WAYS.map(({ id }) => id), run };
