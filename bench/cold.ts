// What it takes from nothing: importing the package, resuming a session of 1,000 steps in a new process, and what is
// installed. Times are a whole process's, beside one that does nothing in the same round.

import { cpSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { folderSize, occupiedBytes } from "./children/bytes-written.ts";
import { runChild } from "./children.ts";
import { complete, inRounds, type Measured } from "./rounds.ts";
import type { Outcome, Scenario, ScenarioOptions } from "./scenario.ts";
import { ratioOf, spreadOf, table, withSpread, type Spread } from "./statistics.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const RESUMED_STEPS = 1_000;
const NOTHING = { id: "node", name: "Node.js doing nothing" };

interface Timed<T> {
  readonly ms: number;
  readonly said: T;
}

async function timed<T>(file: string, args: readonly string[] = []): Promise<Timed<T>> {
  const started = performance.now();
  const said = await runChild<T>(file, args);
  return { ms: performance.now() - started, said };
}

type Starts = readonly Measured<Timed<unknown>>[];

/** Milliseconds of each round above those of the process that does nothing. */
function beyondNode(all: Starts, id: string, rounds: number): number[] | undefined {
  const nothing = complete(all, NOTHING.id, rounds);
  return complete(all, id, rounds)?.map(({ ms }, round) => ms - (nothing?.[round]?.ms ?? Number.NaN));
}

function startTable(all: Starts, rounds: number, title: string, figures: Record<string, Spread>): string {
  const rows = all.map(({ id, name, samples, problem }) => {
    if (problem !== undefined) return [name, problem, ""];
    const beyond = id === NOTHING.id ? undefined : beyondNode(all, id, rounds);
    if (beyond !== undefined) figures[`${title}: ${id}, ms beyond Node.js`] = spreadOf(beyond);
    const ms = spreadOf(samples.map((one) => one.ms));
    return [name, withSpread(ms), beyond === undefined ? "" : withSpread(spreadOf(beyond))];
  });
  return table(["", "ms of the whole process", "ms beyond Node.js, per round"], rows);
}

function measuredOf(contenders: readonly { readonly id: string; readonly name: string }[], options: ScenarioOptions) {
  return [NOTHING, ...contenders.filter(({ id }) => options.isWanted(id))].map(
    ({ id, name }): Measured<Timed<unknown>> => ({ id, name, samples: [] }),
  );
}

interface Installed {
  /** The sum of what its files hold, as npm counts. */
  readonly bytes: number;
  readonly onDisk: number;
}

/** An empty project after `npm install` of the packed package, without development dependencies. */
async function installed(folder: string): Promise<Installed> {
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  const run = (args: readonly string[], cwd: string): string =>
    execFileSync(npm, [...args, "--loglevel=error"], { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  const project = join(folder, "project");
  mkdirSync(project);
  const [packed] = JSON.parse(run(["pack", "--json", "--ignore-scripts", "--pack-destination", folder], ROOT)) as [
    { readonly filename: string },
  ];
  writeFileSync(join(project, "package.json"), '{"private":true}');
  run(["install", "--omit=dev", "--no-audit", "--no-fund", join(folder, packed.filename)], project);
  const modules = join(project, "node_modules");
  return { bytes: await folderSize(modules), onDisk: await occupiedBytes(modules) };
}

const IMPORTED = [
  { id: "orchestra", name: 'import "orchestra"', file: "import-orchestra.mjs" },
  { id: "langgraph", name: 'import "@langchain/langgraph"', file: "../peers/import-langgraph.mjs" },
];

async function measureImport(options: ScenarioOptions): Promise<Outcome> {
  const all = measuredOf(IMPORTED, options);
  const fileOf = (id: string): string => IMPORTED.find((one) => one.id === id)?.file ?? "nothing.mjs";
  await inRounds("import", options.rounds, all, (id) => timed(fileOf(id)));
  const figures: Record<string, Spread> = {};
  const parts = [
    `${options.rounds} rounds: median (min–max).`,
    startTable(all, options.rounds, "import", figures),
    ratioText(all, "langgraph", "orchestra", options.rounds),
  ];
  const said = all.find(({ id }) => id === "orchestra")?.samples[0]?.said as { readonly loaded: string[] } | undefined;
  if (said !== undefined) {
    parts.push(`Loaded by the import, of LevelDB, NATS and hnswlib: ${said.loaded.join(", ") || "none"}.`);
    const { bytes, onDisk } = await installed(mkdtempSync(join(options.folder, "install-")));
    figures["import: installed MB"] = spreadOf([bytes / 1e6]);
    parts.push(
      `Installed by a user, with all it depends on: ${(bytes / 1e6).toFixed(1)} MB of files, ${(onDisk / 1e6).toFixed(1)} MB on disk.`,
    );
  }
  return outcome(parts, figures, all);
}

function ratioText(all: Starts, slow: string, fast: string, rounds: number): string {
  const a = beyondNode(all, slow, rounds);
  const b = beyondNode(all, fast, rounds);
  return a === undefined || b === undefined
    ? ""
    : `${slow} / ${fast}, ms beyond Node.js, per round: ${withSpread(ratioOf(a, b), "×")}`;
}

const RESUMED = [
  { id: "orchestra", name: `Orchestra, LevelDB: import, resume after ${RESUMED_STEPS} steps, one step more` },
  { id: "langgraph", name: `LangGraph.js, SqliteSaver: the same` },
];

async function measureResume(options: ScenarioOptions): Promise<Outcome> {
  const all = measuredOf(RESUMED, options);
  const files: Record<string, string> = {
    orchestra: "resume-orchestra.mjs",
    langgraph: "../peers/resume-langgraph.mjs",
  };
  const steps = String(RESUMED_STEPS);
  const prepared = mkdtempSync(join(options.folder, "resume-"));
  for (const { id } of all.filter((one) => one.id !== NOTHING.id)) {
    mkdirSync(join(prepared, id));
    await runChild(files[id] ?? "", ["prepare", join(prepared, id), steps]);
  }
  await inRounds("resume", options.rounds, all, (id, round) => {
    if (id === NOTHING.id) return timed("nothing.mjs");
    // A copy each, because resuming moves the session on.
    const own = join(options.folder, `resume-${id}-${round}`);
    cpSync(join(prepared, id), own, { recursive: true });
    return timed(files[id] ?? "", ["resume", own, steps]);
  });
  const figures: Record<string, Spread> = {};
  const parts = [
    `${options.rounds} rounds: median (min–max).`,
    startTable(all, options.rounds, "resume", figures),
    ratioText(all, "langgraph", "orchestra", options.rounds),
  ];
  const inside = complete(all, "orchestra", options.rounds)?.map(({ said }) => (said as { readonly ms: number }).ms);
  if (inside !== undefined) {
    figures["resume: orchestra, ms of resuming"] = spreadOf(inside);
    parts.push(`Of it, Orchestra's resuming and step without the import: ${withSpread(spreadOf(inside), " ms")}.`);
  }
  return outcome(parts, figures, all);
}

function outcome(parts: readonly string[], figures: Outcome["figures"], all: Starts): Outcome {
  const markdown = parts.filter((part) => part !== "").join("\n\n");
  return { markdown, figures, samples: all, failed: all.some(({ failed }) => failed === true) };
}

export const coldScenarios: readonly Scenario[] = [
  { name: "resume", ids: RESUMED.map(({ id }) => id), run: measureResume },
  { name: "import", ids: IMPORTED.map(({ id }) => id), run: measureImport },
];
