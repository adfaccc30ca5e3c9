// Gate
//
// The one place where a step may be refused before it is handed out: the bounds of the run and the rules of its
// topology. A refusal ends the run with its reason; hitting a bound is never success.

import type { TerminalReason } from "./effects.ts";
import type { RunState } from "./session-state.ts";

export type GateVerdict =
  | { readonly type: "pass" }
  /** In line until a step in flight ends. */
  | { readonly type: "wait" }
  | { readonly type: "refuse"; readonly reason: TerminalReason; readonly rule: string; readonly message: string };

type GateView = Pick<RunState, "steps" | "usage" | "limits"> & { readonly steppers: { readonly size: number } };

export function decideGate({ steps, usage, limits, steppers }: GateView): GateVerdict {
  if (steps >= limits.maxSteps) {
    return {
      type: "refuse",
      reason: "max_steps",
      rule: "max_steps",
      message: `the run may take ${limits.maxSteps} steps and has taken ${steps}`,
    };
  }
  const tokens = usage.inputTokens + usage.outputTokens;
  if (limits.tokens !== false && tokens >= limits.tokens) {
    return {
      type: "refuse",
      reason: "tokens",
      rule: "budget.tokens",
      message: `the run may use ${limits.tokens} tokens and has used ${tokens}`,
    };
  }
  if (limits.costUsd !== false && usage.costUsd >= limits.costUsd) {
    return {
      type: "refuse",
      reason: "cost",
      rule: "budget.costUsd",
      message: `the run may cost ${limits.costUsd} USD and has cost ${usage.costUsd}`,
    };
  }
  return limits.maxAgents !== false && steppers.size >= limits.maxAgents ? { type: "wait" } : { type: "pass" };
}

export interface BudgetWarning {
  readonly budget: "steps" | "tokens" | "costUsd";
  readonly used: number;
  readonly limit: number;
}

const WARN_AT = 0.8;

/** Budgets of which at least 80 % are used and that were not warned of before. */
export function decideWarnings({
  steps,
  usage,
  limits,
  warned,
}: Pick<RunState, "steps" | "usage" | "limits" | "warned">): readonly BudgetWarning[] {
  const tokens = usage.inputTokens + usage.outputTokens;
  if (!isNear(steps, limits.maxSteps) && !isNear(tokens, limits.tokens) && !isNear(usage.costUsd, limits.costUsd))
    return NO_WARNINGS;
  const warnings: BudgetWarning[] = [];
  const look = (budget: BudgetWarning["budget"], used: number, limit: number | false): void => {
    if (limit !== false && isNear(used, limit) && !warned.includes(budget)) warnings.push({ budget, used, limit });
  };
  look("steps", steps, limits.maxSteps);
  look("tokens", tokens, limits.tokens);
  look("costUsd", usage.costUsd, limits.costUsd);
  return warnings;
}

const NO_WARNINGS: readonly BudgetWarning[] = Object.freeze([]);

function isNear(used: number, limit: number | false): boolean {
  return limit !== false && used >= limit * WARN_AT;
}
