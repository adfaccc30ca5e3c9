// Small topologies for the tests of the plan, written as one line.

import { compilePlan } from "../../../src/topology/compile.ts";
import type { Plan } from "../../../src/topology/plan.ts";
import type { EdgeData, EdgePattern, NodeData, NodeKind, TopologyData } from "../../../src/topology/types.ts";

const ARROWS: Record<string, EdgePattern> = {
  "->": "flow",
  "<->": "call",
  "<=>": "reflexive",
  "<~>": "conversation",
  "<|>": "peers",
};
const KINDS: Record<string, NodeKind> = { user: "user", start: "start", end: "end" };

/**
 * Edges separated by commas: `A -> B`. After the target: `?` a condition, `else`, `back`, `error`, `query`, `notify`,
 * `max` one visit. A lone name is a node without edges.
 */
export function topology(
  text: string,
  more: Partial<TopologyData> & { node?: Record<string, Partial<NodeData>> } = {},
): TopologyData {
  const names: string[] = [];
  const edges: EdgeData[] = [];
  for (const part of text.split(",").map((item) => item.trim())) {
    const [from = "", arrow, target = "", ...flags] = part.split(/\s+/);
    const to = target.replace("?", "");
    for (const name of arrow === undefined ? [from] : [from, to]) if (!names.includes(name)) names.push(name);
    if (arrow === undefined) continue;
    const type = flags.includes("query") ? "query" : flags.includes("notify") ? "notify" : "invoke";
    edges.push({
      from,
      to,
      pattern: ARROWS[arrow] ?? "flow",
      type,
      ...(target.endsWith("?") ? { condition: "yes" } : {}),
      ...(flags.includes("else") ? { else: true } : {}),
      ...(flags.includes("back") ? { back: true } : {}),
      ...(flags.includes("max") ? { maxVisits: 1 } : {}),
      ...(flags.includes("error") ? { on: "error" as const } : {}),
    });
  }
  const { node = {}, ...rest } = more;
  const nodes = names.map((name): NodeData => ({ name, kind: KINDS[name.toLowerCase()] ?? "agent", ...node[name] }));
  return { v: 1, nodes, edges, ...rest };
}

/** A plan that is asked by name; `H↩` is the return point of H. */
export class NamedPlan {
  readonly plan: Plan;

  constructor(data: TopologyData, errorRouting = true) {
    this.plan = compilePlan(data, { errorRouting });
  }

  end(name: string): number {
    const node = this.plan.nodeByName.get(name.replace("↩", ""));
    if (node === undefined) throw new Error(`no node ${name}`);
    return name.endsWith("↩") ? this.plan.returnOf(node) : node;
  }

  get entry(): string {
    return this.plan.nodes[this.plan.entry]?.name ?? "";
  }

  get rendezvous(): string[] {
    return this.plan.nodes.flatMap((n) => [
      ...(n.rendezvous ? [n.name] : []),
      ...(n.returnRendezvous ? [`${n.name}↩`] : []),
    ]);
  }

  /** Every edge as `A -> B flow`, with `natural` or `marked` behind back edges. */
  get edges(): string[] {
    const name = (id: number): string => this.plan.nodes[id]?.name ?? "out";
    return this.plan.edges.map(
      (e) => `${name(e.from)} -> ${name(e.to)} ${e.role}${e.back === "none" ? "" : ` ${e.back}`}`,
    );
  }

  act(name: string): string | undefined {
    return this.plan.nodes[this.end(name)]?.act;
  }

  /** What a node does over which edges: `flow: B C`. */
  out(name: string): string[] {
    const { out } = this.plan.nodes[this.end(name)] ?? {};
    return Object.entries(out ?? {}).flatMap(([part, ids]) => {
      const others = ids.map((id: number) => {
        const edge = this.plan.edges[id];
        const other = edge?.to === this.end(name) ? edge.from : edge?.to;
        return this.plan.nodes[other ?? -1]?.name ?? "out";
      });
      return others.length === 0 ? [] : [`${part}: ${others.join(" ")}`];
    });
  }

  owns(fork: string, end: string): boolean {
    return this.plan.owns(this.end(fork), this.end(end));
  }

  ownsParallel(fork: string, targets: string[], end: string): boolean {
    return this.plan.ownsParallel(
      this.end(fork),
      targets.map((t) => this.end(t)),
      this.end(end),
    );
  }

  reaches(fork: string, from: string, end: string): boolean {
    return this.plan.reaches(this.end(fork), this.end(from), this.end(end));
  }

  before(a: string, b: string): boolean {
    return this.plan.before(this.end(a), this.end(b));
  }

  leaves(head: string, fork: string): boolean {
    return this.plan.leaves(this.end(head), this.end(fork));
  }

  mustReach(from: string, end: string): boolean {
    return this.plan.mustReach(this.end(from), this.end(end));
  }

  mayFork(from: string, end: string, fork?: string): boolean {
    return this.plan.mayFork(this.end(from), this.end(end), fork === undefined ? undefined : this.end(fork));
  }
}

export function plan(text: string, more?: Parameters<typeof topology>[1], errorRouting = true): NamedPlan {
  return new NamedPlan(topology(text, more), errorRouting);
}
