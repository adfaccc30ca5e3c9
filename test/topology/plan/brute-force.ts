// What a plan answers, worked out by trying every path: slow, and too simple to be wrong in the same way.

import type { Plan, PlanEdge } from "../../../src/topology/plan.ts";

type Path = readonly number[];

export class BruteForce {
  readonly plan: Plan;
  readonly moving: readonly PlanEdge[];
  readonly size: number;

  constructor(plan: Plan) {
    this.plan = plan;
    this.size = plan.nodes.length;
    const isExit = (id: number): boolean => plan.nodes[id]?.act === "exit";
    this.moving = plan.edges.filter(
      (e) => (e.role === "flow" || e.role === "error") && !isExit(e.to) && !isExit(e.from),
    );
  }

  endOf(edge: PlanEdge): number {
    return edge.back === "natural" ? this.plan.returnOf(edge.to) : edge.to;
  }

  next(end: number, role?: PlanEdge["role"]): number[] {
    if (end >= this.size) return [];
    const out = this.moving.filter((e) => e.from === end && e.back !== "marked" && (role ?? e.role) === e.role);
    return [...new Set(out.map((e) => this.endOf(e)))];
  }

  /** Every nonempty path from `a` to `b`, as the ends on it; with `first`, those that begin with an edge of that role. */
  paths(a: number, b: number, first?: PlanEdge["role"]): Path[] {
    const found: Path[] = [];
    const walk = (path: number[]): void => {
      for (const end of this.next(path.at(-1) ?? 0, path.length === 1 ? first : undefined)) {
        if (path.includes(end)) throw new Error("the graph of ends has a cycle");
        if (end === b) found.push([...path, end]);
        walk([...path, end]);
      }
    };
    walk([a]);
    return found;
  }

  joins(end: number): boolean {
    const data = this.plan.nodes[this.plan.nodeOf(end)]?.data;
    return data?.convergence !== false && data?.merge !== true;
  }

  owns(fork: number, end: number): boolean {
    // What a node hands on and what its failure leads to are alternatives.
    return (["flow", "error"] as const).some((role) => {
      const paths = this.paths(fork, end, role);
      return this.joins(end) && paths.some((p, i) => paths.slice(i + 1).some((q) => disjoint(p, q)));
    });
  }

  ownsParallel(targets: readonly number[], end: number): boolean {
    const paths = targets.map((target) => this.paths(target, end));
    return (
      this.joins(end) &&
      paths.some((ps, i) => paths.slice(i + 1).some((qs) => ps.some((p) => qs.some((q) => disjoint(p, q)))))
    );
  }

  before(a: number, b: number): boolean {
    return this.paths(a, b).length > 0;
  }

  leaves(head: number, fork: number): boolean {
    return head === fork || this.before(head, fork);
  }

  /** All pairs of nodes with a nonempty way from one to the other that stays in an instance of `fork`. */
  ways(fork: number | undefined): boolean[][] {
    const way = Array.from({ length: this.size }, () => Array.from({ length: this.size }, () => false));
    for (const edge of this.moving) if (this.stays(edge, fork)) way[edge.from]![edge.to] = true;
    for (let k = 0; k < this.size; k++) {
      for (let i = 0; i < this.size; i++) {
        for (let j = 0; j < this.size; j++) if (way[i]![k] && way[k]![j]) way[i]![j] = true;
      }
    }
    return way;
  }

  stays(edge: PlanEdge, fork: number | undefined): boolean {
    if (edge.back === "none") return true;
    return edge.back === "natural" && fork !== undefined && !this.leaves(edge.to, fork);
  }

  reaches(fork: number, from: number, end: number, ways = this.ways(fork)): boolean {
    if (from >= this.size) {
      const head = from - this.size;
      return !this.leaves(head, fork) && (head === end || this.reaches(fork, head, end, ways));
    }
    if (end < this.size) return ways[from]![end]!;
    return this.moving.some(
      (e) => e.back === "natural" && this.endOf(e) === end && (e.from === from || ways[from]![e.from]),
    );
  }

  mustReach(from: number, end: number): boolean {
    if (from >= this.size || from === end) return false;
    const { edges } = this.plan;
    const seen = new Set<number>();
    const holds = (node: number): boolean => {
      if (node === end || seen.has(node)) return true;
      seen.add(node);
      if (node >= this.size) return false;
      const out = edges.filter((e) => e.from === node && ["flow", "error", "exit"].includes(e.role));
      if (out.some((e) => e.role === "exit" || e.back === "marked")) return false;
      if (out.some((e) => this.plan.nodes[e.to]?.act === "exit")) return false;
      if (!out.some((e) => e.role === "flow" && (!e.conditional || e.isElse))) return false;
      return out.every((e) => holds(this.endOf(e)));
    };
    return holds(from);
  }

  mayFork(from: number, end: number, fork?: number): boolean {
    if (from >= this.size) {
      const head = from - this.size;
      return fork !== undefined && !this.leaves(head, fork) && this.mayFork(head, end, fork);
    }
    const ways = this.ways(fork);
    const leads = (edge: PlanEdge): boolean => {
      if (edge.back !== "marked" && this.endOf(edge) === end) return true;
      if (!this.stays(edge, fork)) return false;
      if (edge.to === end) return true;
      if (end < this.size) return ways[edge.to]![end]!;
      return this.moving.some(
        (e) => e.back === "natural" && this.endOf(e) === end && (e.from === edge.to || ways[edge.to]![e.from]),
      );
    };
    const seen = new Set<number>();
    const visit = (node: number): boolean => {
      if (seen.has(node)) return false;
      seen.add(node);
      const out = this.moving.filter((e) => e.from === node && leads(e));
      if (out.filter((e) => e.role === "flow").length > 1) return true;
      return out.some((e) => this.endOf(e) !== end && e.to !== end && this.stays(e, fork) && visit(e.to));
    };
    return visit(from);
  }
}

/** Do the two share only their ends? They are different paths, or begin at different elements. */
function disjoint(p: Path, q: Path): boolean {
  const inside = new Set(p.slice(1, -1));
  return !q.slice(1, -1).some((end) => inside.has(end));
}
