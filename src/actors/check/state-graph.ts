// The states that were found, as a graph: how long a run can get, where it can go round for ever, and from where it cannot end.

import type { Freedom } from "./choices.ts";
import type { Explored } from "./explore.ts";
import { componentsOf, rowsOf, type Rows } from "./rows.ts";

export class StateGraph {
  readonly #explored: Explored;
  readonly #freedom: Freedom;
  readonly #succ: Rows;
  /** Steps of the moves in `#succ`. */
  readonly #steps: Rows;
  readonly #open: Uint8Array;
  readonly #groups: Rows;
  readonly #groupOf: Int32Array;

  /** Of the states and moves of so much freedom. */
  constructor(explored: Explored, freedom: Freedom) {
    const { states, moves } = explored;
    this.#explored = explored;
    this.#freedom = freedom;
    const isFree = Uint8Array.from(states, (state) => (state.freedom <= freedom ? 1 : 0));
    this.#open = new Uint8Array(states.length);
    states.forEach((state, i) => {
      if (state.ended === null && state.freedom <= freedom && state.expanded < freedom) this.#open[i] = 1;
    });
    moves.forEach((from, to, need) => {
      if (from >= 0 && to < 0 && need <= freedom && isFree[from] === 1) this.#open[from] = 1;
    });
    const within = (visit: (from: number, to: number, steps: number) => void): void =>
      moves.forEach((from, to, need, steps) => {
        if (from >= 0 && to >= 0 && need <= freedom && isFree[from] === 1) visit(from, to, steps);
      });
    this.#succ = rowsOf(states.length, within);
    this.#steps = rowsOf(states.length, (visit) => within((from, _to, steps) => visit(from, steps)));
    this.#groups = componentsOf(this.#succ);
    this.#groupOf = new Int32Array(states.length);
    for (let group = 0; group + 1 < this.#groups.starts.length; group++)
      this.#eachIn(group, (state) => {
        this.#groupOf[state] = group;
      });
  }

  /** Steps of the longest way from the start; `Infinity` when it can go round. */
  longest(): number {
    const { starts, items } = this.#succ;
    const best = new Float64Array(this.#groups.starts.length - 1);
    for (let group = 0; group < best.length; group++) {
      let most = 0;
      let round = 0;
      this.#eachIn(group, (state) => {
        for (let i = starts[state]!; i < starts[state + 1]!; i++) {
          const to = items[i]!;
          const steps = this.#steps.items[i]!;
          if (this.#groupOf[to] === group) round += steps;
          else most = Math.max(most, steps + best[this.#groupOf[to]!]!);
        }
      });
      best[group] = round > 0 ? Infinity : most;
    }
    let longest = 0;
    this.#explored.moves.forEach((from, to, need, steps) => {
      if (from < 0 && to >= 0 && need <= this.#freedom) longest = Math.max(longest, steps + best[this.#groupOf[to]!]!);
    });
    return longest;
  }

  /** A shortest way round, from the state that is found soonest to the same again; undefined when there is none. */
  lap(among: (state: number) => boolean = () => true): readonly number[] | undefined {
    let first: number | undefined;
    const { starts, items } = this.#groups;
    for (let group = 0; group + 1 < starts.length; group++) {
      const one = items[starts[group]!]!;
      if (starts[group + 1]! - starts[group]! === 1 && !this.#leadsTo(one, one)) continue;
      this.#eachIn(group, (state) => {
        if (among(state) && (first === undefined || this.#isSooner(state, first))) first = state;
      });
    }
    return first === undefined ? undefined : this.#round(first);
  }

  /** States from which no run ends, as far as is known. */
  trapped(): (state: number) => boolean {
    const { states } = this.#explored;
    const { starts, items } = this.#succ;
    const pred = rowsOf(states.length, (visit) => {
      for (let from = 0; from < states.length; from++)
        for (let i = starts[from]!; i < starts[from + 1]!; i++) visit(items[i]!, from);
    });
    const ends = new Uint8Array(states.length);
    const stack: number[] = [];
    states.forEach((state, i) => {
      if (state.ended !== null || this.#open[i] === 1) stack.push(i);
    });
    for (const state of stack) ends[state] = 1;
    while (stack.length > 0) {
      const to = stack.pop()!;
      for (let i = pred.starts[to]!; i < pred.starts[to + 1]!; i++) {
        const from = pred.items[i]!;
        if (ends[from] === 1) continue;
        ends[from] = 1;
        stack.push(from);
      }
    }
    return (state) => ends[state] === 0;
  }

  #eachIn(group: number, visit: (state: number) => void): void {
    const { starts, items } = this.#groups;
    for (let i = starts[group]!; i < starts[group + 1]!; i++) visit(items[i]!);
  }

  #leadsTo(state: number, to: number): boolean {
    const { starts, items } = this.#succ;
    for (let i = starts[state]!; i < starts[state + 1]!; i++) if (items[i] === to) return true;
    return false;
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
      for (const to of this.#succ.items.subarray(this.#succ.starts[at], this.#succ.starts[at + 1])) {
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
