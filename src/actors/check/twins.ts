// Twins: nodes that could change places without anybody noticing, such as the receivers of a broadcast. Runs that differ only in
// which twin did what have the same future, so that a search needs one of them (Ip and Dill, "Better
// Verification Through Symmetry", 1996).
//
// T1  Twins have the same settings, and the same edges to and from the same others; none between themselves.
// T2  Where order matters there are no twins: edges with a bound, conversations, calls one after another, joins.
// T3  A condition on the way to one of them is a matter of that edge alone.

import type { Plan, PlanEdge, PlanNode } from "../../topology/plan.ts";

/** For each node the lowest number among its twins, itself included. */
export function twinsOf(plan: Plan): readonly number[] {
  const uses = new Map<string, number>();
  for (const edge of plan.edges) {
    const key = conditionAt(edge);
    uses.set(key, (uses.get(key) ?? 0) + 1);
  }
  const into = plan.nodes.map((): PlanEdge[] => []);
  const outOf = plan.nodes.map((): PlanEdge[] => []);
  for (const edge of plan.edges) {
    outOf[edge.from]!.push(edge);
    if (edge.to >= 0) into[edge.to]!.push(edge);
  }
  const first = new Map<string, number>();
  return plan.nodes.map((node) => {
    const around = [...into[node.id]!, ...outOf[node.id]!];
    if (!mayHaveTwins(plan, node) || !around.every((edge) => isUnordered(plan, edge))) return node.id;
    const sharesCondition = into[node.id]!.some((edge) => edge.conditional && uses.get(conditionAt(edge)) !== 1);
    if (sharesCondition) return node.id;
    const { name: _name, timeoutMs: _timeoutMs, uses: _uses, metadata: _metadata, ...settings } = node.data;
    const key = JSON.stringify([
      settings,
      node.act,
      into[node.id]!.map((edge) => `${edge.from} ${kindOf(edge)}`).sort(),
      outOf[node.id]!.map((edge) => `${edge.to} ${kindOf(edge)} ${edge.data.condition ?? ""}`).sort(),
    ]);
    const known = first.get(key);
    if (known === undefined) first.set(key, node.id);
    return known ?? node.id;
  });
}

function mayHaveTwins(plan: Plan, node: PlanNode): boolean {
  return (
    (node.act === "step" || node.act === "ask") && node.id !== plan.entry && !node.rendezvous && !node.returnRendezvous
  );
}

function isUnordered(plan: Plan, edge: PlanEdge): boolean {
  if (edge.maxVisits !== false || edge.from === edge.to) return false;
  if (edge.role === "call") return plan.nodes[edge.from]!.data.parallelCalls === true;
  return edge.role !== "conversation" && edge.role !== "peers";
}

function kindOf({ role, back, conditional, isElse, data }: PlanEdge): string {
  return [role, back, conditional, isElse, data.pattern, data.type].join();
}

function conditionAt({ from, data }: PlanEdge): string {
  return `${from} ${data.condition ?? ""}`;
}
