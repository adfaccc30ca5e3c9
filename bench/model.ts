// What a step of a model-backed agent adds to the call of its model.

import { runChild } from "./children.ts";
import type { ModelCosts } from "./children/model.ts";
import type { Scenario } from "./scenario.ts";
import { figure, slopeOf, spreadOf, table, withSpread } from "./statistics.ts";

export const modelScenario: Scenario = {
  name: "model: a step beside the bare call",
  ids: ["orchestra-model"],
  async run({ quick }) {
    const calls = quick ? 50 : 400;
    const waves = quick ? 6 : 20;
    const costs = await runChild<ModelCosts>("model.ts", [String(calls), String(waves)], ["--expose-gc"]);
    const { bareMs, stepMs, bareLatencyMs, eventLatencyMs, waves: measured, agentsAtOnce } = costs;
    const addedMs = spreadOf(stepMs).median - spreadOf(bareMs).median;
    // The first waves open connections and fill caches.
    const settled = measured.slice(Math.floor(measured.length / 3));
    const perWave = slopeOf(settled.map(({ heapBytes }, i) => [i, heapBytes / 1_000]));
    return {
      markdown: [
        `One call at a time, ${calls} of each in turn; the server is a process of its own: median (min–max).`,
        table(
          ["", "one call, ms", "from the server's piece to its reader, ms"],
          [
            ["streamText", withSpread(spreadOf(bareMs)), withSpread(spreadOf(bareLatencyMs))],
            ["modelAgent, in memory", withSpread(spreadOf(stepMs)), withSpread(spreadOf(eventLatencyMs))],
          ],
        ),
        `The step adds ${figure(addedMs)} ms at the median. ${agentsAtOnce} agents that stream side by side, ${measured.length} waves: the heap after a ` +
          `wave is ${figure(spreadOf(settled.map(({ heapBytes }) => heapBytes / 1e6)).median)} MB and grows by ${figure(perWave)} kB a wave (by linear regression, ` +
          `the first third left out); RSS ${figure(spreadOf(measured.map(({ rssBytes }) => rssBytes / 1e6)).max)} MB at most.`,
      ].join("\n\n"),
      figures: {
        "model: added to a call, p50 ms": spreadOf([addedMs]),
        "model: piece to event, p50 ms": spreadOf(eventLatencyMs),
        "model: heap kB per wave": spreadOf([perWave]),
      },
      samples: costs,
      failed: false,
    };
  },
};
