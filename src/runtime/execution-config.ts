// Execution config: the bounds and habits of runs. Defaults stand in one frozen table, resolution in one function.

import type { RunLimits } from "../actors/facts.ts";
import type { TopologyLimits } from "../topology/types.ts";
import type { RetryPolicies, SteeringMode } from "./agent.ts";
import {
  isConvergencePolicyOption,
  resolveConvergencePolicy,
  type ConvergencePolicyOption,
} from "./convergence-option.ts";
import { amount, bound, check, count, durationMs, flag, object } from "./option-schema.ts";
import { RETRY_BY_CLASS, steeringMode } from "./agent-policies.ts";
import { resolveRetry, type RetryOption } from "./retry-option.ts";
import { StatusConfig } from "./status.ts";

export interface ExecutionConfig {
  /** How long a join waits, from its first arrival. Default 300_000. */
  readonly convergenceTimeoutMs?: number | false;
  /** Live time of one branch; never the root branch. Default `false`; 600_000 is a good figure. */
  readonly branchTimeoutMs?: number | false;
  /** One attempt of a step; waiting for people, calls and nested runs does not count. Default 120_000. */
  readonly stepTimeoutMs?: number | false;
  /** Forked branches join where they meet. `false`: every arrival is an activation of its own. Default true. */
  readonly dynamicConvergenceEnabled?: boolean;
  /** When a join fires with less than everything. Default `{ minRatio: 1, onInsufficient: "fail" }`. */
  readonly convergencePolicy?: ConvergencePolicyOption;
  /**
   * What model-backed agents are told of the topology; functions ignore it. `auto`: whom they may call and whether they may
   * finish, where there is a choice; the JSON form of a reply after a bad one. `always`: all of it on every call, and every
   * reply must be an action. `never`: nothing; whatever the model says is a plain value. A resumed run follows the
   * instance's `initialConfig`. Default "auto".
   */
  readonly steeringMode?: SteeringMode;
  /** Steps running at one time in this process. Default 16. */
  readonly maxConcurrency?: number;
  /** Overrides of the retry policy of each failure class. */
  readonly retry?: RetryOption;
  /** Progress lines. Default: by `verbosity`. */
  readonly status?: StatusConfig;
  /** A checkpoint after every so many steps, of which the last `keep` (default: all) stay. A user's own are never removed, whatever their name. A resumed run follows the instance's `initialConfig`. */
  readonly autoCheckpoint?: { readonly everySteps?: number; readonly keep?: number };
}

export const DEFAULT_EXECUTION_CONFIG = Object.freeze({
  convergenceTimeoutMs: 300_000,
  branchTimeoutMs: false,
  stepTimeoutMs: 120_000,
  dynamicConvergenceEnabled: true,
  convergencePolicy: "all",
  steeringMode: "auto",
  maxConcurrency: 16,
} as const satisfies ExecutionConfig);

export const DEFAULT_MAX_STEPS = 100;

export interface Budget {
  readonly tokens?: number | false;
  readonly costUsd?: number | false;
  /** Live time of the whole run. */
  readonly durationMs?: number | false;
}

export const executionConfigSchema = object({
  convergenceTimeoutMs: durationMs,
  branchTimeoutMs: durationMs,
  stepTimeoutMs: durationMs,
  dynamicConvergenceEnabled: flag,
  convergencePolicy: check(
    isConvergencePolicyOption,
    '"all", "any", { quorum: n } or { minRatio: 0..1, onInsufficient: "fail" | "proceed" | "user" }',
  ),
  steeringMode,
  maxConcurrency: count,
  retry: object(RETRY_BY_CLASS),
  status: check((value) => value instanceof StatusConfig, "StatusConfig.fromVerbosity(0 | 1 | 2)"),
  autoCheckpoint: object({ everySteps: count, keep: count }),
});

export const maxStepsSchema = bound;
export const budgetSchema = object({ tokens: bound, costUsd: amount, durationMs });

export interface LimitOptions {
  readonly execution: ExecutionConfig;
  readonly maxSteps: number | false | undefined;
  readonly budget: Budget;
  readonly errorRouting: boolean;
  readonly rules: TopologyLimits | undefined;
}

/**
 * The bounds of one run. Where an option and a rule of the topology both say something, the smaller holds; a default
 * gives way to either.
 */
export function resolveLimits({ execution, maxSteps, budget, errorRouting, rules = {} }: LimitOptions): RunLimits {
  const steps = smaller(maxSteps, rules.maxSteps, DEFAULT_MAX_STEPS);
  return {
    maxSteps: steps === false ? Number.MAX_SAFE_INTEGER : steps,
    tokens: budget.tokens ?? false,
    costUsd: budget.costUsd ?? false,
    durationMs: smaller(budget.durationMs, rules.durationMs, false),
    maxAgents: rules.maxAgents ?? false,
    branchTimeoutMs: execution.branchTimeoutMs ?? DEFAULT_EXECUTION_CONFIG.branchTimeoutMs,
    convergenceTimeoutMs: execution.convergenceTimeoutMs ?? DEFAULT_EXECUTION_CONFIG.convergenceTimeoutMs,
    stepTimeoutMs: smaller(execution.stepTimeoutMs, rules.agentTimeoutMs, DEFAULT_EXECUTION_CONFIG.stepTimeoutMs),
    convergencePolicy: resolveConvergencePolicy(execution.convergencePolicy),
    convergence: execution.dynamicConvergenceEnabled ?? DEFAULT_EXECUTION_CONFIG.dynamicConvergenceEnabled,
    errorRouting,
  };
}

export function resolveRetryPolicies(execution: ExecutionConfig): RetryPolicies {
  return resolveRetry(execution.retry);
}

/** `over` laid over `under`, one level down for `retry`; an absent or undefined key leaves what is below. */
export function mergeExecutionConfig(under: ExecutionConfig, over: ExecutionConfig): ExecutionConfig {
  const retry: RetryOption = { ...under.retry, ...defined(over.retry ?? {}) };
  return { ...under, ...defined(over), ...(Object.keys(retry).length > 0 ? { retry } : {}) };
}

function defined<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

// A rule stands even against an explicit `false`: the topology was declared to have it.
function smaller(
  option: number | false | undefined,
  rule: number | undefined,
  otherwise: number | false,
): number | false {
  if (rule === undefined) return option ?? otherwise;
  return typeof option === "number" ? Math.min(option, rule) : rule;
}
