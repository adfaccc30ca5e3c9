// What Orchestra set out to reach, beside what was measured. Printed, never asserted: a figure belongs to its machine.

import type { Outcome } from "./scenario.ts";
import { figure, table } from "./statistics.ts";

interface Aim {
  readonly text: string;
  /** The name of the figure, as a scenario gives it. */
  readonly figure: string;
  readonly limit: number;
  readonly unit: string;
  readonly better: "above" | "below";
}

const above = (limit: number, unit: string, text: string, name: string): Aim => ({
  text,
  figure: name,
  limit,
  unit,
  better: "above",
});
const below = (limit: number, unit: string, text: string, name: string): Aim => ({
  ...above(limit, unit, text, name),
  better: "below",
});

const SESSIONS = "sessions: 1000 at a time, 5 steps of a 1 ms timer each";

const FAN_OUT = "fan-out of 1000 with join";

const AIMS: readonly Aim[] = [
  above(
    12,
    "×",
    "pipeline in memory, beside LangGraph.js without checkpointer",
    "pipeline of 10: langgraph / orchestra-memory",
  ),
  above(
    8,
    "×",
    "pipeline with `process`, beside LangGraph.js with SqliteSaver, sync",
    "pipeline of 10: langgraph-sqlite-sync / orchestra-process",
  ),
  below(
    1 / 0.7,
    "×",
    "pipeline with `disk`, one run alone: time beside plain LevelDB with an fsync per step",
    "pipeline of 10: orchestra-disk / level-fsync",
  ),
  above(
    15,
    "×",
    "1,000 sessions at a time with `disk`, beside LangGraph.js with SqliteSaver, sync",
    `${SESSIONS}: langgraph-sqlite-sync / orchestra-disk`,
  ),
  below(30, "ms", "fan-out of 1,000 and join in memory", `${FAN_OUT}: orchestra-memory`),
  below(60, "ms", "fan-out of 1,000 and join with `disk`", `${FAN_OUT}: orchestra-disk`),
  below(
    1.2,
    "×",
    "cycle of 10,000 steps with 10 kB, `process`: last tenth of the steps beside the first",
    "cycle, 10 kB: orchestra-process, last / first tenth",
  ),
  below(
    1.25,
    "×",
    "cycle with 10 kB, `process`: bytes written beside plain LevelDB for the same values",
    "cycle, 10 kB: orchestra-process / level, bytes per step",
  ),
  below(400, "B", "bytes written by a small step, `process`", "cycle, small state: orchestra-process, bytes per step"),
  below(400, "B", "bytes written by a small step, `disk`", "cycle, small state: orchestra-disk, bytes per step"),
  below(
    100,
    "ms",
    "a cold process resumes a session of 1,000 steps, beyond Node.js itself",
    "resume: orchestra, ms beyond Node.js",
  ),
  below(60, "ms", "import of the package, beyond Node.js itself", "import: orchestra, ms beyond Node.js"),
  below(25, "MB", "installed size of the core", "import: installed MB"),
  below(16, "kB", "heap of a session that waits in an agent", "heap: orchestra-live-process, kB each"),
  below(400, "MB", "resident memory with 10,000 sessions waiting in an agent", "heap: orchestra-live-process, RSS MB"),
  above(3_000, "steps/s", "cluster on one server, 200 sessions", "cluster-nats-1: steps per second"),
  above(
    1_000,
    "steps/s",
    "cluster on three servers with `sync_interval: always`, 200 sessions",
    "cluster-nats-3-sync: steps per second",
  ),
  below(3, "ms", "cluster on one server, one session alone: added to a step, p50", "cluster-nats-1: alone, p50 ms"),
  below(5, "s", "take-over of 500 sessions, beyond the lease", "cluster-take-over: seconds beyond the lease"),
  above(0.85, "× linear", "four worker hosts on steps that wait 20 ms", "cluster-hosts-4: of linear"),
  below(
    1,
    "ms",
    "a step of a model-backed agent beside the bare call of the AI SDK, p50",
    "model: added to a call, p50 ms",
  ),
  below(2, "ms", "from a piece the model server sends to its event, p50", "model: piece to event, p50 ms"),
  above(0.95, "", "memory: recall@10 with the index, 10,000 entries", "memory-given-10k: recall"),
  above(0.95, "", "memory: recall@10 with the index, 100,000 entries", "memory-given-100k: recall"),
  below(
    50,
    "ms",
    "memory: longest turn of the event loop while 10,000 entries are filled in, indexed and opened",
    "memory-given-10k: longest turn of the loop, ms",
  ),
  below(50, "ms", "memory: the same with 10,000 texts and n-grams", "memory-text-10k: longest turn of the loop, ms"),
  below(50, "ms", "memory: the same with 100,000 entries", "memory-given-100k: longest turn of the loop, ms"),
  below(50, "ms", "`startRun` beside an agent that awaits, worst", "start-awaits-disk: startRun, worst ms"),
  below(50, "ms", "`startRun` beside an agent that computes, worst", "start-computes-disk: startRun, worst ms"),
  below(10, "B", "soak: growth of the heap per session that ended", "soak: heap bytes per session"),
];

export function aimsTable(figures: Outcome["figures"]): string {
  const rows = AIMS.flatMap(({ text, figure: name, limit, unit, better }) => {
    const measured = figures[name]?.median;
    if (measured === undefined) return [];
    const isMet = better === "above" ? measured >= limit : measured <= limit;
    const sign = better === "above" ? "≥" : "≤";
    return [[text, `${sign} ${figure(limit)} ${unit}`, `${figure(measured)} ${unit}`, isMet ? "met" : "missed"]];
  });
  return rows.length === 0 ? "" : `### Aims\n\n${table(["", "aim", "measured", ""], rows)}`;
}
