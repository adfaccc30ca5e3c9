// Loop policy: how long a run goes on, in either of its spellings.

import { OrchestraError } from "../base/errors.ts";
import { count, delayMs, durationMs, object, amount, bound } from "../runtime/option-schema.ts";
import type { RetryOption } from "../runtime/retry-option.ts";
import type { CheckSpec, RunBudget } from "./run-spec.ts";
import {
  readSuccessCriteria,
  successCriteriaSchema,
  type CommandSpec,
  type CustomCriterion,
  type SuccessCriteria,
} from "./success-criteria.ts";

export type { CommandSpec } from "./success-criteria.ts";

/** How often an agent's failure of one class is tried again. A retry is no iteration. */
export interface ClassRetry {
  /** Attempts in all. */
  readonly maxAttempts?: number;
  /** Before the second attempt; it doubles from there. */
  readonly backoffMs?: number;
}

export interface RetryPolicyInput extends ClassRetry {
  /** Instead of the two above, for one class. `transient` covers time-outs; a used-up budget is never tried again. */
  readonly onFailureClass?: {
    readonly transient?: ClassRetry;
    readonly permanent?: ClassRetry;
  };
}

export interface LoopPolicy {
  /** Default 5. */
  readonly maxIterations?: number;
  /** Of the whole run, in milliseconds, time while no process runs it left out. `budgetLimits.timeMs` is the same. */
  readonly maxDurationMs?: number | false;
  /** `budgetLimits.tokens` is the same. */
  readonly tokenBudget?: number | false;
  readonly budgetLimits?: {
    readonly tokens?: number | false;
    readonly timeMs?: number | false;
    readonly costUsd?: number | false;
  };
  /** Default: none, and the run has converged after its first iteration. */
  readonly successCriteria?: SuccessCriteria;
  /** Of transient failures; permanent ones are tried once. */
  readonly retryPolicy?: RetryPolicyInput;
}

export const DEFAULT_MAX_ITERATIONS = 5;

const classRetry = { maxAttempts: count, backoffMs: delayMs };
export const loopPolicySchema = object({
  maxIterations: count,
  maxDurationMs: durationMs,
  tokenBudget: bound,
  budgetLimits: object({ tokens: bound, timeMs: durationMs, costUsd: amount }),
  successCriteria: successCriteriaSchema,
  retryPolicy: object({
    ...classRetry,
    onFailureClass: object({ transient: object(classRetry), permanent: object(classRetry) }),
  }),
});

export interface ReadPolicy {
  readonly maxIterations: number;
  readonly budget: RunBudget;
  readonly retry?: RetryOption;
  readonly checks: readonly CheckSpec[];
  readonly custom: Readonly<Record<string, CustomCriterion>>;
}

/** @throws {OrchestraError} `ORCH_BAD_OPTION` */
export function readLoopPolicy(
  policy: LoopPolicy,
  known: { readonly commands: Readonly<Record<string, CommandSpec>>; readonly customNames: readonly string[] },
): ReadPolicy {
  const { budgetLimits = {}, successCriteria = {}, retryPolicy } = policy;
  const budget: RunBudget = {
    ...bounded("tokens", eitherOf("tokenBudget", policy.tokenBudget, "tokens", budgetLimits.tokens)),
    ...bounded("durationMs", eitherOf("maxDurationMs", policy.maxDurationMs, "timeMs", budgetLimits.timeMs)),
    ...bounded("costUsd", budgetLimits.costUsd),
  };
  return {
    maxIterations: policy.maxIterations ?? DEFAULT_MAX_ITERATIONS,
    budget,
    ...(retryPolicy !== undefined && { retry: retryOf(retryPolicy) }),
    ...readSuccessCriteria(successCriteria, known),
  };
}

function eitherOf(
  name: string,
  own: number | false | undefined,
  upstream: string,
  theirs: number | false | undefined,
): number | false | undefined {
  if (own !== undefined && theirs !== undefined)
    throw new OrchestraError(
      "ORCH_BAD_OPTION",
      `startRun.loopPolicy.${name}: is the same as budgetLimits.${upstream}; expected one of them`,
    );
  return own ?? theirs;
}

function bounded(name: keyof RunBudget, value: number | false | undefined): RunBudget {
  return value === undefined || value === false ? {} : { [name]: value };
}

function retryOf({ onFailureClass = {}, ...all }: RetryPolicyInput): RetryOption {
  const transient = kernelRetry({ ...all, ...onFailureClass.transient });
  return { transient, timeout: transient, permanent: kernelRetry({ maxAttempts: 1, ...onFailureClass.permanent }) };
}

function kernelRetry({ maxAttempts, backoffMs }: ClassRetry): NonNullable<RetryOption["transient"]> {
  return {
    ...(maxAttempts !== undefined && { maxAttempts }),
    // Without chance, so that each delay is longer than the one before.
    ...(backoffMs !== undefined && { initialDelayMs: backoffMs, factor: 2, jitter: 0 }),
  };
}
