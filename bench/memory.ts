// What a memory costs: to fill, to index, to search, to keep and to open again; and how long it lets others wait.

import { runChild } from "./children.ts";
import type { MemoryCosts, Stage } from "./children/memory.ts";
import type { WatchedGaps } from "./children/loop-watch.ts";
import { attempt, type Measured } from "./rounds.ts";
import type { Outcome, Scenario, ScenarioOptions } from "./scenario.ts";
import { figure, quantileOf, ratioOf, spreadOf, table, type Spread } from "./statistics.ts";

interface Filling {
  readonly id: string;
  readonly kind: "given" | "ngrams";
  readonly entries: number;
  readonly slow?: boolean;
}

const FILLINGS: readonly Filling[] = [
  { id: "memory-given-1k", kind: "given", entries: 1_000 },
  { id: "memory-given-10k", kind: "given", entries: 10_000 },
  { id: "memory-given-100k", kind: "given", entries: 100_000, slow: true },
  { id: "memory-text-10k", kind: "ngrams", entries: 10_000 },
];

/** Enough for an index. */
const QUICK_ENTRIES_MAX = 6_000;

type Row = Filling & { readonly costs: MemoryCosts };

const WITH = { given: "given vectors", ngrams: "texts, n-grams, hybrid" } as const;
const nameOf = ({ kind, entries }: Filling): string => `${entries.toLocaleString("en")}, ${WITH[kind]}`;
const perSecond = ({ entries }: Filling, { ms }: Stage): string =>
  Math.round((entries / ms) * 1_000).toLocaleString("en");

function searchTable(rows: readonly Row[]): string {
  const p50 = (ms: readonly number[] | null): string => (ms === null ? "–" : figure(quantileOf(ms, 0.5)));
  return table(
    [
      "entries",
      "memory p50, p95 ms",
      "plain loop p50",
      "index alone p50",
      "loop / memory",
      "memory / index alone",
      "recall@10",
    ],
    rows.map((row) => {
      const { searchMs, exactMs, hnswlibMs, recall, indexed } = row.costs;
      return [
        nameOf(row),
        `${p50(searchMs)}, ${figure(quantileOf(searchMs, 0.95))}`,
        p50(exactMs),
        p50(hnswlibMs),
        `${figure(ratioOf(exactMs, searchMs).median)}×`,
        hnswlibMs === null ? "–" : `${figure(ratioOf(searchMs, hnswlibMs).median)}×`,
        recall === null
          ? `– (${indexed === 0 ? "exact" : "index"})`
          : `${figure(recall)} (${indexed === 0 ? "exact" : "index"})`,
      ];
    }),
  );
}

function fillTable(rows: readonly Row[]): string {
  return table(
    [
      "entries",
      "entries/s",
      "LevelDB alone, entries/s",
      "CPU ms",
      "LevelDB alone, CPU ms",
      "bytes per entry",
      "of index",
      "of text and vector",
    ],
    rows.map((row) => {
      const { seed, seedLevel, entryBytes, indexBytes, rawBytes } = row.costs;
      return [
        nameOf(row),
        perSecond(row, seed),
        perSecond(row, seedLevel),
        figure(seed.cpuMs),
        figure(seedLevel.cpuMs),
        figure(entryBytes),
        indexBytes === 0 ? "–" : figure(indexBytes),
        figure(rawBytes),
      ];
    }),
  );
}

function gapText({ own, idle }: WatchedGaps): string {
  return `${own.cpuMs === null ? "–" : figure(own.cpuMs)}; ${figure(own.wallMs)}; ${figure(idle.wallMs)}`;
}

function stageTable(rows: readonly Row[]): string {
  return table(
    ["entries", "fill", "index built", "one search", "opened, first search", "index read"],
    rows.map((row) => {
      const { seed, build, searchGaps, reopen, reindex } = row.costs;
      return [nameOf(row), ...[seed.gaps, build.gaps, searchGaps, reopen.gaps, reindex.gaps].map(gapText)];
    }),
  );
}

function timeTable(rows: readonly Row[]): string {
  const cell = ({ ms, cpuMs }: Stage): string => `${figure(ms)}; ${figure(cpuMs)}`;
  return table(
    ["entries", "index built", "opened, first search", "index read"],
    rows.map((row) => [nameOf(row), ...[row.costs.build, row.costs.reopen, row.costs.reindex].map(cell)]),
  );
}

function longestOf({ seed, build, searchGaps, reopen, reindex }: MemoryCosts): number {
  const gaps = [seed.gaps, build.gaps, searchGaps, reopen.gaps, reindex.gaps];
  return Math.max(...gaps.map(({ own }) => own.cpuMs ?? own.wallMs));
}

function figuresOf(rows: readonly Row[]): Record<string, Spread> {
  const figures: Record<string, Spread> = {};
  for (const { id, costs } of rows) {
    if (costs.recall !== null) figures[`${id}: recall`] = spreadOf([costs.recall]);
    figures[`${id}: search, p50 ms`] = spreadOf(costs.searchMs);
    figures[`${id}: loop / memory`] = ratioOf(costs.exactMs, costs.searchMs);
    figures[`${id}: longest turn of the loop, ms`] = spreadOf([longestOf(costs)]);
    figures[`${id}: seed, CPU beside LevelDB`] = spreadOf([costs.seed.cpuMs / costs.seedLevel.cpuMs]);
  }
  return figures;
}

async function measure({ quick, isWanted }: ScenarioOptions): Promise<Outcome> {
  const queries = quick ? 50 : 300;
  const most = quick ? QUICK_ENTRIES_MAX : Infinity;
  const all: (Measured<Row> & Filling)[] = FILLINGS.filter(({ id, slow }) => isWanted(id) && !(slow === true && quick))
    .map((filling) => ({ ...filling, entries: Math.min(filling.entries, most) }))
    .map((filling) => ({ ...filling, name: nameOf(filling), samples: [] }));
  for (const measured of all)
    await attempt(measured, async () => {
      const { kind, entries } = measured;
      const costs = await runChild<MemoryCosts>("memory.ts", [kind, String(entries), String(queries)]);
      measured.samples.push({ ...measured, costs });
    });
  const rows = all.flatMap(({ samples }) => samples);
  const missing = all.flatMap(({ name, problem }) => (problem === undefined ? [] : [`${name}: ${problem}`]));
  const parts = [
    `A process each; ${queries} queries, each put to the memory, to a plain loop over the same vectors, and to hnswlib-node alone with the memory's own ` +
      "index and list, one after another. Given vectors: 384 dimensions, Gaussian clouds round √n topics in 40 dimensions laid into 384, searched by vectors. " +
      "Texts: three sentences of the documents each, embedded by n-grams, searched by vectors and words.",
    searchTable(rows),
    "Filling, in calls of 10,000, on disk (`disk`); LevelDB alone: the same texts and vectors in batches of 1,000 with fsync.",
    fillTable(rows),
    "Wall milliseconds; CPU milliseconds of all threads.",
    timeTable(rows),
    "Longest turn of the event loop, ms: CPU time of its thread in one turn; wall time; wall time in a process that does nothing, meanwhile.",
    stageTable(rows),
    ...missing,
  ];
  return {
    markdown: parts.join("\n\n"),
    figures: figuresOf(rows),
    samples: rows,
    failed: all.some(({ failed }) => failed === true),
  };
}

export const memoryScenario: Scenario = { name: "memory", ids: FILLINGS.map(({ id }) => id), run: measure };
