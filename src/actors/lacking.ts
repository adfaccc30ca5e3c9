// Lacking: what a join that was decided with too few of its branches says, to whoever it fails for or asks.

import type { ConvergencePolicy } from "../topology/types.ts";
import type { Barrier } from "./session-state.ts";

interface Join {
  readonly node: string;
  readonly policy: ConvergencePolicy;
  readonly barrier: Pick<Barrier, "arrivals" | "failed" | "missing">;
  /** Nodes at which branches stand that could still have come. */
  readonly onTheWay: readonly string[];
}

/** `J wants 2 of 3 branches, 1 arrived (A); failed: B, C`. */
export function wantedText({ node, policy, barrier, onTheWay }: Join): string {
  const { arrivals, failed, missing } = barrier;
  const total = arrivals.length + failed + onTheWay.length;
  const arrived = `${arrivals.length} arrived${arrivals.length === 0 ? "" : ` (${namesOf(Array.from(arrivals, ({ from }) => from))})`}`;
  const rest = [
    ...(failed === 0 ? [] : [`failed: ${namesOf(missing)}`]),
    ...(onTheWay.length === 0 ? [] : [`on the way: ${namesOf(onTheWay)}`]),
  ];
  return `${node} wants ${wanted(policy, total)}, ${arrived}; ${rest.join("; ") || "nobody else is left to come"}`;
}

/** Whether a join wants anything but all of its branches. */
export function wantsAll({ quorum, minRatio = 1 }: ConvergencePolicy): boolean {
  return quorum === undefined && minRatio === 1;
}

function wanted({ quorum, minRatio = 1 }: ConvergencePolicy, total: number): string {
  if (quorum === undefined) return `${Math.round(minRatio * 1000) / 10} % of ${total} branches`;
  if (quorum <= total) return `${quorum} of ${total} branches`;
  return `${quorum} ${quorum === 1 ? "branch" : "branches"}`;
}

function namesOf(names: readonly string[]): string {
  return names.toSorted().join(", ");
}
