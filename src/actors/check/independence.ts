// Independence: which of the things that can happen next need to be tried in every order, and which in one only.
//
// What happens in one branch rarely changes what can happen in another: a join waits for all of its candidates and then finds
// the same, whoever came first. So at each state it is enough to try what can happen in one group of branches that are
// independent of all others (persistent sets: Godefroid, "Partial-Order Methods for the Verification of
// Concurrent Systems", 1996, chapter 4): every end a run can come to is still found, as soon as before.
//
// I1  Branches inside one instance with a quorum depend on one another: it decides early and leaves the rest out.
// I2  Branches that may come to use the same edge with `maxVisits` depend on one another.
// I3  With an edge marked `back: true` everything depends on everything: what comes over it joins only while the barrier is open.
// I4  Branches outside any loop go first, and of them those farthest along, so that what a loop leaves behind
//     does not pile up.

import { addressedFrom } from "../../topology/analysis.ts";
import { components, hasBit, reachableFrom } from "../../topology/graph.ts";
import type { Plan } from "../../topology/plan.ts";
import type { Instance } from "../session-state.ts";
import { levelAt, slotOf, type Level, type Outline, type OutlinedPlace } from "./outline.ts";

export interface Group {
  readonly places: readonly OutlinedPlace[];
  /** Some of it stands in a loop, so that it might go on for ever while the others wait. */
  readonly loops: boolean;
}

export class Independence {
  readonly #plan: Plan;
  readonly #ordered: boolean;
  /** By node: edges with `maxVisits` that may be used from there on, as a bit set. */
  readonly #bounded: readonly bigint[];
  readonly #hasBounded: boolean;
  readonly #inLoop: readonly boolean[];
  readonly #defaultQuorum: boolean;
  readonly #early = new Map<number, boolean>();
  /** Neither I1 nor I2 can join any. */
  readonly #allApart: boolean;

  constructor(plan: Plan, defaultQuorum: boolean) {
    this.#plan = plan;
    this.#defaultQuorum = defaultQuorum;
    this.#ordered = plan.edges.some((edge) => edge.back === "marked");
    const succ = addressedFrom(plan);
    const moves = plan.nodes.map((): number[] => []);
    for (const { from, to, role } of plan.edges)
      if (to >= 0 && (role === "flow" || role === "error")) moves[from]!.push(to);
    const bits = plan.nodes.map(() => 0n);
    plan.edges.forEach((edge, id) => {
      if (edge.maxVisits !== false) bits[edge.from]! |= 1n << BigInt(id);
    });
    this.#hasBounded = bits.some((bit) => bit !== 0n);
    this.#bounded = !this.#hasBounded
      ? bits
      : bits.map((own, node) => {
          const reached = reachableFrom(succ, node);
          return bits.reduce((all, bit, to) => (hasBit(reached, to) ? all | bit : all), own);
        });
    const inLoop = plan.nodes.map(() => false);
    for (const group of components(moves)) {
      if (group.length > 1 || moves[group[0]!]!.includes(group[0]!)) for (const node of group) inLoop[node] = true;
    }
    this.#inLoop = inLoop;
    this.#allApart =
      !this.#hasBounded && !defaultQuorum && plan.nodes.every(({ policy }) => policy?.quorum === undefined);
  }

  /** The group to be tried first. `places` holds two or more. */
  choose(outline: Outline, places: readonly OutlinedPlace[]): Group {
    const groups = this.#ordered ? [places] : this.#groups(outline, places);
    const loops = (group: readonly OutlinedPlace[]): boolean =>
      group.some((place) => this.#inLoop[nodeOf(this.#plan, place)]!);
    let best = groups[0]!;
    let bestLoops = loops(best);
    for (const group of groups.slice(1)) {
      const groupLoops = loops(group);
      if (groupLoops !== bestLoops ? bestLoops : this.#isBefore(group, best)) {
        best = group;
        bestLoops = groupLoops;
      }
    }
    return { places: best, loops: bestLoops };
  }

  /** Fewer places first, then those farther along. */
  #isBefore(a: readonly OutlinedPlace[], b: readonly OutlinedPlace[]): boolean {
    if (a.length !== b.length) return a.length < b.length;
    const rank = ([place = NO_PLACE]: readonly OutlinedPlace[]): number => this.#plan.rank(nodeOf(this.#plan, place));
    return rank(a) > rank(b);
  }

  #groups(outline: Outline, places: readonly OutlinedPlace[]): OutlinedPlace[][] {
    if (this.#allApart) return places.map((place) => [place]);
    const groups: { early: number[]; edges: bigint; places: OutlinedPlace[] }[] = [];
    for (const place of places) {
      const around = this.#earlyAround(outline, place);
      let joined = { early: around === 0 ? [] : [around], edges: this.#edgesAhead(outline, place), places: [place] };
      for (let i = groups.length - 1; i >= 0; i--) {
        const group = groups[i]!;
        if (!group.early.includes(around) && (group.edges & joined.edges) === 0n) continue;
        joined = {
          early: [...group.early, ...joined.early],
          edges: group.edges | joined.edges,
          places: [...group.places, ...joined.places],
        };
        groups.splice(i, 1);
      }
      groups.push(joined);
    }
    return groups.map((group) => group.places);
  }

  /** Slot of the outermost instance around a place that may decide early (I1), through the calls that lead to it; 0 for none. */
  #earlyAround(outline: Outline, place: OutlinedPlace): number {
    let found = 0;
    for (const { slot, instance } of levelsAround(outline, place))
      if (instance !== null && this.#decidesEarly(instance)) found = slot;
    return found;
  }

  #decidesEarly({ fork, targets }: Pick<Instance, "fork" | "targets">): boolean {
    const { nodes } = this.#plan;
    const early = (end: number): boolean => {
      const { policy } = nodes[this.#plan.nodeOf(end)]!;
      return policy === undefined ? this.#defaultQuorum : policy.quorum !== undefined;
    };
    if (targets !== null) {
      for (let end = 0; end < 2 * nodes.length; end++)
        if (early(end) && this.#plan.ownsParallel(fork, targets, end)) return true;
      return false;
    }
    let known = this.#early.get(fork);
    if (known === undefined) {
      known = false;
      for (let end = 0; end < 2 * nodes.length && !known; end++) known = early(end) && this.#plan.owns(fork, end);
      this.#early.set(fork, known);
    }
    return known;
  }

  /** I2, with what whoever waits for the branch goes on to. */
  #edgesAhead(outline: Outline, place: OutlinedPlace): bigint {
    let edges = this.#bounded[nodeOf(this.#plan, place)]!;
    if (!this.#hasBounded) return edges;
    for (const { caller } of levelsAround(outline, place)) if (caller >= 0) edges |= this.#bounded[caller]!;
    return edges;
  }
}

const NO_PLACE: OutlinedPlace = { branch: null, question: null };

function nodeOf(plan: Plan, { branch, question }: OutlinedPlace): number {
  return branch === null ? (plan.nodeByName.get(question?.node ?? "") ?? plan.entry) : branch.stands.node;
}

function* levelsAround(outline: Outline, { branch, question }: OutlinedPlace): IterableIterator<Level> {
  let slot = branch?.slot ?? question?.barrier?.instance ?? slotOf.frame(question?.frame ?? 0);
  while (slot !== slotOf.run) {
    const level = levelAt(outline, slot);
    yield level;
    slot = level.up;
  }
}
