// Ends
//
// The static answers about forks and the ends where their branches join (architecture, 5.4). An end is
// node n, or the return point H↩ of a loop head h, numbered nodeCount + h. In the graph of ends a natural
// back edge x→h is the forward edge x→H↩, and no edge leaves H↩; so that graph is acyclic.
//
// Every answer is a bit set computed on first use and kept: routing asks them with every move.
//
// O1  Two paths from a fork F to an end N that share only their ends exist exactly when F is N's immediate dominator
//     among what F reaches, and two different vertices there lead to N (Menger: no vertex between separates
//     them; the second condition counts an edge F→N, however often it is declared, as one path). One walk
//     in topological order finds every end that F owns.
// O2  N is owned by some fork exactly when two of its predecessors have an ancestor in common, themselves included:
//     N's immediate dominator below such an ancestor owns N by O1.
// O3  A node's flow edges and its error edges are alternatives: no activation takes both. So a node with both is two forks,
//     and owns what either owns. O2 then says too much, so that what it finds is looked for from each fork.
// O4  An element of a parallel command is a copy of its target, with the target's successors. Three equal elements
//     own what two do.

import {
  addBits,
  createBits,
  depthFirst,
  hasBit,
  nearestCommon,
  predecessors,
  reachableFrom,
  setBit,
} from "./graph.ts";
import type { PlanEdge } from "./plan.ts";

export interface EndsInput {
  readonly nodeCount: number;
  /** Flow and error edges that control moves along, with their kind of back edge. */
  readonly moving: readonly Pick<PlanEdge, "from" | "to" | "role" | "back" | "conditional" | "isElse">[];
  /** Nodes from which a value or a branch may leave sideways: an exit edge, or an error edge to an exit. */
  readonly mayEnd: ReadonlySet<number>;
  /** Nodes that never join. */
  readonly neverJoins: ReadonlySet<number>;
}

export class Ends {
  readonly #nodeCount: number;
  readonly #input: EndsInput;
  readonly #outOf: EndsInput["moving"][number][][];
  /** Successors in the graph of ends, without repeats. */
  readonly #succ: number[][];
  readonly #pred: number[][];
  /** Successors over flow edges and over error edges, of nodes that have both (O3). */
  readonly #alternatives: readonly (readonly (readonly number[])[] | undefined)[];
  /** Each end after all those it leads to. */
  readonly #postorder: readonly number[];
  /** Position in the postorder. */
  readonly #number: Int32Array;
  /** Targets of natural back edges. */
  readonly #heads: readonly number[];
  readonly #after: (Uint32Array | undefined)[] = [];
  readonly #owned: (Uint32Array | undefined)[] = [];
  readonly #must: (Uint32Array | undefined)[] = [];
  readonly #forwardOnly: ReachTable = { stays: new Set(), rows: [], forks: [] };
  /** Reachable ends by position, one table for each set of heads whose back edges stay. */
  readonly #reachTables = new Map<string, ReachTable>();
  readonly #reachOf: (ReachTable | undefined)[] = [];
  readonly #ownedByElements = new Map<string, Uint32Array>();
  readonly #ownedByList = new WeakMap<readonly number[], Uint32Array>();

  constructor(input: EndsInput) {
    const count = input.nodeCount;
    this.#nodeCount = count;
    this.#input = input;
    this.#outOf = Array.from({ length: count }, () => []);
    const succ: Set<number>[] = Array.from({ length: 2 * count }, () => new Set());
    const heads = new Set<number>();
    for (const edge of input.moving) {
      this.#outOf[edge.from]?.push(edge);
      if (edge.back === "marked") continue;
      succ[edge.from]?.add(edge.back === "natural" ? count + edge.to : edge.to);
      if (edge.back === "natural") heads.add(edge.to);
    }
    this.#succ = succ.map((targets) => [...targets]);
    this.#pred = predecessors(this.#succ);
    this.#alternatives = this.#outOf.map((out) => {
      const over = (role: PlanEdge["role"]): number[] => [
        ...new Set(out.filter((edge) => edge.role === role && edge.back !== "marked").map((edge) => this.#endOf(edge))),
      ];
      const groups = [over("flow"), over("error")];
      return groups.every((targets) => targets.length > 0) ? groups : undefined;
    });
    this.#postorder = depthFirst(this.#succ, [...succ.keys()]).postorder;
    this.#number = new Int32Array(2 * count);
    for (const [i, end] of this.#postorder.entries()) this.#number[end] = i;
    this.#heads = [...heads].sort((a, b) => a - b);
  }

  /** Ends that some fork owns (O2, O3). */
  owned(): Uint32Array {
    if (!this.#alternatives.some((groups) => groups !== undefined)) return this.#joined();
    const found = createBits(2 * this.#nodeCount);
    for (let fork = 0; fork < this.#nodeCount; fork++) addBits(found, this.#ownedBy(fork));
    return found;
  }

  #joined(): Uint32Array {
    const found = createBits(2 * this.#nodeCount);
    const upTo: Uint32Array[] = [];
    for (let i = this.#postorder.length - 1; i >= 0; i--) {
      const end = this.#postorder[i] ?? 0;
      // Nothing leaves a return point, so that only nodes are ancestors.
      const ancestors = createBits(this.#nodeCount);
      let joined = false;
      for (const p of this.#pred[end] ?? []) {
        const up = upTo[p];
        if (up !== undefined && addBits(ancestors, up)) joined = true;
      }
      if (joined && this.#joins(end)) setBit(found, end);
      if (end >= this.#nodeCount) continue;
      setBit(ancestors, end);
      upTo[end] = ancestors;
    }
    return found;
  }

  owns(fork: number, end: number): boolean {
    return hasBit(this.#ownedBy(fork), end);
  }

  ownsParallel(targets: readonly number[], end: number): boolean {
    let owned = this.#ownedByList.get(targets);
    if (owned === undefined) {
      owned = this.#ownedByTargets(targets);
      this.#ownedByList.set(targets, owned);
    }
    return hasBit(owned, end);
  }

  /** Rises along every forward path. */
  rank(end: number): number {
    return 2 * this.#nodeCount - (this.#number[end] ?? 0);
  }

  reaches(fork: number, from: number, end: number): boolean {
    const table = this.#reachTableOf(fork);
    if (from < this.#nodeCount) return hasBit(this.#reachRow(table, from), end);
    // A branch at H↩ is about to reach H, unless that takes it out of the instance.
    const head = from - this.#nodeCount;
    if (!table.stays.has(head) && this.leaves(head, fork)) return false;
    return end === head || hasBit(this.#reachRow(table, head), end);
  }

  leaves(head: number, fork: number): boolean {
    return head === fork || this.before(head, fork);
  }

  before(a: number, b: number): boolean {
    return hasBit((this.#after[a] ??= reachableFrom(this.#succ, a)), b);
  }

  mustReach(from: number, end: number): boolean {
    return hasBit((this.#must[end] ??= this.#mustReach(end)), from);
  }

  mayFork(from: number, end: number, fork?: number): boolean {
    if (from >= this.#nodeCount) {
      if (fork === undefined || this.leaves(from - this.#nodeCount, fork)) return false;
      return this.mayFork(from - this.#nodeCount, end, fork);
    }
    const table = fork === undefined ? this.#forwardOnly : this.#reachTableOf(fork);
    return hasBit((table.forks[end] ??= this.#mayFork(table, end)), from);
  }

  #joins(end: number): boolean {
    return !this.#input.neverJoins.has(end % this.#nodeCount);
  }

  #ownedBy(fork: number): Uint32Array {
    let owned = this.#owned[fork];
    if (owned === undefined) {
      owned = createBits(2 * this.#nodeCount);
      for (const succ of this.#alternatives[fork] ?? [this.#succ[fork] ?? []])
        addBits(owned, this.#ownedFrom(fork, [{ vertex: fork, succ }]));
      this.#owned[fork] = owned;
    }
    return owned;
  }

  /** The ends that `top` owns (O1). Paths begin at the `sources`: `top` itself, or copies that stand directly below it (O4). */
  #ownedFrom(
    top: number,
    sources: readonly { readonly vertex: number; readonly succ: readonly number[] }[],
  ): Uint32Array {
    const size = 2 * this.#nodeCount;
    const owned = createBits(size);
    if (sources.length < 2 && (sources[0]?.succ.length ?? 0) < 2) return owned;
    const parent = new Int32Array(Math.max(size, top + 1)).fill(-1);
    const number = new Int32Array(parent.length);
    number.set(this.#number);
    parent[top] = top;
    const pred = new Map<number, number[]>();
    const spread: number[] = [];
    const lead = (from: number, to: number): void => {
      const known = pred.get(to);
      if (known !== undefined) known.push(from);
      else {
        pred.set(to, [from]);
        spread.push(to);
      }
    };
    for (const { vertex, succ } of sources) {
      parent[vertex] = top;
      // Copies are numbered after all ends, and what stands above them last.
      if (vertex >= size) number[vertex] = vertex;
      for (const to of succ) lead(vertex, to);
    }
    if (top >= size) number[top] = top;
    while (spread.length > 0) {
      const end = spread.pop() ?? 0;
      for (const to of this.#succ[end] ?? []) lead(end, to);
    }
    const reached = [...pred].sort(([a], [b]) => (this.#number[b] ?? 0) - (this.#number[a] ?? 0));
    for (const [end, from] of reached) {
      const idom = from.reduce((a, b) => nearestCommon(parent, number, a, b));
      parent[end] = idom;
      if (idom === top && from.length > 1 && this.#joins(end)) setBit(owned, end);
    }
    return owned;
  }

  #ownedByTargets(targets: readonly number[]): Uint32Array {
    const times = new Map<number, number>();
    for (const target of targets) times.set(target, Math.min(2, (times.get(target) ?? 0) + 1));
    const elements = [...times]
      .sort(([a], [b]) => a - b)
      .flatMap(([target, n]) => (n === 2 ? [target, target] : [target]));
    const key = elements.join();
    let owned = this.#ownedByElements.get(key);
    if (owned === undefined) {
      const size = 2 * this.#nodeCount;
      const copies = elements.map((target, i) => ({ vertex: size + i, succ: this.#succ[target] ?? [] }));
      owned = this.#ownedFrom(size + copies.length, copies);
      this.#ownedByElements.set(key, owned);
    }
    return owned;
  }

  #reachTableOf(fork: number): ReachTable {
    return (this.#reachOf[fork] ??= this.#makeReachTable(fork));
  }

  #makeReachTable(fork: number): ReachTable {
    const stays = this.#heads.filter((head) => !this.leaves(head, fork));
    const key = stays.join();
    let table = this.#reachTables.get(key);
    if (table === undefined) {
      table = { stays: new Set(stays), rows: [], forks: [] };
      this.#reachTables.set(key, table);
    }
    return table;
  }

  /** What a branch at node `from` may still arrive at: forward edges, and natural back edges as long as they stay. */
  #reachRow(table: ReachTable, from: number): Uint32Array {
    const known = table.rows[from];
    if (known !== undefined) return known;
    const row = createBits(2 * this.#nodeCount);
    const stack = [from];
    const reach = (end: number): void => {
      if (hasBit(row, end)) return;
      setBit(row, end);
      if (end < this.#nodeCount) stack.push(end);
      else if (table.stays.has(end - this.#nodeCount)) reach(end - this.#nodeCount);
    };
    while (stack.length > 0) for (const end of this.#succ[stack.pop() ?? 0] ?? []) reach(end);
    table.rows[from] = row;
    return row;
  }

  #mustReach(end: number): Uint32Array {
    const must = createBits(2 * this.#nodeCount);
    const leads = (to: number): boolean => to === end || hasBit(must, to);
    for (const node of this.#postorder) {
      if (node >= this.#nodeCount || this.#input.mayEnd.has(node)) continue;
      const out = this.#outOf[node] ?? [];
      const goesOn = out.some(
        (edge) => edge.role === "flow" && edge.back !== "marked" && (!edge.conditional || edge.isElse),
      );
      if (goesOn && out.every((edge) => edge.back !== "marked" && leads(this.#endOf(edge)))) setBit(must, node);
    }
    return must;
  }

  /** Nodes that fork on the way to `end`, and those from which a way to `end` leads through such a node. */
  #mayFork(table: ReachTable, end: number): Uint32Array {
    const pred: number[][] = Array.from({ length: this.#nodeCount }, () => []);
    const forking: number[] = [];
    for (let node = 0; node < this.#nodeCount; node++) {
      let leading = 0;
      for (const edge of this.#outOf[node] ?? []) {
        const stays = edge.back === "none" || (edge.back === "natural" && table.stays.has(edge.to));
        const arrives = (edge.back !== "marked" && this.#endOf(edge) === end) || (stays && edge.to === end);
        if (stays && !arrives) pred[edge.to]?.push(node);
        const leads = arrives || (stays && hasBit(this.#reachRow(table, edge.to), end));
        if (leads && edge.role === "flow") leading++;
      }
      if (leading > 1) forking.push(node);
    }
    const forks = createBits(this.#nodeCount);
    while (forking.length > 0) {
      const node = forking.pop() ?? 0;
      if (hasBit(forks, node)) continue;
      setBit(forks, node);
      forking.push(...(pred[node] ?? []));
    }
    return forks;
  }

  #endOf(edge: EndsInput["moving"][number]): number {
    return edge.back === "natural" ? this.#nodeCount + edge.to : edge.to;
  }
}

interface ReachTable {
  readonly stays: ReadonlySet<number>;
  readonly rows: (Uint32Array | undefined)[];
  /** By end: from where a branch may become several before it. */
  readonly forks: (Uint32Array | undefined)[];
}
