// Runs the scenarios that were asked for, one after another, and prints their tables. README.md says how to read them.

import { setMaxListeners } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { aimsTable } from "./aims.ts";
import { appendsScenario } from "./appends.ts";
import { checkScenario } from "./check.ts";
import { clusterHosts, clusterTakeOver } from "./cluster-hosts.ts";
import { clusterSteps } from "./cluster-steps.ts";
import { coldScenarios } from "./cold.ts";
import { cycleScenarios } from "./cycle.ts";
import { floorContenders } from "./floors.ts";
import { heapScenario } from "./heap.ts";
import { describeMachine } from "./machine.ts";
import { natsContenders, orchestraContenders } from "./orchestra.ts";
import { memoryScenario } from "./memory.ts";
import { modelScenario } from "./model.ts";
import { orchestratorScenario } from "./orchestrator.ts";
import { bullmqContenders } from "./peers/bullmq.ts";
import { langgraphContenders } from "./peers/langgraph.ts";
import { mastraContenders } from "./peers/mastra.ts";
import { restateContenders } from "./peers/restate.ts";
import type { Outcome, Scenario } from "./scenario.ts";
import { clusterShapeScenarios, shapeScenarios } from "./shapes.ts";
import { soakScenario } from "./soak.ts";

const USAGE = `npm run bench -- [options]
  --quick            3 rounds instead of 15, no fan-out of 1,000, smaller sizes
  --rounds <n>       rounds to run
  --only <text,…>    only contenders whose id contains one of the texts
  --shape <text,…>   only scenarios whose name contains one of the texts ("pipeline", "fan-out of 100", "heap")
  --minutes <n>      how long the soak takes (default 30); the soak runs when --shape names it
  --json             print JSON instead of Markdown
  --list             print scenarios and the ids of contenders, and stop
  --no-build         measure dist/ as it stands
The files are written under $TMPDIR: point it at the disk that is to be measured.`;

// LangGraph.js puts one abort listener per node on one signal; Node.js would warn on every run, and the warning costs time.
setMaxListeners(0);

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    only: { type: "string" },
    shape: { type: "string" },
    minutes: { type: "string", default: "30" },
    json: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
    "no-build": { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

const SCENARIOS: readonly Scenario[] = [
  ...shapeScenarios([
    ...orchestraContenders,
    ...langgraphContenders,
    ...bullmqContenders,
    ...restateContenders,
    ...mastraContenders,
    ...floorContenders,
  ]),
  ...cycleScenarios,
  ...coldScenarios,
  heapScenario,
  checkScenario,
  appendsScenario,
  modelScenario,
  memoryScenario,
  orchestratorScenario,
  clusterSteps,
  ...clusterShapeScenarios([...natsContenders, ...bullmqContenders, ...restateContenders]),
  clusterHosts,
  clusterTakeOver,
  soakScenario,
];

/** Of a comma-separated list; without one everything matches. */
function matcher(list: string | undefined): (name: string) => boolean {
  const parts = list?.split(",");
  return (name) => parts === undefined || parts.some((part) => name.includes(part));
}

function chosen(): Scenario[] {
  const isNamed = matcher(options.shape);
  return SCENARIOS.filter(
    ({ name, byRequest, slow }) =>
      isNamed(name) && !(byRequest === true && options.shape === undefined) && !(slow === true && options.quick),
  );
}

function numberOf(name: "rounds" | "minutes", text: string, isAllowed: (value: number) => boolean): number {
  const value = Number(text);
  if (!isAllowed(value)) throw new Error(`--${name}: expected a number above 0, got "${text}"`);
  return value;
}

async function measure(): Promise<void> {
  const rounds = numberOf(
    "rounds",
    options.rounds ?? (options.quick ? "3" : "15"),
    (n) => Number.isInteger(n) && n > 0,
  );
  const minutes = numberOf("minutes", options.minutes, (n) => n > 0);
  const folder = mkdtempSync(join(tmpdir(), "orchestra-bench-"));
  const outcomes: (Outcome & { readonly name: string })[] = [];
  try {
    const machine = describeMachine(folder);
    const shared = { rounds, minutes, quick: options.quick, folder, isWanted: matcher(options.only) };
    for (const scenario of chosen()) outcomes.push({ name: scenario.name, ...(await scenario.run(shared)) });
    if (options.json) console.log(JSON.stringify({ rounds, machine, outcomes }, null, 2));
    else console.log(report(outcomes, machine));
    if (outcomes.some(({ failed }) => failed)) process.exitCode = 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function report(outcomes: readonly (Outcome & { readonly name: string })[], machine: string): string {
  return [
    machine,
    ...outcomes.map(({ name, markdown }) => `### ${name}\n\n${markdown}`),
    aimsTable(Object.assign({}, ...outcomes.map(({ figures }) => figures)) as Outcome["figures"]),
    "Not measured: what models and tools take themselves (seconds; everything here is milliseconds), a network, several hosts,\n" +
      "other machines. The agents add 1 or wait 1 ms. Files that grow over the rounds slow all alike.",
  ].join("\n\n");
}

if (options.help) console.log(USAGE);
else if (options.list) console.log(SCENARIOS.map(({ name, ids }) => `${name}\n  ${ids.join(" ")}`).join("\n"));
else await measure();
