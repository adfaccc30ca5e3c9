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
// E6  What is known of local moves (local-moves.ts) is not asked of the reducer again. Where it is asked, it is in a state that it
//     made all the way from the start, and that must be the one that was foretold.

import type { Plan } from "../../topology/plan.ts";
import type { TopologyData } from "../../topology/types.ts";
import type { Fact, RunLimits } from "../facts.ts";
import { initialState, reduce } from "../reduce.ts";
import type { RunState, SessionState } from "../session-state.ts";
import { Choices, FREEDOM, type Freedom } from "./choices.ts";
import { Independence } from "./independence.ts";
import { LocalMoves } from "./local-moves.ts";
import { Moves } from "./moves-made.ts";
import type { Outline, OutlinedPlace } from "./outline.ts";
import { Outliner } from "./outliner.ts";
import { Sights, sightingsOf, type Seen, type Sight, type Sighting, type Way } from "./sights.ts";
import {
  happen,
  happeningIn,
  leavesNothing,
  NONE,
  Standpoint,
  type Foretold,
  type Ground,
  type Made,
} from "./standpoint.ts";
import { twinsOf } from "./twins.ts";

export interface Explored {
  readonly states: readonly ExploredState[];
  readonly moves: Moves;
  /** What was seen on the way, by name, with a shortest run to it. */
  readonly seen: Readonly<Record<Sight, ReadonlyMap<string, Seen>>>;
  /** For each node the first of those that can change places with it. */
  readonly twins: readonly number[];
  /** Of the fingerprints. */
  readonly outliner: Outliner;
  /** For each freedom: all runs of so much freedom were looked at. */
  readonly complete: readonly boolean[];
}

export interface ExploredState {
  /** Of a state that was foretold; null for others, and once the search is done. */
  outline: Outline | null;
  /** Null for a state that was foretold until the reducer is asked, at the end of a run, and once the search is done. */
  session: SessionState | null;
  freedom: Freedom;
  /** Facts since the start of the run. */
  depth: number;
  parent: number;
  by: Way;
  readonly fingerprint: string;
  /** Set for a state in which the run has ended. */
  readonly ended: RunState["end"];
  /** The last sort of choice whose successors are known; -1 for none. */
  expanded: number;
  /** Everything is tried here, not one group (E3). */
  wide: boolean;
}

const NO_MOVE = -1;
const USED = "!";
const MOVES_PER_STATE = 10;
const REMEMBER_FROM = 2_048;

export class Exploration {
  readonly #data: TopologyData;
  readonly #limits: RunLimits;
  readonly #twins: readonly number[];
  readonly #ground: Ground;
  readonly #independence: Independence;
  readonly #maxStates: number;
  readonly #rememberFrom: number;
  readonly #states: ExploredState[] = [];
  readonly #moves = new Moves();
  readonly #byFingerprint = new Map<string, number>();
  readonly #sights = new Sights();
  #full = false;
  #waiting: number[][] = [];

  /** From `rememberFrom` states on local moves are remembered: before, little of what is learned is used again. What is found is the same. */
  constructor(
    data: TopologyData,
    plan: Plan,
    limits: RunLimits,
    { maxStates, rememberFrom = REMEMBER_FROM }: { readonly maxStates: number; readonly rememberFrom?: number },
  ) {
    this.#data = data;
    this.#limits = limits;
    this.#maxStates = maxStates;
    this.#rememberFrom = rememberFrom;
    this.#twins = twinsOf(plan);
    this.#ground = {
      outliner: new Outliner(plan, this.#twins),
      choices: new Choices(plan),
      local: new LocalMoves(plan),
    };
    this.#independence = new Independence(plan, limits.convergencePolicy.quorum !== undefined);
  }

  run(): Explored {
    this.#begin();
    const complete: boolean[] = [];
    for (const freedom of Object.values(FREEDOM)) {
      this.#search(freedom);
      complete.push(!this.#full && !this.#ground.choices.cutShort);
    }
    for (const state of this.#states) state.session = state.outline = null;
    return {
      states: this.#states,
      moves: this.#moves,
      seen: this.#sights.all,
      twins: this.#twins,
      outliner: this.#ground.outliner,
      complete,
    };
  }

  #begin(): void {
    const first = initialState("check");
    const started = this.#ground.choices.ofTask().map(({ held, end }): Made => {
      const fact = startFact(this.#data, this.#limits, held);
      return { freedom: FREEDOM.values, by: { fact, end }, reduction: reduce(first, fact, 0) };
    });
    const leaveNothing = leavesNothing(started);
    started.forEach((one, i) => {
      const freedom = leaveNothing[i] === true ? FREEDOM.noneHeld : FREEDOM.values;
      this.#add(one, { from: NO_MOVE, needs: freedom, freedom, depth: 0, used: "" });
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
    const first = state.expanded + 1;
    state.expanded = freedom;
    // That no condition holds is seen by what follows from values.
    if (first === FREEDOM.noneHeld && freedom === FREEDOM.noneHeld) return;
    const outline = state.outline ?? this.#ground.outliner.of(state.session!.run!);
    const remembers = this.#states.length >= this.#rememberFrom;
    const at = new Standpoint(this.#ground, outline, remembers, () => this.#sessionOf(index));
    const places = at.places();
    if (freedom === FREEDOM.commands && state.freedom < FREEDOM.commands) {
      for (const place of places) this.#try(index, at, place, FREEDOM.commands);
      return;
    }
    const group =
      places.length < 2 || state.wide ? { places, loops: false } : this.#independence.choose(at.outline, places);
    let leadsOn = false;
    const sorts = state.freedom === FREEDOM.commands ? [FREEDOM.values] : range(first, freedom);
    const tryAll = (some: readonly OutlinedPlace[]): void => {
      for (const place of some) for (const sort of sorts) if (this.#try(index, at, place, sort)) leadsOn = true;
    };
    tryAll(group.places);
    if (leadsOn || !group.loops || group.places.length === places.length || first > FREEDOM.values) return;
    state.wide = true;
    tryAll(places.filter((place) => !group.places.includes(place)));
  }

  /** What leads to a state, made by the reducer (E6). */
  #sessionOf(index: number): SessionState {
    const ahead: number[] = [];
    for (let at = index; this.#states[at]!.session === null; at = this.#states[at]!.parent) ahead.push(at);
    for (const at of ahead.reverse()) {
      const state = this.#states[at]!;
      const before = this.#states[state.parent]!.session!;
      const session = happen(before, happeningIn(before, state.by)).state;
      const fingerprint = this.#ground.outliner.fingerprint(session.run!);
      if (withoutUse(state.fingerprint) !== fingerprint)
        throw new TypeError(`a move that was foretold to lead to ${state.fingerprint} led to ${fingerprint}`);
      state.session = session;
    }
    return this.#states[index]!.session!;
  }

  /** Everything of one sort that can happen at a place. True when it led to a state that was not known. */
  #try(from: number, at: Standpoint, place: OutlinedPlace, sort: Freedom): boolean {
    const outcomes = at.outcomes(place, sort);
    const leaveNothing = sort === FREEDOM.values ? leavesNothing(outcomes) : NONE;
    const { freedom, depth } = this.#states[from]!;
    const used = sort === FREEDOM.commands || freedom === FREEDOM.commands ? USED : "";
    let leadsOn = false;
    for (let i = 0; i < outcomes.length; i++) {
      const outcome = outcomes[i]!;
      const needs = leaveNothing[i] === true ? FREEDOM.noneHeld : outcome.freedom;
      const move: Move = { from, needs, freedom: freedom < needs ? needs : freedom, depth: depth + 1, used };
      if ("move" in outcome ? this.#follow(at, outcome, move) : this.#add(outcome, move)) leadsOn = true;
    }
    return leadsOn;
  }

  /** Takes a state in that was foretold. True when it was not known. */
  #follow(at: Standpoint, foretold: Foretold, move: Move): boolean {
    const { branch, choice } = foretold;
    const { steps, sightings } = foretold.move;
    const fingerprint = move.used === "" ? foretold.fingerprint : move.used + foretold.fingerprint;
    const known = this.#byFingerprint.get(fingerprint);
    const isKnown = known !== undefined && !this.#isBetter(move, this.#states[known]!);
    if (isKnown && !this.#sights.areNews(sightings, move)) {
      this.#moves.add(move.from, known, move.needs, steps);
      return false;
    }
    const way = { by: { branch: branch.id, choice }, steps, sightings };
    return this.#take(move, fingerprint, way, () => ({ session: null, outline: at.apply(foretold), ended: null }));
  }

  /** Takes a state in that the reducer made. True when it was not known. */
  #add({ reduction: { state: session, events, effects }, by }: Made, move: Move): boolean {
    const run = session.run!;
    const from = move.from === NO_MOVE ? null : this.#states[move.from]!.session!.run!;
    const fingerprint = move.used + this.#ground.outliner.fingerprint(run);
    const sightings = sightingsOf(events, effects, run, from?.boundsHit.length ?? 0);
    const way = { by, steps: run.steps - (from?.steps ?? 0), sightings };
    return this.#take(move, fingerprint, way, () => ({
      session: run.end === null ? session : null,
      outline: null,
      ended: run.end,
    }));
  }

  /** `made` is asked when the state is not known, or found in a better way. */
  #take(
    move: Move,
    fingerprint: string,
    { by, steps, sightings }: { readonly by: Way; readonly steps: number; readonly sightings: readonly Sighting[] },
    made: () => Pick<ExploredState, "session" | "outline" | "ended">,
  ): boolean {
    const { from, freedom, depth } = move;
    this.#sights.note(sightings, { state: from, freedom, depth, by });
    const known = this.#byFingerprint.get(fingerprint);
    if (known === undefined && this.#states.length >= this.#maxStates) {
      this.#full = true;
      this.#moves.add(from, -1, move.needs, steps);
      return false;
    }
    const index = known ?? this.#states.length;
    this.#moves.add(from, index, move.needs, steps);
    if (known !== undefined) {
      const state = this.#states[known]!;
      if (!this.#isBetter(move, state)) return false;
      Object.assign(state, { ...made(), freedom, depth, parent: from, by });
      this.#await(known, state);
      return false;
    }
    const { session, outline, ended } = made();
    const found = { freedom, depth, parent: from, by, fingerprint };
    const state: ExploredState = { outline, session, ended, ...found, expanded: -1, wide: false };
    this.#states.push(state);
    this.#byFingerprint.set(fingerprint, index);
    this.#await(index, state);
    return true;
  }

  /** Of a state that was not looked at. */
  #isBetter({ freedom, depth }: Move, known: ExploredState): boolean {
    return known.expanded === -1 && (freedom < known.freedom || (freedom === known.freedom && depth < known.depth));
  }
}

interface Move {
  readonly from: number;
  /** Of the choice itself. */
  readonly needs: Freedom;
  /** Of the run up to what it leads to. */
  readonly freedom: Freedom;
  readonly depth: number;
  /** Goes before the fingerprint of what follows a command (E4): it is another state. */
  readonly used: typeof USED | "";
}

function withoutUse(fingerprint: string): string {
  return fingerprint.startsWith(USED) ? fingerprint.slice(USED.length) : fingerprint;
}

function range(first: number, last: Freedom): Freedom[] {
  return Object.values(FREEDOM).filter((freedom) => freedom >= first && freedom <= last);
}

export function startFact(topology: TopologyData, limits: RunLimits, held: readonly number[]): Fact {
  return { type: "run.started", runId: "check", task: { v: null }, topology, topologyHash: "", limits, held };
}
