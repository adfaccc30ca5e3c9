// Status
//
// Progress lines for people while a run works: an observer of events. Writes whole lines to whatever is handed in,
// standard error by default, so that results on standard output stay clean.

import type { RunEvent } from "./engine-api.ts";

/** Nothing; what a person wants to see; every event. */
export type Verbosity = 0 | 1 | 2;
export const QUIET = 0 satisfies Verbosity;
export const NORMAL = 1 satisfies Verbosity;
export const VERBOSE = 2 satisfies Verbosity;

export interface LineWriter {
  write(text: string): unknown;
}

interface StatusOptions {
  readonly output?: LineWriter;
  readonly shows?: (event: RunEvent) => boolean;
}

export class StatusConfig {
  readonly verbosity: Verbosity;
  /** Where lines go; standard error when absent. */
  readonly output: LineWriter | undefined;
  /** Whether an event is shown at all; every one when absent. */
  readonly shows: ((event: RunEvent) => boolean) | undefined;

  private constructor(verbosity: Verbosity, { output, shows }: StatusOptions) {
    this.verbosity = verbosity;
    this.output = output;
    this.shows = shows;
  }

  /** 0 is silent, 1 shows runs, steps and joins, 2 shows every event with its ids. */
  static fromVerbosity(verbosity: Verbosity, options: StatusOptions = {}): StatusConfig {
    return new StatusConfig(verbosity, options);
  }
}

/** Shows events as lines; undefined when there is nothing to show. */
export function statusPrinter(config: StatusConfig): ((event: RunEvent) => void) | undefined {
  if (config.verbosity === QUIET) return undefined;
  const output = config.output ?? process.stderr;
  return (event) => {
    if (config.shows?.(event) === false) return;
    const line = config.verbosity === VERBOSE ? (normalLine(event) ?? verboseLine(event)) : normalLine(event);
    if (line !== undefined) output.write(config.verbosity === VERBOSE ? `${event.seq} ${line}\n` : `${line}\n`);
  };
}

/** Any event as a line, for people. */
export function eventLine(event: RunEvent): string {
  return (normalLine(event) ?? verboseLine(event)).trimStart();
}

/** The line for what a person wants to see; undefined for the rest. */
export function normalLine(event: RunEvent): string | undefined {
  switch (event.type) {
    case "run.started":
      return `▶ run ${event.runId} in session ${event.sessionId} (${event.nodes} nodes, ${event.edges} edges)`;
    case "step.started":
      return `  ${event.node} …${event.attempt > 1 ? ` (attempt ${event.attempt})` : ""}`;
    case "step.succeeded":
      return `  ${event.node} ✓ ${seconds(event.tookMs)}`;
    case "step.failed":
      return `  ${event.node} ✗ ${event.error.code}: ${event.error.message}`;
    case "step.retrying":
      return `  ${event.node} ↻ ${event.error.message}; attempt ${event.attempt + 1} follows`;
    case "barrier.fired":
      return `  ${event.node} joins ${event.arrived}${event.failed > 0 ? `, ${event.failed} failed` : ""}${event.decision === "fired" ? "" : ` (${event.decision})`}`;
    case "user.asked":
      return `  ${event.node} asks (${event.questionId})`;
    case "user.timed_out":
      return `  ${event.node} was not answered in time (${event.questionId})`;
    case "budget.warning":
      return `  budget ${event.budget}: ${event.used} of ${event.limit} used`;
    case "rule.refused":
      return `  ${event.node} refused by ${event.rule}: ${event.message}`;
    case "checkpoint.created":
      return `  checkpoint ${event.checkpointId} "${event.name}"`;
    case "run.paused":
      return `‖ paused${event.reason ? `: ${event.reason}` : ""}`;
    case "run.awaiting_user":
      return `? waits for ${event.questions.join(", ")}`;
    case "run.resumed":
      return "▶ resumed";
    case "run.migrated":
      return `▶ goes on with the topology ${event.topologyHash.slice(0, 12)}…`;
    case "run.completed":
      return "■ completed";
    case "run.failed":
      return `■ failed (${event.terminalReason}): ${event.error.code}: ${event.error.message}`;
    case "run.cancelled":
      return `■ cancelled${event.reason ? `: ${event.reason}` : ""}`;
    default:
      return undefined;
  }
}

function verboseLine({ seq: _seq, at: _at, sessionId: _session, runId: _run, type, ...fields }: RunEvent): string {
  const shown = JSON.stringify(fields, (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value));
  return `  ${type} ${shown.length > 400 ? `${shown.slice(0, 400)}…` : shown}`;
}

function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
