// What a person is told of a run's event.

import type { OrchestratorEvent } from "../orchestrator/index.ts";

const SAID_LINES_MAX = 5;

export function runEventLine(event: OrchestratorEvent): string {
  switch (event.type) {
    case "run.started":
      return `run ${event.runId}`;
    case "memory.seeded":
      return `memory: given ${named(event.payload.entries)}`;
    case "memory.searched":
      return `memory: found ${named(event.payload.entries)}`;
    case "memory.learned":
      return `memory: learned ${named(event.payload.entries)}`;
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

function named(entries: readonly { readonly key: string }[]): string {
  return entries.length === 0 ? "nothing" : entries.map(({ key }) => key).join(", ");
}

function endOf(output: string): string[] {
  const lines = output.split("\n").filter((line) => line.trim() !== "");
  return lines.slice(-SAID_LINES_MAX).map((line) => `      ${line}`);
}
