// Loop
//
// Decides what a run does next: ask the team, make a check, or end. Pure; `loop-topology.ts` does it.
//
// O1  An iteration is one go of the team and all its checks; every check is made, also after one that failed.
// O2  A run has converged when all checks of one iteration passed, and only then.

import type { ErrorData } from "../base/errors.ts";
import type { CheckResult } from "./check-result.ts";
import type { RunSpec } from "./run-spec.ts";
import type { BudgetName, Searches } from "./run-events.ts";

export interface LoopState {
  /** From 1; 0 before the first. */
  readonly iteration: number;
  /** Of this iteration, so far. */
  readonly checks: readonly CheckResult[];
}
export const LOOP_START: LoopState = Object.freeze({ iteration: 0, checks: [] });

/** What the last thing that was done came to. */
export type LoopReply =
  | { readonly from: "prepare" }
  | { readonly from: "team"; readonly outcome: { readonly type: "done" } | Exclude<TeamOutcome, { type: "done" }> }
  | { readonly from: "check"; readonly result: CheckResult };

export type TeamOutcome = { readonly searched?: Searches } & (
  | { readonly type: "done"; readonly output: unknown }
  | { readonly type: "failed"; readonly error: ErrorData }
  | { readonly type: "exhausted"; readonly budget: BudgetName }
);

export type LoopAction =
  | { readonly type: "team"; readonly iteration: number; readonly feedback: readonly CheckResult[] }
  | { readonly type: "check"; readonly iteration: number; readonly index: number }
  | { readonly type: "converged" }
  | { readonly type: "exhausted"; readonly budget: BudgetName }
  | { readonly type: "failed"; readonly error: ErrorData };

export function decideNext(
  spec: Pick<RunSpec, "checks" | "maxIterations">,
  state: LoopState,
  reply: LoopReply,
): { readonly state: LoopState; readonly action: LoopAction } {
  switch (reply.from) {
    case "prepare":
      return again(state);
    case "team":
      if (reply.outcome.type !== "done") return { state, action: reply.outcome };
      return checkOrJudge(spec, state);
    case "check":
      return checkOrJudge(spec, { ...state, checks: [...state.checks, reply.result] });
  }
}

function checkOrJudge(
  { checks, maxIterations }: Pick<RunSpec, "checks" | "maxIterations">,
  state: LoopState,
): { readonly state: LoopState; readonly action: LoopAction } {
  const { iteration } = state;
  const index = state.checks.length;
  if (index < checks.length) return { state, action: { type: "check", iteration, index } };
  if (state.checks.every(({ passed }) => passed)) return { state, action: { type: "converged" } };
  if (iteration >= maxIterations) return { state, action: { type: "exhausted", budget: "iterations" } };
  return again(state);
}

function again(state: LoopState): { readonly state: LoopState; readonly action: LoopAction } {
  const iteration = state.iteration + 1;
  const feedback = state.checks.filter(({ passed }) => !passed);
  return { state: { iteration, checks: [] }, action: { type: "team", iteration, feedback } };
}
