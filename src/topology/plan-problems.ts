// Plan problems
//
// What only the compiled graph can show to be wrong: where a run begins, what no run reaches, loops without a
// head or an exit, edges that are never taken. Collected all at once; validation adds them to what reading found.

import { findBackEdges, isMoving, type BackEdges } from "./back-edges.ts";
import { compilePlan } from "./compile.ts";
import { assignRoles, type RoledEdge, type RoledTopology } from "./edge-roles.ts";
import { components, createBits, hasBit, reachableFrom, setBit } from "./graph.ts";
import type { Plan, PlanEdge } from "./plan.ts";
import { suggest } from "./suggestion.ts";
import type { Severity, TopologyData, TopologyProblem } from "./types.ts";

/** Codes raised here. */
export const PLAN_PROBLEM_CODES = [
  "back_edge_in_arm",
  "cycle_without_exit",
  "edge_into_exit",
  "else_without_condition",
  "entry_ambiguous",
  "entry_missing",
  "entry_without_edges",
  "flow_after_reply",
  "shadowed_exit",
  "unknown_node",
  "unmarked_back_edge",
  "unreachable_node",
] as const;

export type PlanProblemCode = (typeof PLAN_PROBLEM_CODES)[number];

export interface PlanProblemOptions {
  /** As the run will have it. Default true. */
  readonly errorRouting?: boolean;
  /** Where each node and edge of the data was declared. Default `nodes[i]` and `edges[i]`. */
  readonly nodePaths?: readonly string[];
  readonly edgePaths?: readonly string[];
}

export function findPlanProblems(data: TopologyData, options: PlanProblemOptions = {}): TopologyProblem[] {
  return new ProblemSearch(data, options).run();
}

class ProblemSearch {
  readonly #data: TopologyData;
  readonly #options: PlanProblemOptions;
  readonly #roled: RoledTopology;
  readonly #back: BackEdges;
  readonly #plan: Plan;
  readonly #found: TopologyProblem[] = [];

  constructor(data: TopologyData, options: PlanProblemOptions) {
    const errorRouting = options.errorRouting ?? true;
    this.#data = data;
    this.#options = options;
    this.#roled = assignRoles(data, errorRouting);
    this.#back = findBackEdges(this.#roled);
    this.#plan = compilePlan(data, { errorRouting });
  }

  run(): TopologyProblem[] {
    this.#points();
    this.#entry();
    this.#reachability();
    this.#unmarked();
    this.#backInArm();
    this.#cycles();
    this.#repliers();
    this.#exits();
    this.#elses();
    this.#deadEnds();
    return this.#found;
  }

  #add(code: PlanProblemCode, severity: Severity, path: string, message: string, hint?: string): void {
    this.#found.push({ code, severity, path, message, ...(hint === undefined ? {} : { hint }) });
  }

  #name(node: number): string {
    return this.#data.nodes[node]?.name ?? "?";
  }

  #names(nodes: readonly number[]): string {
    const shown = nodes.slice(0, 8).map((node) => this.#name(node));
    return nodes.length > shown.length
      ? `${shown.join(", ")} and ${nodes.length - shown.length} more`
      : shown.join(", ");
  }

  #nodePath(node: number): string {
    return this.#options.nodePaths?.[node] ?? `nodes[${node}]`;
  }

  #edgePath(edge: RoledEdge | undefined): string {
    if (edge === undefined) return "edges";
    if (edge.declared === -1) return `exitPoints[${this.#data.exitPoints?.indexOf(edge.data.from) ?? 0}]`;
    return this.#options.edgePaths?.[edge.declared] ?? `edges[${edge.declared}]`;
  }

  #points(): void {
    const check = (name: string, path: string): void => {
      if (this.#plan.nodeByName.has(name)) return;
      this.#add(
        "unknown_node",
        "error",
        path,
        `there is no node ${JSON.stringify(name)}`,
        suggest(name, this.#plan.nodeByName.keys()),
      );
    };
    if (this.#data.entryPoint !== undefined) check(this.#data.entryPoint, "entryPoint");
    for (const [i, name] of (this.#data.exitPoints ?? []).entries()) check(name, `exitPoints[${i}]`);
  }

  #entry(): void {
    const { entry, acts } = this.#roled;
    if (!entry.certain) {
      const hint = "set entryPoint, or add Start with an edge to where the run begins";
      if (entry.candidates.length > 1) {
        const names = this.#names(entry.candidates);
        this.#add("entry_ambiguous", "error", "entryPoint", `several nodes could be the entry: ${names}`, hint);
      } else {
        this.#add(
          "entry_missing",
          "error",
          "entryPoint",
          "no node can be the entry: every node has an edge into it",
          hint,
        );
      }
      return;
    }
    const { out } = this.#plan.nodes[entry.node] ?? {};
    const act = acts[entry.node];
    if (act === "exit") {
      this.#add(
        "entry_without_edges",
        "error",
        "entryPoint",
        `the run cannot begin at ${this.#name(entry.node)}, which ends it`,
      );
    } else if (
      act === "pass" &&
      out !== undefined &&
      out.flow.length + out.call.length + out.conversation.length === 0
    ) {
      const message = `${this.#name(entry.node)} is the entry and hands the task to nobody`;
      this.#add(
        "entry_without_edges",
        "error",
        this.#nodePath(entry.node),
        message,
        `add an edge ${this.#name(entry.node)} -> …`,
      );
    }
  }

  /** What a run may reach in any way, commands included. */
  #reachability(): void {
    const size = this.#data.nodes.length;
    const succ: number[][] = Array.from({ length: size + 1 }, () => []);
    const entered = createBits(size);
    const allow = (from: number, to: number): void => {
      if (to < 0 || from === to) return;
      succ[from]?.push(to);
      setBit(entered, to);
    };
    for (const { from, to, role, data } of this.#roled.edges) {
      if (this.#roled.acts[from] === "exit" && role !== "exit") continue;
      if ((role === "error" || role === "recovery") && !this.#roled.errorRouting) {
        if (to >= 0) setBit(entered, to);
        continue;
      }
      allow(from, to);
      const bothWays = role === "peers" || role === "conversation" || (role === "call" && data.pattern !== "flow");
      if (bothWays) allow(to, from);
    }
    const { entry } = this.#roled;
    succ[size] = entry.certain ? [entry.node] : [...entry.candidates, entry.node];
    const reached = reachableFrom(succ, size);
    for (let node = 0; node < size; node++) {
      if (hasBit(reached, node)) continue;
      const name = this.#name(node);
      if (hasBit(entered, node) || this.#roled.acts[node] === "exit") {
        this.#add(
          "unreachable_node",
          "warning",
          this.#nodePath(node),
          `no run reaches ${name} from ${this.#name(entry.node)}`,
        );
      } else {
        const hint = `add an edge into ${name}, or remove it`;
        this.#add("unreachable_node", "error", this.#nodePath(node), `no edge leads into ${name}`, hint);
      }
    }
  }

  #unmarked(): void {
    for (const { edge, cycle } of this.#back.unmarked) {
      const at = this.#roled.edges[edge];
      if (at === undefined) continue;
      const round = [...cycle, ...cycle.slice(0, 1)].map((node) => this.#name(node)).join(" -> ");
      const message = `the cycle ${round} can be entered at more than one node, so that it is not clear which edge repeats it`;
      const hint = `mark the edge ${this.#name(at.from)} -> ${this.#name(at.to)} with back: true`;
      this.#add("unmarked_back_edge", "error", this.#edgePath(at), message, hint);
    }
  }

  /** A marked edge between a fork and a join: a branch that takes it may come to a join that no longer waits for it. */
  #backInArm(): void {
    const plan = this.#plan;
    const marked = plan.edges.filter((edge) => edge.back === "marked" && edge.data.back === true);
    if (marked.length === 0) return;
    const ends = [...Array(2 * plan.nodes.length).keys()].filter((end) => {
      const node = plan.nodes[plan.nodeOf(end)];
      return plan.isReturn(end) ? node?.returnRendezvous : node?.rendezvous;
    });
    for (const edge of marked) {
      const join = this.#joinAround(edge, ends);
      if (join === undefined) continue;
      const [fork, end] = join;
      const message =
        `the back edge ${this.#name(edge.from)} -> ${this.#name(edge.to)} lies between the fork at ${this.#name(fork)} ` +
        `and its join at ${this.#name(plan.nodeOf(end))}, which does not wait for what comes over it`;
      this.#add("back_edge_in_arm", "warning", this.#edgePath(this.#roled.edges[edge.id]), message);
    }
  }

  #joinAround(edge: PlanEdge, ends: readonly number[]): readonly [fork: number, end: number] | undefined {
    const plan = this.#plan;
    const isAhead = (end: number): boolean => end === edge.to || plan.before(edge.to, end);
    const isPast = (end: number): boolean => end === edge.from || plan.before(end, edge.from);
    const joins = ends.filter((end) => isAhead(end) && !isPast(end));
    if (joins.length === 0) return undefined;
    for (const { id: fork, out } of plan.nodes) {
      if (out.flow.length + out.error.length < 2) continue;
      if (!plan.before(fork, edge.from) || plan.leaves(edge.to, fork)) continue;
      const end = joins.find((join) => plan.owns(fork, join));
      if (end !== undefined) return [fork, end];
    }
    return undefined;
  }

  /** Loops that nothing but a bound or a command can end. */
  #cycles(): void {
    const size = this.#data.nodes.length;
    const flows = this.#roled.edges.filter((edge) => edge.role === "flow" && isMoving(edge, this.#roled));
    const succ: number[][] = Array.from({ length: size }, () => []);
    for (const { from, to } of flows) succ[from]?.push(to);
    const byFlow = reachableFrom(succ, this.#roled.entry.node);
    setBit(byFlow, this.#roled.entry.node);
    for (const component of components(succ)) {
      const inside = new Set(component);
      const [first = 0] = component;
      if (!hasBit(byFlow, first)) continue;
      const out = component.flatMap((node) => {
        const { flow = [], exit = [] } = this.#plan.nodes[node]?.out ?? {};
        return [...flow, ...exit].flatMap((id) => this.#plan.edges[id] ?? []);
      });
      const repeats = out.some((edge) => edge.role === "flow" && inside.has(edge.to));
      const endless = out.every(
        (edge) => edge.role === "flow" && inside.has(edge.to) && !edge.conditional && edge.maxVisits === false,
      );
      if (!repeats || !endless) continue;
      const names = this.#names(component.toSorted((a, b) => a - b));
      const hint = "add an edge that leaves it, a condition, or maxVisits on the edge that repeats it";
      this.#add(
        "cycle_without_exit",
        "warning",
        this.#nodePath(Math.min(...component)),
        `nothing leads out of the cycle of ${names}`,
        hint,
      );
    }
  }

  #repliers(): void {
    const { edges, nodes } = this.#plan;
    const called = new Set(edges.filter((edge) => edge.role === "call").map((edge) => edge.to));
    const entered = new Set(
      edges.filter((edge) => edge.role === "flow" || edge.role === "error").map((edge) => edge.to),
    );
    entered.add(this.#plan.entry);
    for (const node of called) {
      const [first] = nodes[node]?.out.flow ?? [];
      if (first === undefined) continue;
      const name = this.#name(node);
      const message = `${name} is called, so that its value is the reply to its caller and its flow edges are taken only by command`;
      this.#add(
        "flow_after_reply",
        entered.has(node) ? "info" : "warning",
        this.#edgePath(this.#roled.edges[first]),
        message,
      );
    }
  }

  #exits(): void {
    const { edges, nodes } = this.#plan;
    for (const { name, out } of nodes) {
      const shadow = out.flow
        .map((id) => edges[id])
        .find((e) => e !== undefined && !e.conditional && !e.isElse && e.maxVisits === false);
      if (shadow === undefined) continue;
      for (const id of out.exit) {
        const message = `${name} never exits here, because its edge to ${shadow.data.from === name ? shadow.data.to : shadow.data.from} always holds`;
        this.#add(
          "shadowed_exit",
          "warning",
          this.#edgePath(this.#roled.edges[id]),
          message,
          "give that edge a condition, or remove the exit",
        );
      }
    }
  }

  #elses(): void {
    const { edges, nodes } = this.#plan;
    for (const { name, out } of nodes) {
      const groups = [[...out.flow, ...out.exit], out.call, out.notify, out.error, out.recovery];
      for (const group of groups) {
        const siblings = group.flatMap((id) => edges[id] ?? []);
        if (
          siblings.some((edge) => edge.conditional && !edge.isElse) ||
          siblings.some((edge) => edge.maxVisits !== false)
        )
          continue;
        for (const edge of siblings) {
          if (!edge.isElse) continue;
          const message = `${name} has no edge with a condition beside this one, so that else is always taken`;
          this.#add("else_without_condition", "warning", this.#edgePath(this.#roled.edges[edge.id]), message);
        }
      }
    }
  }

  /** Where a branch would come to stand at a node that runs nothing. */
  #deadEnds(): void {
    const kindOf = (node: number): string => this.#data.nodes[node]?.kind ?? "agent";
    for (const edge of this.#roled.edges) {
      if (edge.to < 0 || edge.role === "flow" || edge.role === "exit" || edge.role === "recovery") continue;
      const act = this.#roled.acts[edge.to];
      const ends = kindOf(edge.to) === "end" || (edge.role === "error" && (act === "exit" || act === "pass"));
      if (!ends) continue;
      const [from, to] = [this.#name(edge.from), this.#name(edge.to)];
      const message = `the ${edge.role} edge of ${from} leads to ${to}, where nothing can take it up`;
      const hint =
        edge.role === "error" ? "lead it to an agent that handles the failure" : `${from} -> ${to} would exit`;
      this.#add("edge_into_exit", "error", this.#edgePath(edge), message, hint);
    }
  }
}
