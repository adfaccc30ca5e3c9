// What a session holds while it waits, and what a process with 10,000 of them takes.

import { runChild } from "./children.ts";
import type { HeapCost } from "./children/heap.ts";
import { complete, inRounds, type Measured } from "./rounds.ts";
import type { Outcome, Scenario, ScenarioOptions } from "./scenario.ts";
import { ratioOf, spreadOf, table, withSpread, type Spread } from "./statistics.ts";

const SESSIONS = 10_000;
const ROUNDS_MAX = 3;

const CONTENDERS: readonly { readonly id: string; readonly name: string }[] = [
  { id: "orchestra-live", name: "Orchestra in memory, waiting in an agent" },
  { id: "orchestra-live-process", name: "Orchestra, LevelDB, `process`, waiting in an agent" },
  { id: "orchestra-awaiting-user-memory", name: "Orchestra in memory, awaiting its user" },
  { id: "orchestra-awaiting-user", name: "Orchestra, LevelDB, `process`, awaiting its user" },
  { id: "orchestra-paused", name: "Orchestra, LevelDB, `process`, paused in the middle of a step" },
  { id: "langgraph-live", name: "LangGraph.js, MemorySaver, waiting in a node" },
  { id: "langgraph-interrupted", name: "LangGraph.js, MemorySaver, at an interrupt" },
  { id: "xstate", name: "XState alone, one root actor each" },
];

/** Both hold the same: a call under way, or what is needed to go on later. */
const PAIRS: readonly (readonly [string, string])[] = [
  ["langgraph-live", "orchestra-live"],
  ["orchestra-live", "xstate"],
  ["langgraph-interrupted", "orchestra-awaiting-user-memory"],
];

async function measure(options: ScenarioOptions): Promise<Outcome> {
  const rounds = Math.min(options.rounds, ROUNDS_MAX);
  const count = options.quick ? SESSIONS / 10 : SESSIONS;
  const all: Measured<HeapCost>[] = CONTENDERS.filter(({ id }) => options.isWanted(id)).map(({ id, name }) => ({
    id,
    name,
    samples: [],
  }));
  await inRounds("heap", rounds, all, (id) => runChild<HeapCost>("heap.ts", [id, String(count)], ["--expose-gc"]));

  const figures: Record<string, Spread> = {};
  const rows = all.map(({ id, name, samples, problem }) => {
    if (problem !== undefined) return [name, problem, ""];
    const each = (figures[`heap: ${id}, kB each`] = spreadOf(samples.map((one) => one.heapBytesEach / 1_000)));
    const rss = spreadOf(samples.map((one) => one.rssBytes / 1e6));
    if (!options.quick) figures[`heap: ${id}, RSS MB`] = rss;
    return [name, withSpread(each), withSpread(rss)];
  });
  const heapOf = (id: string): number[] | undefined => complete(all, id, rounds)?.map((one) => one.heapBytesEach);
  const ratios = PAIRS.flatMap(([a, b]) => {
    const left = heapOf(a);
    const right = heapOf(b);
    if (left === undefined || right === undefined) return [];
    return [[`${a} / ${b}`, withSpread((figures[`heap: ${a} / ${b}`] = ratioOf(left, right)), "×")]];
  });
  const parts = [
    `${count.toLocaleString("en")} sessions in a process each, ${rounds} rounds: median (min–max).`,
    table(["", "kB of heap per session", "RSS of the process, MB"], rows),
  ];
  if (ratios.length > 0) parts.push(table(["heap of one over heap of the other, per round", "ratio"], ratios));
  return { markdown: parts.join("\n\n"), figures, samples: all, failed: all.some(({ failed }) => failed === true) };
}

export const heapScenario: Scenario = { name: "heap", ids: CONTENDERS.map(({ id }) => id), run: measure };
