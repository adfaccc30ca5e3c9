// What folding a fact, or the facts of a commit, comes to.

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
  /** The state the facts were folded on. */
  readonly from: SessionState;
  readonly state: SessionState;
  readonly effects: readonly Effect[];
  readonly events: readonly KernelEvent[];
  /** The facts that were applied, in order: what belongs in the commit. */
  readonly accepted: readonly Fact[];
  readonly refused: readonly { readonly fact: Fact; readonly reason: string }[];
}
