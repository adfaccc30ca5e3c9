// Place: what the topology makes of a plain value where a branch stands, conditions aside, and whether it may end there.
// A view only: `outcomes.ts` decides, once the value is there.

import type { Draft } from "./draft.ts";
import { isSpent } from "./moves.ts";
import type { Branch } from "./session-state.ts";

export interface Place {
  /**
   * Where a plain value goes from here. `turn`: to the other side of the conversation the step is in. `conversation`: it
   * opens one. `call`: it calls every callee whose condition holds. `reply`: back to the caller. `flow`: on over the edges
   * whose conditions hold. `deliver`: it is the response.
   */
  readonly plainValue: "turn" | "conversation" | "call" | "reply" | "flow" | "deliver";
  /** The topology lets a value end here: as a reply, a last turn, or the response. */
  readonly mayFinish: boolean;
  /** The topology has a person. */
  readonly mayAsk: boolean;
}

export function placeOf(draft: Draft, branch: Branch): Place {
  const plan = draft.plan;
  const { out } = plan.nodes[branch.node]!;
  return {
    plainValue: plainValueOf(draft, branch),
    mayFinish: isTurn(draft, branch) || branch.enteredByCall || out.exit.length > 0 || out.flow.length === 0,
    mayAsk: plan.nodes.some(({ data }) => data.kind === "user"),
  };
}

function plainValueOf(draft: Draft, branch: Branch): Place["plainValue"] {
  const { out } = draft.plan.nodes[branch.node]!;
  const edge = (id: number) => draft.plan.edges[id]!;
  if (isTurn(draft, branch)) return "turn";
  if (out.conversation.some((id) => !branch.conversed.includes(id) && !isSpent(draft, edge(id)))) return "conversation";
  const { callers } = draft.frame(branch.frame);
  const woken = branch.phase.kind === "step" && branch.phase.work.woken;
  if (!woken && out.call.some((id) => !callers.includes(edge(id).to) && !isSpent(draft, edge(id)))) return "call";
  if (branch.enteredByCall) return "reply";
  return out.flow.length > 0 ? "flow" : "deliver";
}

function isTurn(draft: Draft, branch: Branch): boolean {
  return draft.frame(branch.frame).kind === "conversation" && branch.instance === 0;
}
