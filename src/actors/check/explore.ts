// Exploration
//
// A search through the states a run can be in, by the reducer that runs it: breadth first, by how much has to go otherwise than
// meant and then by how much has to happen, so that whatever is found is found by a shortest run of the least freedom.
//
// E1  States with one fingerprint are one state; the first that was found stands for them.
// E2  Values first, then failures, then commands: when the bound is reached it is the freest runs that were not looked at.
// E3  Of what is independent one order is tried (independence.ts). A group that stands in a loop and leads to nothing new
//     does not hold up the others for ever: then all are tried.
// E4  A run has one command at most, and values from then on: with more, every hub could go on calling for ever.
// E5  The bound is on states, and on moves between them at `MOVES_PER_STATE` times that, so that time is bounded too. There
//     the search stops.

import type { Plan } from "../../topology/plan.ts";
import type { TopologyData } from "../../topology/types.ts";
import type { ErrorData } from "../../base/errors.ts";
import type { Effect, KernelEvent } from "../effects.ts";
import type { Fact, RunLimits } from "../facts.ts";
import { initialState, reduce } from "../reduce.ts";
import type { Reduction } from "../reduction.ts";
import type { RunState, SessionState } from "../session-state.ts";
import { Choices, FREEDOM, placesOf, type Freedom, type Place } from "./choices.ts";
import { Fingerprint } from "./fingerprint.ts";
import { Independence } from "./independence.ts";
import { Moves } from "./moves-made.ts";
import type { ScheduledEnd } from "./report.ts";
import { twinsOf } from "./twins.ts";

export interface Explored {
  readonly states: readonly ExploredState[];
  readonly moves: Moves;
  /** What was seen on the way, by name, with a shortest run to it. */
  readonly seen: Readonly<Record<Sight, ReadonlyMap<string, Seen>>>;
  /** For each node the first of those that can change places with it. */
  readonly twins: readonly number[];
  /** For each freedom: all runs of so much freedom were looked at. */
  readonly complete: readonly boolean[];
}

export interface ExploredState {
  /** Null at the end of a run and once the search is done. */
  session: SessionState | null;
  freedom: Freedom;
  /** Facts since the start of the run. */
  depth: number;
  parent: number;
  by: Happening;
  readonly fingerprint: string;
  /** Set for a state in which the run has ended. */
  readonly ended: RunState["end"];
  /** The last sort of choice whose successors are known; -1 for none. */
  expanded: number;
  /** Everything is tried here, not one group (E3). */
  wide: boolean;
}

/** A fact and how it is told. */
export interface Happening {
  readonly fact: Fact;
  readonly end: ScheduledEnd;
}

/** What follows from `by` in a state; -1: at the start of the run. */
export interface Seen {
  readonly state: number;
  readonly by: Happening;
  readonly freedom: Freedom;
  readonly depth: number;
}

/** A node that ran; a join at a node that opened, fired, failed or asked; a call nobody answered; a bound that was hit. */
export type Sight = "reached" | "opened" | "fired" | "failed" | "asked" | "unanswered" | "bound";

const NO_MOVE = -1;
const MOVES_PER_STATE = 10;

export class Exploration {
  readonly #data: TopologyData;
  readonly #plan: Plan;
  readonly #limits: RunLimits;
  readonly #choices: Choices;
  readonly #independence: Independence;
  readonly #maxStates: number;
  readonly #states: ExploredState[] = [];
  readonly #moves = new Moves();
  readonly #twins: readonly number[];
  readonly #byFingerprint = new Map<string, number>();
  readonly #seen: Record<Sight, Map<string, Seen>> = {
    reached: new Map(),
    opened: new Map(),
    fired: new Map(),
    failed: new Map(),
    asked: new Map(),
    unanswered: new Map(),
    bound: new Map(),
  };
  #full = false;
  #waiting: number[][] = [];

  constructor(data: TopologyData, plan: Plan, limits: RunLimits, maxStates: number) {
    this.#data = data;
    this.#plan = plan;
    this.#limits = limits;
    this.#maxStates = maxStates;
    this.#twins = twinsOf(plan);
    this.#choices = new Choices(plan);
    this.#independence = new Independence(plan, limits.convergencePolicy.quorum !== undefined);
  }

  run(): Explored {
    this.#begin();
    const complete: boolean[] = [];
    for (const freedom of Object.values(FREEDOM)) {
      this.#search(freedom);
      complete.push(!this.#full && !this.#choices.cutShort);
    }
    for (const state of this.#states) state.session = null;
    return { states: this.#states, moves: this.#moves, seen: this.#seen, twins: this.#twins, complete };
  }

  #begin(): void {
    const first = initialState("check");
    const started = this.#choices.ofTask().map(({ held, end }) => {
      const fact = startFact(this.#data, this.#limits, held);
      return { fact, end, ...reduce(first, fact, 0) };
    });
    const leaveNothing = leavesNothing(started);
    started.forEach((one, i) => {
      const freedom = leaveNothing[i] === true ? FREEDOM.noneHeld : FREEDOM.values;
      this.#add(one, { from: NO_MOVE, freedom, used: "" }, one);
    });
  }

  /** Looks at everything of so much freedom, and of no more, that follows from what is known. */
  #search(freedom: Freedom): void {
    this.#waiting = [];
    this.#states.forEach((state, i) => this.#await(i, state));
    for (let depth = 0; depth < this.#waiting.length; depth++) {
      const level = this.#waiting[depth] ?? [];
      for (let i = 0; i < level.length; i++) {
        const state = this.#states[level[i]!]!;
        if (state.freedom > freedom || state.depth !== depth || state.expanded >= freedom) continue;
        this.#full ||= this.#moves.length >= MOVES_PER_STATE * this.#maxStates;
        if (this.#full) return;
        this.#expand(level[i]!, state, freedom);
      }
    }
  }

  #await(index: number, state: ExploredState): void {
    if (state.ended !== null) return;
    (this.#waiting[state.depth] ??= []).push(index);
  }

  #expand(index: number, state: ExploredState, freedom: Freedom): void {
    const session = state.session!;
    const run = session.run!;
    const places = this.#different(run, placesOf(run));
    const first = state.expanded + 1;
    state.expanded = freedom;
    if (freedom === FREEDOM.commands && state.freedom < FREEDOM.commands) {
      for (const place of places) this.#try(index, state, place, FREEDOM.commands);
      return;
    }
    const group = places.length < 2 || state.wide ? { places, loops: false } : this.#independence.choose(run, places);
    let leadsOn = false;
    const sorts = state.freedom === FREEDOM.commands ? [FREEDOM.values] : range(first, freedom);
    const tryAll = (some: readonly Place[]): void => {
      for (const place of some) for (const sort of sorts) if (this.#try(index, state, place, sort)) leadsOn = true;
    };
    tryAll(group.places);
    if (leadsOn || !group.loops || group.places.length === places.length || first > FREEDOM.values) return;
    state.wide = true;
    tryAll(places.filter((place) => !group.places.includes(place)));
  }

  /** One of those that can be taken for one another. */
  #different(run: RunState, places: readonly Place[]): readonly Place[] {
    if (places.length < 2) return places;
    const told = new Fingerprint(run, this.#plan, this.#twins);
    const known = new Set<string>();
    return places.filter(({ branch }) => {
      if (branch === null) return true;
      const name = told.branch(branch);
      return !known.has(name) && known.add(name);
    });
  }

  /** Everything of one sort that can happen at a place. True when it led to a state that was not known. */
  #try(index: number, state: ExploredState, place: Place, sort: Freedom): boolean {
    const session = state.session!;
    const run = session.run!;
    const choices = this.#choices.at(session, run, place, sort);
    if (choices.length === 0) return false;
    const results = choices.map((choice) => reduce(session, choice.fact, 0));
    const leaveNothing = sort === FREEDOM.values ? leavesNothing(results) : NONE;
    const used = state.freedom === FREEDOM.commands || sort === FREEDOM.commands ? "!" : "";
    let leadsOn = false;
    for (let i = 0; i < choices.length; i++) {
      const freedom = leaveNothing[i] === true ? FREEDOM.noneHeld : choices[i]!.freedom;
      if (this.#add(results[i]!, { from: index, freedom, used }, choices[i]!)) leadsOn = true;
    }
    return leadsOn;
  }

  /** Takes a state in. True when it was not known. */
  #add(
    { state: session, events, effects, refused }: Reduction,
    at: { readonly from: number; readonly freedom: Freedom; readonly used: string },
    by: Happening,
  ): boolean {
    if (refused !== undefined) throw new TypeError(`the reducer refused ${by.fact.type}: ${refused}`);
    const run = session.run!;
    const from = at.from === NO_MOVE ? null : this.#states[at.from]!;
    const freedom = from === null || from.freedom < at.freedom ? at.freedom : from.freedom;
    const depth = from === null ? 0 : from.depth + 1;
    const steps = run.steps - (from?.session?.run?.steps ?? 0);
    this.#look(events, effects, run, from?.session?.run ?? null, { state: at.from, by, freedom, depth });
    const fingerprint = at.used + new Fingerprint(run, this.#plan, this.#twins).run();
    const known = this.#byFingerprint.get(fingerprint);
    if (known === undefined && this.#states.length >= this.#maxStates) {
      this.#full = true;
      this.#moves.add(at.from, -1, at.freedom, steps);
      return false;
    }
    const index = known ?? this.#states.length;
    this.#moves.add(at.from, index, at.freedom, steps);
    if (known !== undefined) {
      const state = this.#states[known]!;
      const sooner = freedom < state.freedom || (freedom === state.freedom && depth < state.depth);
      if (sooner && state.expanded === -1) {
        Object.assign(state, { session: state.ended === null ? session : null, freedom, depth, parent: at.from, by });
        this.#await(known, state);
      }
      return false;
    }
    const ended = run.end;
    const state: ExploredState = {
      session: ended === null ? session : null,
      freedom,
      depth,
      parent: at.from,
      by,
      fingerprint,
      ended,
      expanded: -1,
      wide: false,
    };
    this.#states.push(state);
    this.#byFingerprint.set(fingerprint, index);
    this.#await(index, state);
    return true;
  }

  #look(
    events: readonly KernelEvent[],
    effects: readonly Effect[],
    run: RunState,
    before: RunState | null,
    at: Seen,
  ): void {
    for (const event of events) {
      switch (event.type) {
        case "step.started":
        case "user.asked":
          this.#note("reached", event.node, at);
          break;
        case "barrier.opened":
          this.#note("opened", event.node, at);
          break;
        case "barrier.fired":
          if (event.decision !== "cancelled") this.#note(event.decision, event.node, at);
          break;
        case "branch.ended":
          if (event.status === "failed") this.#noteUnanswered(event.error, at);
          break;
        default:
      }
    }
    for (const effect of effects) if (effect.type === "step.offer") this.#noteUnanswered(effect.offer.error, at);
    for (let i = before?.boundsHit.length ?? 0; i < run.boundsHit.length; i++)
      this.#note("bound", run.boundsHit[i]!, at);
  }

  /** A call that ended with nothing delivered shows as the failure of its caller. */
  #noteUnanswered(error: ErrorData | undefined, at: Seen): void {
    if (error?.code === "ORCH_NO_ROUTE") this.#note("unanswered", error.node ?? "", at);
  }

  #note(what: Sight, name: string, at: Seen): void {
    const sights = this.#seen[what];
    const known = sights.get(name);
    if (known === undefined || at.freedom < known.freedom || (at.freedom === known.freedom && at.depth < known.depth))
      sights.set(name, at);
  }
}

const NONE: readonly boolean[] = [];

function range(first: number, last: Freedom): Freedom[] {
  return Object.values(FREEDOM).filter((freedom) => freedom >= first && freedom <= last);
}

/** Which of the alternatives end a branch undelivered although another would not have. */
function leavesNothing(alternatives: readonly Reduction[]): readonly boolean[] {
  if (alternatives.length < 2) return NONE;
  const skips = alternatives.map(({ events }) => events.some((event) => isSkip(event, events)));
  return skips.every((skip) => skip) ? NONE : skips;
}

function isSkip(event: KernelEvent, events: readonly KernelEvent[]): boolean {
  if (event.type !== "branch.ended" || event.status !== "skipped") return false;
  return !events.some((other) => other.type === "barrier.arrived" && other.branchId === event.branchId);
}

export function startFact(topology: TopologyData, limits: RunLimits, held: readonly number[]): Fact {
  return { type: "run.started", runId: "check", task: { v: null }, topology, topologyHash: "", limits, held };
}
