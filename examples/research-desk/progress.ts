// Progress: one line per finished step, as the run goes.

import type { RunEvent } from "orchestra";

const STEP_LINE = /^✓ (\S+)\s+\d+ ms\s+(\S+)$/;

/** The line for an event; undefined for those not worth one. */
export function progressLine(event: RunEvent): string | undefined {
  switch (event.type) {
    case "step.succeeded":
      return `✓ ${event.node.padEnd(18)} ${`${Math.round(event.tookMs)} ms`.padStart(8)}  ${event.stepId}`;
    case "step.failed":
      return `✗ ${event.node.padEnd(18)} ${event.error.message}`;
    case "step.retrying":
      return `↻ ${event.node.padEnd(18)} ${event.error.message}`;
    case "barrier.fired":
      return `⋈ ${event.node.padEnd(18)} joins ${event.arrived}`;
    case "run.failed":
      return `✗ run failed: ${event.error.message}`;
    default:
      return undefined;
  }
}

/** The step a progress line says is finished. */
export function finishedStep(line: string): { node: string; stepId: string } | undefined {
  const match = STEP_LINE.exec(line);
  return match?.[1] === undefined || match[2] === undefined ? undefined : { node: match[1], stepId: match[2] };
}

export function hasEnded({ type }: RunEvent): boolean {
  return type === "run.completed" || type === "run.failed" || type === "run.cancelled" || type === "run.paused";
}
