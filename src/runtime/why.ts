// Why: what a run waits for, as its state says it, what of that is under way in this process, and who is behind it.

import type { Why as StateWhy } from "../actors/view.ts";
import { planOf, why } from "../actors/view.ts";
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
  /** Where hosts share the bus. */
  readonly cluster?: {
    /** The host that owns the session; null when nobody does. */
    readonly host: string | null;
    /** Why nobody does, as far as that is known here. */
    readonly unowned?: string;
    /** Steps whose agent no host that is alive serves. */
    readonly unserved: readonly { readonly stepId: string; readonly agent: string }[];
    /** Steps the queue has no room for, as far as the owner is this process. */
    readonly full: readonly string[];
  };
}

export function whyOf(state: SessionState, inFlight: readonly string[], cluster?: Why["cluster"]): Why {
  const recorded = (state.run?.pause?.pending ?? []).flatMap(({ fact }) => ("stepId" in fact ? [fact.stepId] : []));
  return {
    ...why(state),
    inFlight: inFlight.filter((stepId) => !recorded.includes(stepId)),
    recorded,
    ...(cluster !== undefined && { cluster }),
  };
}

/** Steps that wait for an agent which `isServed` says nobody has. */
export function unservedSteps(
  state: SessionState,
  isServed: (agent: string) => boolean,
): { readonly stepId: string; readonly agent: string }[] {
  if (state.run === null || state.run.end !== null) return [];
  const { nodes } = planOf(state);
  return why(state).steps.flatMap(({ stepId, node }) => {
    const data = nodes.find(({ name }) => name === node)?.data;
    const agent = data?.uses ?? node;
    return isServed(agent) ? [] : [{ stepId, agent }];
  });
}
