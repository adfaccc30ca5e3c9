// Back edges
//
// Tells the edges that repeat from the edges that go on (architecture, 5.4). A back edge leads to a node that
// dominates its source; one marked `back: true` repeats whether it does or not; every other flow and error edge is forward.
//
// B1  Dominators are taken from one virtual root that leads to the entry, and to nodes that flow and error edges
//     do not reach from it. Those are added one at a time, each only if none before reaches it: first what a call, conversation,
//     peer or notify edge enters, in declared order, then what is left, nodes without flow edges into them first. A spoke with a private flow region
//     thus has a root of its own, while a node of the main flow that is also called keeps its dominators:
//     a reply does not flow on, so that a call does not make a second way into a loop.
// B2  Edges marked `back: true` take no part in the dominators, so that marking one settles which node heads the loop.
// B3  What remains must be acyclic. Where it is not, validation refuses, and asks for marks on the edges that
//     close a cycle, depth first from the roots. They are found one at a time, each as if those before were marked, so that
//     no mark is asked for in vain; a plan compiled all the same is the plan with these marks.

import {
  addBits,
  createBits,
  depthFirst,
  dominance,
  hasBit,
  immediateDominators,
  reachableFrom,
  setBit,
} from "./graph.ts";
import type { RoledEdge, RoledTopology } from "./edge-roles.ts";
import type { PlanEdge } from "./plan.ts";

export interface BackEdges {
  /** By position in the edges; "none" for edges that are neither flow nor error. */
  readonly kinds: readonly PlanEdge["back"][];
  /** Nodes through which flow regions are entered, the entry first. */
  readonly roots: readonly number[];
  /** Edges that close a cycle and are not marked (B3), with the cycle they close. */
  readonly unmarked: readonly { edge: number; cycle: readonly number[] }[];
}

/** Does control pass along the edge from one node to another, as far as dominators and forks are concerned? */
export function isMoving(edge: RoledEdge, roled: RoledTopology): boolean {
  if (edge.to < 0 || roled.acts[edge.to] === "exit" || roled.acts[edge.from] === "exit") return false;
  return edge.role === "flow" || (edge.role === "error" && roled.errorRouting);
}

export function findBackEdges(roled: RoledTopology): BackEdges {
  const moving = roled.edges.flatMap((edge, id) => (isMoving(edge, roled) ? [{ edge, id }] : []));
  const marks = new Set(moving.flatMap(({ edge, id }) => (edge.data.back === true ? [id] : [])));
  const unmarked: { edge: number; cycle: readonly number[] }[] = [];
  for (;;) {
    const { kinds, roots, forward } = sortEdges(roled, moving, marks);
    const [closing] = depthFirst(forward, roots).retreating;
    if (closing === undefined) return { kinds, roots, unmarked };
    const { from, to, cycle } = closing;
    // Of a flow and an error edge between the same nodes both close the cycle, and one round finds one of them.
    const found = moving.find(({ edge, id }) => edge.from === from && edge.to === to && kinds[id] === "none");
    if (found === undefined) throw new TypeError("a cycle is closed by an edge that is not forward");
    marks.add(found.id);
    unmarked.push({ edge: found.id, cycle });
  }
}

/** B1 and B2: what each edge is when those in `marks` are marked. */
function sortEdges(
  roled: RoledTopology,
  moving: readonly { edge: RoledEdge; id: number }[],
  marks: ReadonlySet<number>,
) {
  const size = roled.data.nodes.length;
  const succ: number[][] = Array.from({ length: size + 1 }, () => []);
  for (const { edge, id } of moving) if (!marks.has(id)) succ[edge.from]?.push(edge.to);
  const roots = findRoots(roled, succ);
  succ[size] = roots;
  const dominates = dominance(immediateDominators(succ, size), size);

  const kinds: PlanEdge["back"][] = roled.edges.map(() => "none");
  const forward: number[][] = Array.from({ length: size }, () => []);
  for (const { edge, id } of moving) {
    if (dominates(edge.to, edge.from)) kinds[id] = "natural";
    else if (marks.has(id)) kinds[id] = "marked";
    else forward[edge.from]?.push(edge.to);
  }
  return { kinds, roots, forward };
}

/** B1. */
function findRoots(roled: RoledTopology, succ: readonly (readonly number[])[]): number[] {
  const size = roled.data.nodes.length;
  const enterable = createBits(size);
  const hasPredecessor = createBits(size);
  for (const targets of succ) for (const to of targets) setBit(hasPredecessor, to);
  for (const { from, to, role } of roled.edges) {
    if (role === "flow" || role === "exit" || role === "error" || role === "recovery" || to < 0) continue;
    setBit(enterable, to);
    if (role === "peers") setBit(enterable, from);
  }
  const roots: number[] = [];
  const reached = createBits(size + 1);
  const add = (root: number): void => {
    if (root >= size || hasBit(reached, root)) return;
    roots.push(root);
    setBit(reached, root);
    addBits(reached, reachableFrom(succ, root));
  };
  add(roled.entry.node);
  for (let id = 0; id < size; id++) if (hasBit(enterable, id)) add(id);
  for (let id = 0; id < size; id++) if (!hasBit(hasPredecessor, id)) add(id);
  for (let id = 0; id < size; id++) add(id);
  return roots;
}
