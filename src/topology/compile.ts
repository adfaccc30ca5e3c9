// Compile
//
// From topology data to a plan: roles of edges, then back edges, then the static answers. Total for every
// topology whose edges name declared nodes, and deterministic; what a plan cannot mean well is
// reported by findPlanProblems, and validation refuses it before a run starts.

import { findBackEdges, isMoving } from "./back-edges.ts";
import { assignRoles } from "./edge-roles.ts";
import { Ends } from "./ends.ts";
import { hasBit } from "./graph.ts";
import { assertFieldsKnown } from "./known-fields.ts";
import type { NodeEdges, Plan, PlanEdge, PlanNode } from "./plan.ts";
import type { TopologyData } from "./types.ts";

export interface CompileOptions {
  /** With `false`, error edges are kept in `edges` but no node lists them, and no edge is one by convention. */
  readonly errorRouting: boolean;
}

const DEFAULT_MAX_TURNS = 10;
const compiled = new WeakMap<TopologyData, { on?: Plan; off?: Plan }>();

/**
 * The same data object gives the same plan object; the data must not change afterwards.
 * @throws {OrchestraError} `ORCH_STORE_VERSION` when a newer program declared it.
 */
export function compilePlan(data: TopologyData, options: CompileOptions): Plan {
  let known = compiled.get(data);
  if (known === undefined) compiled.set(data, (known = {}));
  return (known[options.errorRouting ? "on" : "off"] ??= compile(data, options.errorRouting));
}

function compile(data: TopologyData, errorRouting: boolean): Plan {
  assertFieldsKnown(data);
  const roled = assignRoles(data, errorRouting);
  const { kinds } = findBackEdges(roled);
  const nodeCount = data.nodes.length;
  const edges = roled.edges.map((edge, id): PlanEdge => ({
    id,
    from: edge.from,
    to: edge.to,
    role: edge.role,
    back: kinds[id] ?? "none",
    conditional: edge.data.condition !== undefined,
    isElse: edge.data.else === true,
    maxVisits: edge.data.maxVisits ?? false,
    maxTurns: edge.data.maxTurns ?? DEFAULT_MAX_TURNS,
    data: edge.data,
  }));
  const moving = edges.filter((_, id) => {
    const edge = roled.edges[id];
    return edge !== undefined && isMoving(edge, roled);
  });
  const ends = new Ends({
    nodeCount,
    moving,
    mayEnd: new Set(
      edges
        .filter((e) => e.role === "exit" || (e.role === "error" && errorRouting && roled.acts[e.to] === "exit"))
        .map((e) => e.from),
    ),
    neverJoins: new Set(
      data.nodes.flatMap((node, id) => (node.convergence === false || node.merge === true ? [id] : [])),
    ),
  });
  const owned = ends.owned();
  const out = edgesByNode(edges, nodeCount, errorRouting);
  const nodes = data.nodes.map((node, id): PlanNode => ({
    id,
    name: node.name,
    data: node,
    act: roled.acts[id] ?? "step",
    out: out[id] ?? emptyEdges(),
    rendezvous: hasBit(owned, id),
    returnRendezvous: hasBit(owned, nodeCount + id),
    policy: node.convergencePolicy,
  }));
  return {
    topology: data,
    nodes,
    edges,
    nodeByName: roled.nodeByName,
    entry: roled.entry.node,
    hasQuorum: nodes.some(({ policy }) => policy?.quorum !== undefined),
    isReturn: (end) => end >= nodeCount,
    nodeOf: (end) => (end >= nodeCount ? end - nodeCount : end),
    returnOf: (node) => nodeCount + node,
    owns: (fork, end) => ends.owns(fork, end),
    ownsParallel: (_fork, targets, end) => ends.ownsParallel(targets, end),
    reaches: (fork, from, end) => ends.reaches(fork, from, end),
    leaves: (head, fork) => ends.leaves(head, fork),
    before: (a, b) => ends.before(a, b),
    rank: (end) => ends.rank(end),
    mustReach: (from, end) => ends.mustReach(from, end),
    mayFork: (from, end, fork) => ends.mayFork(from, end, fork),
  };
}

type EdgeLists = { [part in keyof NodeEdges]: number[] };

function emptyEdges(): EdgeLists {
  return {
    flow: [],
    exit: [],
    call: [],
    callBack: [],
    conversation: [],
    peers: [],
    notify: [],
    error: [],
    recovery: [],
  };
}

function edgesByNode(edges: readonly PlanEdge[], nodeCount: number, errorRouting: boolean): EdgeLists[] {
  const out = Array.from({ length: nodeCount }, emptyEdges);
  for (const edge of edges) {
    if ((edge.role === "error" || edge.role === "recovery") && !errorRouting) continue;
    out[edge.from]?.[edge.role].push(edge.id);
    if (edge.role === "peers" && edge.to !== edge.from) out[edge.to]?.peers.push(edge.id);
    if (edge.role === "call" && edge.data.pattern !== "flow") out[edge.to]?.callBack.push(edge.id);
  }
  return out;
}
