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

const AIMS: readonly Aim[] = [
  above(
    8,
    "×",
    "pipeline in memory, faster than LangGraph.js with MemorySaver",
    "pipeline of 10: langgraph-memory / orchestra-memory",
  ),
  above(
    5,
    "×",
    "pipeline past kill -9, faster than LangGraph.js with SqliteSaver",
    "pipeline of 10: langgraph-sqlite-sync / orchestra-process",
  ),
  above(
    1,
    "×",
    "1,000 sessions on disk, not slower than LangGraph.js with SqliteSaver",
    `${SESSIONS}: langgraph-sqlite-sync / orchestra-disk`,
  ),
  above(
    1,
    "×",
    "1,000 sessions on disk, not slower than BullMQ with fsync",
    `${SESSIONS}: bullmq-fsync / orchestra-disk`,
  ),
  below(
    1.2,
    "×",
    "cycle: last tenth of the steps beside the first, `process`, 10 kB",
    "cycle, 10 kB: orchestra-process, last / first tenth",
  ),
  below(400, "B", "bytes written by a small step, `process`", "cycle, small state: orchestra-process, bytes per step"),
  below(400, "B", "bytes written by a small step, `disk`", "cycle, small state: orchestra-disk, bytes per step"),
  below(25, "MB", "installed size of the core", "import: installed MB"),
  below(400, "MB", "resident memory with 10,000 sessions waiting in an agent", "heap: orchestra-live, RSS MB"),
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
