// Reducer (the interface; the rules of architecture 4 and 5 live in the files beside it)

import type { Effect, KernelEvent } from "./effects.ts";
import type { Fact } from "./facts.ts";
import type { SessionState } from "./session-state.ts";

export interface Reduction {
  readonly state: SessionState;
  readonly effects: readonly Effect[];
  readonly events: readonly KernelEvent[];
  /** Why the fact was dropped (stale attempt, settled branch, ended run); undefined when it was applied. */
  readonly refused?: string;
}

export interface CommitReduction {
  readonly state: SessionState;
  readonly effects: readonly Effect[];
  readonly events: readonly KernelEvent[];
  /** The facts that were applied, in order: what belongs in the commit. */
  readonly accepted: readonly Fact[];
  readonly refused: readonly { readonly fact: Fact; readonly reason: string }[];
}

export declare function initialState(sessionId: string): SessionState;
export declare function reduce(state: SessionState, fact: Fact, atMs: number): Reduction;
/** Folds facts in order, dropping those the state cannot accept. Remembers its last result, so folding the same facts on the same state again is free. */
export declare function reduceAll(state: SessionState, facts: readonly Fact[], atMs: number): CommitReduction;
