// Edge roles
//
// Which part each declared edge plays, where a run begins, and what a branch does at each node
// (architecture, 5.1 and 5.2). The first step of compiling a plan.
//
// R1  The entry is found before the roles, since an edge into the entry `User` is an exit. It needs none of
//     them: no edge that becomes an exit leads to a node that could be the entry.
// R2  One part per plan edge. `User <-> A` at the entry plays two and becomes two plan edges with the same data.

import type { EdgeData, NodeData, TopologyData } from "./types.ts";
import type { EdgeRole, PlanNode } from "./plan.ts";

export interface RoledEdge {
  readonly from: number;
  /** -1 for the implicit exit edge of an exit point. */
  readonly to: number;
  readonly role: EdgeRole;
  readonly data: EdgeData;
  /** Position in the declared edges, -1 for an implicit one. */
  readonly declared: number;
}

export interface RoledTopology {
  readonly data: TopologyData;
  readonly nodeByName: ReadonlyMap<string, number>;
  readonly entry: EntryChoice;
  readonly acts: readonly PlanNode["act"][];
  readonly edges: readonly RoledEdge[];
  /** An error edge the runtime may take: none is while error routing is off. */
  readonly errorRouting: boolean;
}

export interface EntryChoice {
  /** Where the run begins; the first node that could stand in when `certain` is false. */
  readonly node: number;
  readonly certain: boolean;
  /** Nodes that could equally be the entry. */
  readonly candidates: readonly number[];
}

export function isErrorHandler(node: NodeData): boolean {
  return node.role === "error-handler" || node.name.endsWith("ErrorHandler");
}

/** Whether a failure at the source of the edge is put to the person it leads to. */
export function isRecovery(edge: EdgeData, target: NodeData | undefined): boolean {
  if (edge.recovery !== undefined) return edge.recovery;
  return target?.kind === "user" && target.role === "error-recovery" && isMove(edge);
}

export function assignRoles(data: TopologyData, errorRouting: boolean): RoledTopology {
  const nodeByName = new Map(data.nodes.map((node, id) => [node.name, id]));
  const known = data.edges.flatMap((edge, declared) => {
    const from = nodeByName.get(edge.from);
    const to = nodeByName.get(edge.to);
    return from === undefined || to === undefined ? [] : [{ edge, declared, from, to }];
  });
  const isError = (edge: EdgeData, to: number): boolean => {
    if (edge.on === "error" || isRecovery(edge, data.nodes[to])) return true;
    const target = data.nodes[to];
    return errorRouting && target !== undefined && isErrorHandler(target) && isMove(edge);
  };
  const entry = chooseEntry(
    data,
    nodeByName,
    known.map((k) => ({ ...k, isError: isError(k.edge, k.to) })),
  );
  const hasOut = new Set(known.map((k) => k.from));

  const kindOf = (id: number): string => data.nodes[id]?.kind ?? "agent";
  const passes = (id: number): boolean => kindOf(id) === "start" || (id === entry.node && kindOf(id) === "user");
  const isExitTarget = (id: number): boolean =>
    kindOf(id) === "end" || (kindOf(id) === "user" && (id === entry.node || !hasOut.has(id)));

  const edges: RoledEdge[] = [];
  for (const { edge, declared, from, to } of known) {
    const add = (role: EdgeRole, a = from, b = to): number =>
      edges.push({ from: a, to: b, role, data: edge, declared });
    if (isRecovery(edge, data.nodes[to])) add("recovery");
    else if (isError(edge, to)) add("error");
    else if (edge.pattern === "peers") add("peers");
    else if (edge.pattern === "conversation") add("conversation");
    else if (edge.type === "notify") add("notify");
    else if (kindOf(to) === "end") add("exit");
    else if (isCall(edge) && passes(from)) {
      // R2
      add("flow");
      add("exit", to, from);
    } else if (isCall(edge) && !(kindOf(to) === "user" && to === entry.node)) add("call");
    else if (isExitTarget(to)) add("exit");
    else add("flow");
  }
  for (const name of new Set(data.exitPoints ?? [])) {
    const from = nodeByName.get(name);
    if (from === undefined) continue;
    const implicit: EdgeData = { from: name, to: "End", pattern: "flow", type: "invoke" };
    edges.push({ from, to: -1, role: "exit", data: implicit, declared: -1 });
  }

  const stoodAt = new Set<number>();
  for (const edge of edges) {
    if (edge.role === "exit") continue;
    if (edge.role === "recovery") {
      stoodAt.add(edge.from);
      continue;
    }
    if (edge.to >= 0 && !(edge.role === "error" && isExitTarget(edge.to))) stoodAt.add(edge.to);
    stoodAt.add(edge.from);
  }
  const acts = data.nodes.map((node, id): PlanNode["act"] => {
    if (node.kind === "end") return "exit";
    if (passes(id)) return "pass";
    if (node.kind !== "user") return "step";
    return stoodAt.has(id) ? "ask" : "exit";
  });
  return { data, nodeByName, entry, acts, edges, errorRouting };
}

function isMove(edge: EdgeData): boolean {
  return edge.pattern === "flow" && (edge.type === "invoke" || edge.type === "stream");
}

function isCall(edge: EdgeData): boolean {
  return edge.pattern === "call" || edge.pattern === "reflexive" || (edge.pattern === "flow" && edge.type === "query");
}

interface KnownEdge {
  readonly edge: EdgeData;
  readonly from: number;
  readonly to: number;
  readonly isError: boolean;
}

/**
 * `Start`; else the declared entry point; else the only node without incoming edges; else `User`.
 *
 * Edges that cannot bring a run to its first node do not count as incoming: an edge of a node to itself and one
 * marked `back: true`. An error edge does not count either, so that failures may lead back to the entry; but where several
 * nodes are left, those that handle errors are not the entry. A peer edge enters both sides; only when that leaves no
 * entry at all, its right side.
 */
function chooseEntry(
  data: TopologyData,
  nodeByName: ReadonlyMap<string, number>,
  edges: readonly KnownEdge[],
): EntryChoice {
  const start = data.nodes.findIndex((node) => node.kind === "start");
  if (start !== -1) return { node: start, certain: true, candidates: [start] };
  const declared = data.entryPoint === undefined ? undefined : nodeByName.get(data.entryPoint);
  if (declared !== undefined) return { node: declared, certain: true, candidates: [declared] };

  const works = data.nodes.flatMap((node, id) => (node.kind === "user" || node.kind === "end" ? [] : [id]));
  const entered = new Set<number>();
  const enteredByPeers = new Set<number>();
  const handlers = new Set<number>();
  for (const { edge, from, to, isError } of edges) {
    if (edge.back === true || from === to) continue;
    (isError ? handlers : entered).add(to);
    if (edge.pattern === "peers") enteredByPeers.add(from);
  }
  let candidates = works.filter((id) => !entered.has(id) && !enteredByPeers.has(id));
  // A node that only failures lead to is no beginning, as long as something else can be one.
  const others = candidates.filter((id) => !handlers.has(id));
  const aPerson = edges.some(({ from }) => data.nodes[from]?.kind === "user");
  if (others.length > 0 || aPerson) candidates = others;
  if (candidates.length === 1) return { node: candidates[0] ?? 0, certain: true, candidates };
  if (candidates.length === 0) {
    const hasOut = new Set(edges.map((edge) => edge.from));
    const users = data.nodes.flatMap((node, id) => (node.kind === "user" && hasOut.has(id) ? [id] : []));
    const unentered = users.filter((id) => !entered.has(id));
    const named = users.filter((id) => data.nodes[id]?.name.toLowerCase() === "user");
    for (const choice of [users, unentered, named]) {
      if (choice.length === 1) return { node: choice[0] ?? 0, certain: true, candidates: choice };
    }
    candidates = works.filter((id) => !entered.has(id));
    if (candidates.length === 1) return { node: candidates[0] ?? 0, certain: true, candidates };
    if (candidates.length === 0) candidates = users;
  }
  return { node: candidates.find((id) => works.includes(id)) ?? works[0] ?? 0, certain: false, candidates };
}
