// What a check finds, as plain data.

import type { Severity } from "../../topology/types.ts";

export interface CheckOptions {
  /** Bound on the states looked at, a whole number from 1. Default 65,000. */
  readonly maxStates?: number;
  /** As the run will have it. Default true. */
  readonly errorRouting?: boolean;
}

export const DEFAULT_MAX_STATES = 65_000;

/** In the order they are reported; docs/guides/proving-a-topology.md explains each. */
export const FINDING_CODES = [
  "cycle_without_exit",
  "never_delivers",
  "nothing_delivered",
  "join_never_satisfied",
  "join_can_fail",
  "call_without_reply",
  "unreached_node",
  "loop_bound_fails",
  "loop_bound_hit",
  "unbounded_steps",
  "steps_above_limit",
  "failure_ends_run",
] as const;

export type FindingCode = (typeof FINDING_CODES)[number];

/** One thing that happens in a counterexample. In this order, a run's steps and questions have these very ids. */
export interface ScheduledEnd {
  /** The run begins with its task, a step ends, or a question is answered. */
  readonly of: "task" | "step" | "question";
  /** `ctx.stepId` of the step; of a question, its id without the session's; of the task, the empty string. */
  readonly id: string;
  readonly node: string;
  /**
   * `value`: a plain value, an answer or the task. `failed`: failed for good. `final`, `invoke` and `parallel` are the commands of
   * that name. `proceed` and `fail` answer a question about what a join lacks, `skip` and `abort` one about a failure. A question
   * that `failed` was not answered in time.
   */
  readonly end: "value" | "failed" | "final" | "invoke" | "parallel" | "proceed" | "fail" | "skip" | "abort";
  /** Whom a command addresses. */
  readonly to: readonly string[];
  /** Conditions that held of those that were judged. */
  readonly held: readonly string[];
  /** Conditions that were judged and did not hold. */
  readonly notHeld: readonly string[];
}

export interface CheckFinding {
  readonly code: FindingCode;
  /** `info`: needs a failing step, a command, or a node none of whose conditions holds. */
  readonly severity: Severity;
  readonly message: string;
  readonly nodes: readonly string[];
  /** A shortest run that shows it, one line for each thing that happens. Empty where nothing that happens could show it. */
  readonly counterexample: readonly string[];
  /** The same run, to be replayed. */
  readonly schedule: readonly ScheduledEnd[];
  /** The same run as a Mermaid flowchart; empty when the counterexample is. */
  readonly mermaid: string;
}

export interface CheckReport {
  /** No finding is an error. */
  readonly ok: boolean;
  readonly findings: readonly CheckFinding[];
  /**
   * Steps of the longest run whose agents return values or fail, retries not counted; `Infinity` where a loop has no bound.
   * A lower bound when `complete` is false.
   */
  readonly worstCaseSteps: number;
  /** States looked at. */
  readonly explored: number;
  /** Every state was looked at that agents can bring about by values and failures. Otherwise `maxStates` was reached, or a node has too many conditions. */
  readonly complete: boolean;
  /** What holds of every run whose agents give no commands, whatever the values and the order of steps. */
  readonly proven: {
    /** Every run comes to an end by itself, failures included. */
    readonly alwaysEnds: boolean;
    /** Every run in which no step fails delivers a response. */
    readonly alwaysDelivers: boolean;
  };
}
