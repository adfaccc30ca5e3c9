// Why: what a run waits for, as its state says it, and what of that is under way in this process.

import type { Why as StateWhy } from "../actors/view.ts";
import { why } from "../actors/view.ts";
import type { SessionState } from "../actors/session-state.ts";

/** What a run waits for now, for people. */
export interface Why extends StateWhy {
  /**
   * Steps that this process has handed out and that have not ended. A paused run that lets its steps finish still waits
   * for these; what else `steps` lists is begun when it is resumed.
   */
  readonly inFlight: readonly string[];
  /** Steps that have ended during the pause: what they came to is recorded, and followed when the run is resumed. */
  readonly recorded: readonly string[];
}

export function whyOf(state: SessionState, inFlight: readonly string[]): Why {
  const recorded = (state.run?.pause?.pending ?? []).flatMap(({ fact }) => ("stepId" in fact ? [fact.stepId] : []));
  return { ...why(state), inFlight: inFlight.filter((stepId) => !recorded.includes(stepId)), recorded };
}
