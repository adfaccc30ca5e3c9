// What a person is told of a run's event.

import type { MemoryKey, OrchestratorEvent } from "../orchestrator/index.ts";
import { fit } from "./style.ts";

const SAID_LINES_MAX = 5;
const COLUMNS_MAX = 300;

export function runEventLine(event: OrchestratorEvent): string {
  switch (event.type) {
    case "run.started":
      return `run ${event.runId}`;
    case "memory.seeded":
      return `memory: given ${named(event.payload)}`;
    case "memory.searched": {
      const { agent, query, iteration } = event.payload;
      const who = agent === undefined ? "searched" : `${agent} searched`;
      return fit(`${iteration === 0 ? "" : "  "}memory: ${who} "${query}", found ${named(event.payload)}`, COLUMNS_MAX);
    }
    case "memory.learned":
      return `  memory: learned ${named(event.payload)}`;
    case "iteration.started":
      return `iteration ${event.payload.iteration} of ${event.payload.of}`;
    case "iteration.completed":
      return `  ${event.payload.passed ? "all checks passed" : "not yet"}`;
    case "check.started":
      return `  ${event.payload.name} …`;
    case "check.passed":
      return `  ✓ ${event.payload.name}`;
    case "check.failed":
      return [`  ✗ ${event.payload.name}`, ...endOf(event.payload.output)].join("\n");
    case "budget.warning":
      return `  ${event.payload.used} of ${event.payload.limit} ${event.payload.budget} used`;
    case "run.paused":
      return `paused: ${event.payload.why}`;
    case "run.resumed":
      return "goes on";
    case "run.terminal": {
      const { reason, budget, iterations, error } = event.payload;
      const how = budget === undefined ? reason : `${reason} (${budget})`;
      const why = error === undefined || budget !== undefined ? "" : `: ${error.code}: ${error.message}`;
      return `${how} after ${iterations} ${iterations === 1 ? "iteration" : "iterations"}${why}`;
    }
  }
}

function named({ entries, more }: { readonly entries: readonly MemoryKey[]; readonly more?: number }): string {
  const keys = entries.map(({ key }) => key).join(", ");
  return more === undefined ? keys || "nothing" : `${keys} and ${more} more`;
}

function endOf(output: string): string[] {
  const lines = output.split("\n").filter((line) => line.trim() !== "");
  return lines.slice(-SAID_LINES_MAX).map((line) => `      ${line}`);
}
