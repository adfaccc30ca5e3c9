// Standpoint: one state of the search, and what everything that can happen in it leads to.

import { reduce } from "../reduce.ts";
import type { Reduction } from "../reduction.ts";
import type { SessionState } from "../session-state.ts";
import { choiceAt, placeOf, type Choice, type Choices, type Freedom } from "./choices.ts";
import type { LocalMove } from "./lesson.ts";
import { LESSONS_MAX, type KnownPlace, type LocalMoves, type LocalMovesOf } from "./local-moves.ts";
import { levelAt, slotOf, type Outline, type OutlinedBranch, type OutlinedPlace } from "./outline.ts";
import type { Outliner } from "./outliner.ts";
import { skips, type Happening, type Way } from "./sights.ts";

export type Outcome = Made | Foretold;

/** By the reducer. */
export interface Made {
  readonly freedom: Freedom;
  readonly by: Happening;
  readonly reduction: Reduction;
}

/** By a move that is known (local-moves.ts). */
export interface Foretold {
  readonly freedom: Freedom;
  readonly branch: OutlinedBranch;
  readonly choice: Choice;
  readonly move: LocalMove;
  readonly fingerprint: string;
}

/** What all states of a search share. */
export interface Ground {
  readonly outliner: Outliner;
  readonly choices: Choices;
  readonly local: LocalMoves;
}

export class Standpoint {
  readonly outline: Outline;
  readonly #ground: Ground;
  readonly #local: LocalMovesOf | null;
  readonly #session: () => SessionState;

  /** `session` is asked for when the reducer is. Without `remembers` it makes every move. */
  constructor(ground: Ground, outline: Outline, remembers: boolean, session: () => SessionState) {
    this.outline = outline;
    this.#ground = ground;
    this.#local = remembers ? ground.local.of(outline) : null;
    this.#session = session;
  }

  /** Where something can happen; one of those that can be taken for one another. */
  places(): readonly OutlinedPlace[] {
    const places: OutlinedPlace[] = [];
    for (const branch of this.#different(this.outline.branches)) places.push({ branch, question: null });
    for (const question of this.outline.questions) places.push({ branch: null, question });
    return places;
  }

  #different(branches: readonly OutlinedBranch[]): readonly OutlinedBranch[] {
    const parts = new Set<string>();
    for (const { stands } of branches) parts.add(stands.part);
    if (parts.size === branches.length) return branches;
    const names = new Set<string>();
    return branches.filter((branch) => {
      const name = this.#nameOf(branch);
      return !names.has(name) && names.add(name);
    });
  }

  /** Branches with the same name can be taken for one another. */
  #nameOf({ slot, stands }: OutlinedBranch): string {
    const { up, text } = levelAt(this.outline, slot);
    return up < 0 && !slotOf.isFrame(up) ? `${up}<${text}<${stands.part}` : `${slot}/${stands.part}`;
  }

  /** What everything of one sort that can happen at a place leads to. */
  outcomes({ branch, question }: OutlinedPlace, sort: Freedom): readonly Outcome[] {
    const known = branch === null ? null : (this.#local?.at(branch) ?? null);
    if (branch !== null && known !== null) {
      const choices = (known.choices[sort] ??= this.#choices({ branch, question }, sort));
      const moves = (known.moves[sort] ??= []);
      return choices.map((choice, i) => this.#recall(branch, moves, choice, i));
    }
    return this.#choices({ branch, question }, sort).map((choice) => this.#make(choice));
  }

  #choices({ branch, question }: OutlinedPlace, sort: Freedom): Choice[] {
    const session = this.#session();
    const run = session.run!;
    const place = branch === null ? { branch, question } : placeOf(run, branch.id);
    return this.#ground.choices.at(session, run, place, sort);
  }

  /** The outline a foretold outcome leads to. */
  apply({ branch, move, fingerprint }: Foretold): Outline {
    return this.#local!.apply(branch, move, fingerprint);
  }

  #make(choice: Choice): Made {
    return { freedom: choice.freedom, by: choice, reduction: happen(this.#session(), choice) };
  }

  #recall(branch: OutlinedBranch, moves: KnownPlace["moves"][number], choice: Choice, i: number): Outcome {
    const known = moves[i] ?? 0;
    if (typeof known === "object") {
      const fingerprint = this.#local!.foretell(branch, known);
      if (fingerprint !== undefined) return { freedom: choice.freedom, branch, choice, move: known, fingerprint };
    }
    const session = this.#session();
    const made = this.#make(choiceAt(session, placeOf(session.run!, branch.id), choice));
    if (typeof known === "number" && known < LESSONS_MAX)
      moves[i] = this.#local!.learn(branch, session.run!, made.reduction, this.#ground.outliner) ?? known + 1;
    return made;
  }
}

/** What follows in a state. */
export function happen(session: SessionState, { fact }: Happening): Reduction {
  const reduction = reduce(session, fact, 0);
  if (reduction.refused !== undefined) throw new TypeError(`the reducer refused ${fact.type}: ${reduction.refused}`);
  return reduction;
}

/** The happening that `by` is in a state. */
export function happeningIn(session: SessionState, by: Way): Happening {
  return "fact" in by ? by : choiceAt(session, placeOf(session.run!, by.branch), by.choice);
}

export const NONE: readonly boolean[] = [];

/** Which of the outcomes end a branch undelivered although another would not have. */
export function leavesNothing(outcomes: readonly Outcome[]): readonly boolean[] {
  if (outcomes.length < 2) return NONE;
  let count = 0;
  for (const outcome of outcomes) if (skipsOne(outcome)) count++;
  return count === 0 || count === outcomes.length ? NONE : outcomes.map(skipsOne);
}

function skipsOne(outcome: Outcome): boolean {
  return "move" in outcome ? outcome.move.skips : skips(outcome.reduction.events);
}
