// Budget share: what of a run's budget a call of a model sets aside, and how much it may answer for that.

import type { BudgetLeft, DecideShare } from "../../runtime/agent.ts";
import { costUsd, type ModelPrice } from "./price.ts";

/** What a call is taken to answer at most, where its settings do not say. */
export const ASSUMED_OUTPUT_TOKENS = 4_096;

export interface CallSize {
  /** Estimated. */
  readonly inputTokens: number;
  /** As the agent's settings have it. */
  readonly maxOutputTokens: number | undefined;
  readonly price: ModelPrice | undefined;
}

/** How many tokens the budget lets the call answer; below 1 it lets it do nothing. Infinity: there is no budget. */
export function affordableOutput(left: BudgetLeft, { inputTokens, price }: CallSize): BudgetCap {
  const byTokens = left.tokens === false ? Infinity : left.tokens - inputTokens;
  const byCost = left.costUsd === false ? Infinity : affordableByCost(left.costUsd, inputTokens, price);
  return byTokens <= byCost ? { tokens: byTokens, budget: "tokens" } : { tokens: byCost, budget: "costUsd" };
}

/** The limit of output tokens that a budget sets. */
export interface BudgetCap {
  readonly tokens: number;
  readonly budget: "tokens" | "costUsd";
}

/**
 * Takes what is wanted, or, where nobody gives anything back any more, what there is. `onTake` is told the limit that the
 * budget sets; undefined where it sets none below what is wanted.
 */
export function shareOf(size: CallSize, onTake: (cap: BudgetCap | undefined) => void): DecideShare {
  return (left, mayGrow) => {
    const { inputTokens, maxOutputTokens = ASSUMED_OUTPUT_TOKENS, price } = size;
    const { tokens, budget } = affordableOutput(left, size);
    if (tokens < (mayGrow ? maxOutputTokens : 1)) return { type: "refuse", budget };
    const outputTokens = Math.min(maxOutputTokens, tokens);
    onTake(tokens < maxOutputTokens ? { tokens, budget } : undefined);
    return {
      type: "take",
      share: { tokens: inputTokens + outputTokens, costUsd: costUsd(price, { inputTokens, outputTokens }) },
    };
  };
}

function affordableByCost(left: number, inputTokens: number, price: ModelPrice | undefined): number {
  const spare = left - costUsd(price, { inputTokens, outputTokens: 0 });
  if (spare <= 0) return 0;
  return price === undefined || price.output === 0 ? Infinity : Math.floor((spare * 1_000_000) / price.output);
}
