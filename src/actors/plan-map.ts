// Plan map: what of one plan stands in another, by name.
//
// A node is found by its name, or by the one it was given since; a node whose name another was given is not there any
// more. An edge is found by its ends and its part; of several alike, the first is the first.

import type { Plan, PlanEdge } from "../topology/plan.ts";

/** Old name → new name. */
export type Renames = Readonly<Record<string, string>>;

export interface PlanMap {
  readonly from: Plan;
  readonly to: Plan;
  /** Number of a node of `from` in `to`; -1 when it is not there. So for ends and edges. */
  node(id: number): number;
  end(end: number): number;
  edge(id: number): number;
  name(name: string): string;
}

export const GONE = -1;

export function mapPlans(from: Plan, to: Plan, renames: Renames): PlanMap {
  const given = new Set(Object.values(renames));
  const name = (old: string): string => (Object.hasOwn(renames, old) ? (renames[old] ?? old) : old);
  const nodes = from.nodes.map((node) =>
    given.has(node.name) && !Object.hasOwn(renames, node.name) ? GONE : (to.nodeByName.get(name(node.name)) ?? GONE),
  );
  const node = (id: number): number => nodes[id] ?? GONE;
  const edges = mapEdges(from, to, node);
  return {
    from,
    to,
    node,
    end: (end) => {
      const at = node(from.nodeOf(end));
      return at === GONE || !from.isReturn(end) ? at : to.returnOf(at);
    },
    edge: (id) => edges[id] ?? GONE,
    name,
  };
}

function mapEdges(from: Plan, to: Plan, node: (id: number) => number): number[] {
  const places = new Map<string, number[]>();
  for (const edge of to.edges) {
    const key = keyOf(edge, edge.from, edge.to);
    places.set(key, [...(places.get(key) ?? []), edge.id]);
  }
  return from.edges.map((edge) => {
    // The implicit exit edge of an exit point leads nowhere, in both.
    const target = edge.to < 0 ? edge.to : node(edge.to);
    if (node(edge.from) === GONE || (edge.to >= 0 && target === GONE)) return GONE;
    return places.get(keyOf(edge, node(edge.from), target))?.shift() ?? GONE;
  });
}

function keyOf({ role, data }: PlanEdge, from: number, to: number): string {
  return [from, to, role, data.pattern, data.type].join(" ");
}

/** Renames that name nothing, or one thing twice. */
export function renameProblems(from: Plan, to: Plan, renames: Renames): string[] {
  const problems: string[] = [];
  const taken = new Map<string, string>();
  for (const [old, now] of Object.entries(renames)) {
    if (!from.nodeByName.has(old))
      problems.push(`"${old}" is to be renamed, and the topology of the run has no such node`);
    if (!to.nodeByName.has(now)) problems.push(`"${old}" is to become "${now}", and the new topology has no such node`);
    const other = taken.get(now);
    if (other !== undefined) problems.push(`"${other}" and "${old}" are both to become "${now}"`);
    taken.set(now, old);
  }
  return problems;
}
