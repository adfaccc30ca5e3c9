// Run spec: what a run was asked to do, as plain data. It is the task of the run's session, so any process can go on with it.

import type { RetryOption } from "../runtime/retry-option.ts";
import type { Topology } from "../runtime/topology.ts";

export type Strategy = "parallel" | "sequential" | "adaptive" | "balanced";
export const STRATEGIES: readonly Strategy[] = ["parallel", "sequential", "adaptive", "balanced"];

export type Priority = "low" | "medium" | "high" | "critical";
export const PRIORITIES: readonly Priority[] = ["low", "medium", "high", "critical"];

/** Where a run, or what it learned, comes from. Open for more. */
export interface RunProvenance {
  readonly project?: string;
  readonly runId?: string;
  readonly assignmentId?: string;
  readonly cardId?: string;
  readonly agent?: string;
  readonly [more: string]: unknown;
}

/** One thing that must hold before a run has converged. */
export type CheckSpec =
  | {
      readonly kind: "command";
      readonly name: string;
      readonly command: string;
      readonly args: readonly string[];
      readonly timeoutMs: number | false;
    }
  | { readonly kind: "custom"; readonly name: string }
  | { readonly kind: "acceptance"; readonly name: "acceptance" }
  | { readonly kind: "paths"; readonly name: "paths" };

export interface SeededEntry {
  readonly key?: string;
  readonly value: unknown;
  readonly namespace?: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

export const DEFAULT_NAMESPACE = "default";

export interface RunBudget {
  readonly tokens?: number;
  readonly costUsd?: number;
  readonly durationMs?: number;
}

/** Who works on a run. */
export interface RunTeam {
  /** In the order in which they were given. */
  readonly agents: readonly string[];
  /** Absent: made from the agents by the strategy. */
  readonly topology?: Topology["data"];
}

export interface RunSpec {
  readonly description: string;
  readonly team: RunTeam;
  readonly strategy: Strategy;
  readonly priority: Priority;
  /** Absolute. */
  readonly cwd: string;
  readonly acceptanceCriteria: readonly string[];
  /** Relative to `cwd`; absent: any. */
  readonly allowedPaths?: readonly string[];
  readonly forbiddenPaths: readonly string[];
  readonly provenance: RunProvenance;
  readonly maxIterations: number;
  readonly budget: RunBudget;
  readonly retry?: RetryOption;
  readonly checks: readonly CheckSpec[];
  readonly seeds: readonly SeededEntry[];
  /** What was found in memory when the run began. Absent: nothing was looked for. */
  readonly recalled?: readonly SeededEntry[];
}
