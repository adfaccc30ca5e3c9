// The states that were found, as a graph: how long a run can get, where it can go round for ever, and from where it cannot end.

import { components } from "../../topology/graph.ts";
import type { Freedom } from "./choices.ts";
import type { Explored } from "./explore.ts";

export class StateGraph {
  readonly #explored: Explored;
  readonly #freedom: Freedom;
  readonly #succ: number[][];
  readonly #steps: number[][];
  readonly #open: Uint8Array;
  readonly #groups: readonly (readonly number[])[];
  readonly #groupOf: Int32Array;

  /** Of the states and moves of so much freedom. */
  constructor(explored: Explored, freedom: Freedom) {
    const { states, moves } = explored;
    this.#explored = explored;
    this.#freedom = freedom;
    this.#succ = states.map(() => []);
    this.#steps = states.map(() => []);
    this.#open = new Uint8Array(states.length);
    states.forEach((state, i) => {
      if (state.ended === null && state.freedom <= freedom && state.expanded < freedom) this.#open[i] = 1;
    });
    moves.forEach((from, to, need, steps) => {
      if (from < 0 || need > freedom || states[from]!.freedom > freedom) return;
      if (to < 0) this.#open[from] = 1;
      else {
        this.#succ[from]!.push(to);
        this.#steps[from]!.push(steps);
      }
    });
    this.#groups = components(this.#succ);
    this.#groupOf = new Int32Array(states.length);
    this.#groups.forEach((group, i) => {
      for (const state of group) this.#groupOf[state] = i;
    });
  }

  /** Steps of the longest way from the start; `Infinity` when it can go round. */
  longest(): number {
    const best = new Float64Array(this.#groups.length);
    this.#groups.forEach((group, i) => {
      let most = 0;
      let round = 0;
      for (const state of group) {
        this.#succ[state]!.forEach((to, k) => {
          const steps = this.#steps[state]![k]!;
          if (this.#groupOf[to] === i) round += steps;
          else most = Math.max(most, steps + best[this.#groupOf[to]!]!);
        });
      }
      best[i] = round > 0 ? Infinity : most;
    });
    let longest = 0;
    this.#explored.moves.forEach((from, to, need, steps) => {
      if (from < 0 && to >= 0 && need <= this.#freedom) longest = Math.max(longest, steps + best[this.#groupOf[to]!]!);
    });
    return longest;
  }

  /** A shortest way round, from the state that is found soonest to the same again; undefined when there is none. */
  lap(among: (state: number) => boolean = () => true): readonly number[] | undefined {
    let first: number | undefined;
    for (const group of this.#groups) {
      if (group.length === 1 && !this.#succ[group[0]!]!.includes(group[0]!)) continue;
      for (const state of group)
        if (among(state) && (first === undefined || this.#isSooner(state, first))) first = state;
    }
    return first === undefined ? undefined : this.#round(first);
  }

  /** States from which no run ends, as far as is known. */
  trapped(): (state: number) => boolean {
    const { states } = this.#explored;
    const pred: number[][] = states.map(() => []);
    this.#succ.forEach((targets, from) => {
      for (const to of targets) pred[to]!.push(from);
    });
    const ends = new Uint8Array(states.length);
    const stack = states.flatMap((state, i) => (state.ended !== null || this.#open[i] === 1 ? [i] : []));
    for (const state of stack) ends[state] = 1;
    while (stack.length > 0) {
      for (const from of pred[stack.pop()!]!) {
        if (ends[from] === 1) continue;
        ends[from] = 1;
        stack.push(from);
      }
    }
    return (state) => ends[state] === 0;
  }

  #isSooner(a: number, b: number): boolean {
    const { states } = this.#explored;
    const less = states[a]!.freedom - states[b]!.freedom;
    return less < 0 || (less === 0 && states[a]!.depth < states[b]!.depth);
  }

  #round(start: number): number[] {
    const group = this.#groupOf[start];
    const cameFrom = new Map<number, number>();
    const queue = [start];
    for (let i = 0; i < queue.length; i++) {
      const at = queue[i]!;
      for (const to of this.#succ[at]!) {
        if (to === start) {
          const way = [start];
          for (let back = at; back !== start; back = cameFrom.get(back)!) way.push(back);
          return [...way, start].reverse();
        }
        if (this.#groupOf[to] !== group || cameFrom.has(to)) continue;
        cameFrom.set(to, at);
        queue.push(to);
      }
    }
    throw new TypeError("a state that leads round does not come back to itself");
  }
}
