// What it takes to start a run of the orchestrator while agents of earlier runs are busy.

import { runChild } from "./children.ts";
import type { StartCosts } from "./children/orchestrator.ts";
import { attempt, type Measured } from "./rounds.ts";
import type { Outcome, Scenario, ScenarioOptions } from "./scenario.ts";
import { figure, quantileOf, spreadOf, table, type Spread } from "./statistics.ts";

const CASES = [
  { id: "start-awaits-memory", kind: "awaits", storage: "memory", name: "agents that await, in memory" },
  { id: "start-awaits-disk", kind: "awaits", storage: "disk", name: "agents that await, LevelDB, `disk`" },
  { id: "start-computes-memory", kind: "computes", storage: "memory", name: "agents that compute, in memory" },
  { id: "start-computes-disk", kind: "computes", storage: "disk", name: "agents that compute, LevelDB, `disk`" },
] as const;

async function measure({ quick, isWanted }: ScenarioOptions): Promise<Outcome> {
  const runs = quick ? 5 : 20;
  const all = CASES.filter(({ id }) => isWanted(id)).map((one): Measured<StartCosts> & (typeof CASES)[number] => ({
    ...one,
    samples: [],
  }));
  for (const measured of all)
    await attempt(measured, async () => {
      const { kind, storage } = measured;
      measured.samples.push(await runChild<StartCosts>("orchestrator.ts", [kind, storage, String(runs)]));
    });
  const figures: Record<string, Spread> = {};
  const rows = all.map(({ id, name, samples: [costs], problem }) => {
    if (costs === undefined) return [name, problem ?? "", "", "", ""];
    const { startMs, firstEventMs, stretchMs, gaps } = costs;
    const worst = Math.max(...startMs);
    figures[`${id}: startRun, worst ms`] = spreadOf([worst]);
    const p50 = quantileOf(firstEventMs, 0.5);
    return [
      name,
      `${figure(quantileOf(startMs, 0.5))}; ${figure(worst)}`,
      `${figure(p50)}; ${figure(Math.max(...firstEventMs))}`,
      id.includes("computes") ? figure(p50 / stretchMs) : "–",
      figure(gaps.idle.wallMs),
    ];
  });
  const parts = [
    `${runs} runs. The agent of the first computes for ${all[0]?.samples[0]?.stretchMs ?? 100} ms on the event loop again and again, letting others have a turn in between, or waits as ` +
      "long on a timer; those of the others do so once, beside it. An event takes as many turns of the loop as it takes, each of which waits for a stretch or two.",
    table(
      [
        "",
        "`startRun`, p50; worst ms",
        "to the first event, p50; worst ms",
        "in stretches",
        "longest turn of an idle process meanwhile, ms",
      ],
      rows,
    ),
  ];
  return { markdown: parts.join("\n\n"), figures, samples: all, failed: all.some(({ failed }) => failed === true) };
}

export const orchestratorScenario: Scenario = { name: "orchestrator", ids: CASES.map(({ id }) => id), run: measure };
