// Retracing: from a state that was found back to the run that leads there.

import type { Plan } from "../../topology/plan.ts";
import { initialState, reduce } from "../reduce.ts";
import type { SessionState } from "../session-state.ts";
import { Choices, FREEDOM, placesOf } from "./choices.ts";
import type { Explored } from "./explore.ts";
import type { Happening, Seen, Way } from "./sights.ts";
import { happen, happeningIn } from "./standpoint.ts";

export class Retrace {
  readonly #plan: Plan;
  readonly #explored: Explored;

  constructor(plan: Plan, explored: Explored) {
    this.#plan = plan;
    this.#explored = explored;
  }

  /** What happens up to a state. */
  to(state: number): Happening[] {
    return this.#happenings(this.#waysTo(state));
  }

  /** The same, and what was seen then. */
  through({ state, by }: Seen): Happening[] {
    return this.#happenings([...this.#waysTo(state), by]);
  }

  #waysTo(state: number): Way[] {
    const ways: Way[] = [];
    for (let at = state; at >= 0; at = this.#explored.states[at]!.parent) ways.push(this.#explored.states[at]!.by);
    return ways.reverse();
  }

  #happenings(ways: readonly Way[]): Happening[] {
    let session = initialState("check");
    return ways.map((way) => {
      const happening = happeningIn(session, way);
      session = happen(session, happening).state;
      return happening;
    });
  }

  /** Up to the first of `states`, which lead round to it again, and once round. */
  lap(states: readonly number[]): { readonly happenings: readonly Happening[]; readonly lapFrom: number } {
    const [first = 0, ...round] = states;
    const happenings = this.to(first);
    const lapFrom = happenings.length;
    let session = initialState("check");
    for (const { fact } of happenings) session = reduce(session, fact, 0).state;
    for (const to of round) {
      const { happening, next } = this.#step(session, this.#explored.states[to]!.fingerprint);
      happenings.push(happening);
      session = next;
    }
    return { happenings, lapFrom };
  }

  /** What leads from here to a state with this fingerprint, a value rather than a failure. */
  #step(session: SessionState, fingerprint: string): { happening: Happening; next: SessionState } {
    const choices = new Choices(this.#plan);
    const { outliner } = this.#explored;
    const run = session.run!;
    for (const sort of [FREEDOM.values, FREEDOM.failures]) {
      for (const place of placesOf(run)) {
        for (const choice of choices.at(session, run, place, sort)) {
          const next = reduce(session, choice.fact, 0).state;
          if (outliner.fingerprint(next.run!) === fingerprint) return { happening: choice, next };
        }
      }
    }
    throw new TypeError("a state cannot be come to again");
  }
}
