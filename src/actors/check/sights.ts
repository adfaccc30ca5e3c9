// Sights: what is seen on the way from state to state, each with the soonest happening that shows it.

import type { ErrorData } from "../../base/errors.ts";
import type { Effect, KernelEvent } from "../effects.ts";
import type { Fact } from "../facts.ts";
import type { RunState } from "../session-state.ts";
import type { Choice, Freedom } from "./choices.ts";
import type { ScheduledEnd } from "./report.ts";

/** A fact and how it is told. */
export interface Happening {
  readonly fact: Fact;
  readonly end: ScheduledEnd;
}

/** How one state comes from another: what happens, or the same as has been known to happen at a branch. */
export type Way = Happening | { readonly branch: number; readonly choice: Choice };

/** What follows from `by` in a state; -1: at the start of the run. */
export interface Seen {
  readonly state: number;
  readonly by: Way;
  readonly freedom: Freedom;
  readonly depth: number;
}

/** A node that ran; a join at a node that opened, fired, failed or asked; a call nobody answered; a bound that was hit. */
export type Sight = "reached" | "opened" | "fired" | "failed" | "asked" | "unanswered" | "bound";

export interface Sighting {
  readonly what: Sight;
  readonly name: string;
}

export class Sights {
  readonly all: Readonly<Record<Sight, Map<string, Seen>>> = {
    reached: new Map(),
    opened: new Map(),
    fired: new Map(),
    failed: new Map(),
    asked: new Map(),
    unanswered: new Map(),
    bound: new Map(),
  };

  /** Keeps of each the least free, and of those the soonest. */
  note(sightings: readonly Sighting[], seen: Seen): void {
    for (const sighting of sightings) if (this.#isNew(sighting, seen)) this.all[sighting.what].set(sighting.name, seen);
  }

  /** Would any of these be kept? */
  areNews(sightings: readonly Sighting[], at: Pick<Seen, "freedom" | "depth">): boolean {
    for (const sighting of sightings) if (this.#isNew(sighting, at)) return true;
    return false;
  }

  #isNew({ what, name }: Sighting, { freedom, depth }: Pick<Seen, "freedom" | "depth">): boolean {
    const known = this.all[what].get(name);
    return known === undefined || freedom < known.freedom || (freedom === known.freedom && depth < known.depth);
  }
}

/** What a reduction shows. `boundsBefore`: bounds that had been hit. */
export function sightingsOf(
  events: readonly KernelEvent[],
  effects: readonly Effect[],
  { boundsHit }: RunState,
  boundsBefore: number,
): Sighting[] {
  const seen: Sighting[] = [];
  for (const event of events) {
    switch (event.type) {
      case "step.started":
      case "user.asked":
        seen.push({ what: "reached", name: event.node });
        break;
      case "barrier.opened":
        seen.push({ what: "opened", name: event.node });
        break;
      case "barrier.fired":
        if (event.decision !== "cancelled") seen.push({ what: event.decision, name: event.node });
        break;
      case "branch.ended":
        if (event.status === "failed") seen.push(...unanswered(event.error));
        break;
      default:
    }
  }
  for (const effect of effects) if (effect.type === "step.offer") seen.push(...unanswered(effect.offer.error));
  for (const name of boundsHit.slice(boundsBefore)) seen.push({ what: "bound", name });
  return seen;
}

/** A call that ended with nothing delivered shows as the failure of its caller. */
function unanswered(error: ErrorData | undefined): Sighting[] {
  return error?.code === "ORCH_NO_ROUTE" ? [{ what: "unanswered", name: error.node ?? "" }] : [];
}

/** Does a branch end undelivered, other than at a join? */
export function skips(events: readonly KernelEvent[]): boolean {
  return events.some((event) => isSkip(event, events));
}

function isSkip(event: KernelEvent, events: readonly KernelEvent[]): boolean {
  if (event.type !== "branch.ended" || event.status !== "skipped") return false;
  return !events.some((other) => other.type === "barrier.arrived" && other.branchId === event.branchId);
}
