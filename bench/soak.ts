// Many short sessions for half an hour in one process: whether the heap grows with them.

import { join } from "node:path";
import { runChild } from "./children.ts";
import type { SoakSample } from "./children/soak.ts";
import type { Scenario } from "./scenario.ts";
import { figure, slopeOf, spreadOf, table } from "./statistics.ts";

const DURABILITY = "process";

export const soakScenario: Scenario = {
  name: "soak",
  ids: [`orchestra-${DURABILITY}`],
  byRequest: true,
  async run({ minutes, folder }) {
    const samples = await runChild<readonly SoakSample[]>(
      "soak.ts",
      [DURABILITY, String(minutes), join(folder, "soak")],
      ["--expose-gc"],
      minutes * 60_000,
    );
    // The first tenth is the engine's and the caches' to settle in.
    const settled = samples.slice(Math.floor(samples.length / 10));
    const slope = slopeOf(settled.map(({ minute, heapBytes }) => [minute, heapBytes / 1_000]));
    const perSession = slopeOf(settled.map(({ sessions, heapBytes }) => [sessions, heapBytes]));
    const rows = samples
      .filter((_, i) => i % Math.max(1, Math.floor(samples.length / 10)) === 0)
      .map(({ minute, sessions, heapBytes, rssBytes }) => [
        minute.toFixed(1),
        sessions.toLocaleString("en"),
        (heapBytes / 1e6).toFixed(2),
        (rssBytes / 1e6).toFixed(0),
      ]);
    return {
      markdown: [
        `${minutes} minutes of sessions, 50 at a time; the heap after a forced collection, ${samples.length} times.`,
        table(["minute", "sessions so far", "heap, MB", "RSS, MB"], rows),
        `By linear regression over the last nine tenths the heap grows by ${figure(slope)} kB a minute, ${figure(perSession)} bytes a session.`,
      ].join("\n\n"),
      figures: {
        "soak: heap kB per minute": spreadOf([slope]),
        "soak: heap bytes per session": spreadOf([perSession]),
      },
      samples,
      failed: false,
    };
  },
};
