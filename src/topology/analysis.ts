// Analysis: what the compiled plan knows of a topology, in names.

import { components, hasBit, reachableFrom } from "./graph.ts";
import type { Plan, PlanEdge, PlanNode } from "./plan.ts";

export interface TopologyAnalysis {
  /** Where a run begins. */
  readonly entries: readonly string[];
  /** Nodes whose plain value can be the response, or part of it. */
  readonly exits: readonly string[];
  /** Nodes from which control goes on along several edges. */
  readonly divergencePoints: readonly string[];
  /** Nodes where branches are joined. */
  readonly convergencePoints: readonly string[];
  /** Which forks a convergence point joins the branches of. `returning`: the branches that loop back to it. */
  readonly rendezvous: readonly {
    readonly node: string;
    readonly returning: boolean;
    readonly forks: readonly string[];
  }[];
  /** natural: the head is passed on every way to the edge. marked: declared with `back: true`. */
  readonly backEdges: readonly { readonly from: string; readonly to: string; readonly kind: "natural" | "marked" }[];
  /** Groups of nodes that lead round to one another by flow edges, each in declared order. */
  readonly cycles: readonly (readonly string[])[];
  /** Nodes some run may come to, by commands too, and those none can. */
  readonly reachable: readonly string[];
  readonly unreachable: readonly string[];
}

export function analyzePlan(plan: Plan): TopologyAnalysis {
  const names = (ids: readonly number[]): string[] => ids.map((id) => nameOf(plan, id));
  const all = plan.nodes.map((node) => node.id);
  const reached = reachableFrom(successors(plan, addresses), plan.entry);
  const reachable = all.filter((id) => id === plan.entry || hasBit(reached, id));
  return {
    entries: names([plan.entry]),
    exits: names(findExits(plan)),
    divergencePoints: names(all.filter((id) => (plan.nodes[id]?.out.flow.length ?? 0) > 1)),
    convergencePoints: names(
      all.filter((id) => plan.nodes[id]?.rendezvous === true || plan.nodes[id]?.returnRendezvous === true),
    ),
    rendezvous: plan.nodes.flatMap((node) => rendezvousAt(plan, node)),
    backEdges: plan.edges.flatMap(({ from, to, back }) =>
      back === "none" ? [] : [{ from: nameOf(plan, from), to: nameOf(plan, to), kind: back }],
    ),
    cycles: findCycles(plan).map(names),
    reachable: names(reachable),
    unreachable: names(all.filter((id) => !reachable.includes(id))),
  };
}

/** Names of the nodes that control can come to from `name`, by value or by command. */
export function reachableNames(plan: Plan, name: string): string[] {
  const start = plan.nodeByName.get(name);
  if (start === undefined) return [];
  const reached = reachableFrom(successors(plan, addresses), start);
  return plan.nodes.filter((node) => hasBit(reached, node.id)).map((node) => node.name);
}

/** For each node those it may address in some way, commands included. */
export function addressedFrom(plan: Plan): readonly (readonly number[])[] {
  return successors(plan, addresses);
}

type Leads = (edge: PlanEdge) => readonly (readonly [from: number, to: number])[];

// Every way an edge may be used, commands included.
const addresses: Leads = ({ from, to, role, data }) => {
  const bothWays = role === "peers" || role === "conversation" || (role === "call" && data.pattern !== "flow");
  return bothWays
    ? [
        [from, to],
        [to, from],
      ]
    : [[from, to]];
};

const moves: Leads = ({ from, to, role }) => {
  if (role === "peers")
    return [
      [from, to],
      [to, from],
    ];
  return role === "flow" || role === "error" ? [[from, to]] : [];
};

const flows: Leads = ({ from, to, role }) => (role === "flow" ? [[from, to]] : []);

function successors(plan: Plan, leads: Leads): number[][] {
  const succ: number[][] = plan.nodes.map(() => []);
  for (const edge of plan.edges) for (const [from, to] of leads(edge)) if (to >= 0) succ[from]?.push(to);
  return succ;
}

// What stands in the run's own frame, and not only in a call, delivers to the run.
function findExits(plan: Plan): number[] {
  const inRun = reachableFrom(successors(plan, moves), plan.entry);
  return plan.nodes
    .filter(({ id, act, out }) => {
      if (act === "exit" || act === "pass") return false;
      return out.exit.length > 0 || (out.flow.length === 0 && (id === plan.entry || hasBit(inRun, id)));
    })
    .map((node) => node.id);
}

function findCycles(plan: Plan): number[][] {
  const succ = successors(plan, flows);
  return components(succ)
    .filter((group) => group.length > 1 || succ[group[0] ?? 0]?.includes(group[0] ?? 0) === true)
    .map((group) => [...group].sort((a, b) => a - b));
}

function rendezvousAt(plan: Plan, node: PlanNode): TopologyAnalysis["rendezvous"] {
  const ownersOf = (end: number): string[] =>
    plan.nodes.filter((fork) => plan.owns(fork.id, end)).map((fork) => fork.name);
  return [
    ...(node.rendezvous ? [{ node: node.name, returning: false, forks: ownersOf(node.id) }] : []),
    ...(node.returnRendezvous ? [{ node: node.name, returning: true, forks: ownersOf(plan.returnOf(node.id)) }] : []),
  ];
}

function nameOf(plan: Plan, id: number): string {
  return plan.nodes[id]?.name ?? "End";
}
