// Lessons: what one reduction teaches of a local move (local-moves.ts; L1 to L4 are told there).

import type { Plan } from "../../topology/plan.ts";
import { policyAt } from "../barriers.ts";
import type { Reduction } from "../reduction.ts";
import type { RunState } from "../session-state.ts";
import { textOf, type Splice } from "./level-text.ts";
import {
  levelAt,
  slotOf,
  type InstanceOutline,
  type Level,
  type Outline,
  type OutlinedBranch,
  type Stand,
} from "./outline.ts";
import type { Outliner } from "./outliner.ts";
import { sightingsOf, skips, type Sighting } from "./sights.ts";
import type { Standing } from "./standing.ts";

export interface LocalMove {
  /** By level, from that of the branch outwards. */
  readonly changes: readonly LevelChange[];
  /** Levels that begin, and branches; the branch itself is the first of them if it goes on. */
  readonly levels: readonly Begun<Level>[];
  readonly branches: readonly Begun<OutlinedBranch>[];
  readonly goesOn: boolean;
  /** By how much the next numbers rise. */
  readonly begins: Pick<Outline, "nextBranch" | "nextFrame" | "nextInstance">;
  /** Steps it hands out. */
  readonly steps: number;
  readonly sightings: readonly Sighting[];
  /** It ends a branch undelivered. */
  readonly skips: boolean;
}

interface LevelChange extends Splice {
  readonly key: string | null;
  /** By how much what is left in the frame or the instance changes. */
  readonly left: number;
  readonly barriers: InstanceOutline["barriers"];
  /** By how much more stands at each end; null for other levels than instances. */
  readonly standing: Standing | null;
  /** How many must be able to arrive at its barriers, the branch included, so that they go on waiting. */
  readonly waits: readonly { readonly end: number; readonly atLeast: number }[];
}

/** What begins, with its numbers to be told where it does. */
type Begun<T> = (at: Beginning) => T;

interface Beginning extends Pick<Outline, "nextBranch" | "nextFrame" | "nextInstance"> {
  readonly branch: number;
  /** Slots of the levels around the branch, from its own outwards. */
  readonly around: readonly number[];
}

/** What the reducer made of a choice of a branch, if that was local. `levels`: those around the branch, outwards. */
export function learn(
  plan: Plan,
  branch: OutlinedBranch,
  levels: readonly Level[],
  before: { readonly outline: Outline; readonly run: RunState },
  { state, events, effects }: Reduction,
  outliner: Outliner,
): LocalMove | undefined {
  const run = state.run!;
  if (run.end !== null || !touchesNothingElse(branch, levels, before.run, run)) return undefined;
  const after = outliner.of(run);
  const lesson = new Lesson(plan, branch, levels, before.outline, after, run);
  const changes = lesson.changes();
  if (changes === undefined || textOf(levels, branch.stands.part, changes) !== after.text) return undefined;
  return {
    changes,
    ...lesson.begun(),
    steps: run.steps - before.run.steps,
    sightings: sightingsOf(events, effects, run, before.run.boundsHit.length),
    skips: skips(events),
  };
}

/** One move from before to after, taken apart. */
class Lesson {
  readonly #plan: Plan;
  readonly #branch: OutlinedBranch;
  readonly #around: readonly Level[];
  readonly #before: Outline;
  readonly #after: Outline;
  readonly #run: RunState;

  constructor(
    plan: Plan,
    branch: OutlinedBranch,
    levels: readonly Level[],
    before: Outline,
    after: Outline,
    run: RunState,
  ) {
    this.#plan = plan;
    this.#branch = branch;
    this.#around = levels;
    this.#before = before;
    this.#after = after;
    this.#run = run;
  }

  changes(): readonly LevelChange[] | undefined {
    const changes: LevelChange[] = [];
    for (const level of this.#around) {
      const now = levelAt(this.#after, level.slot);
      if (now.key === null) return undefined;
      const { open, close, key, left, instance } = now;
      const come = this.#comeTo(level.slot);
      const standing = instance === null ? null : instance.standing.since(level.instance!.standing);
      const barriers = instance?.barriers ?? [];
      const waits = instance === null ? [] : this.#waits(instance);
      changes.push({ open, close, key, come, left: left - level.left, barriers, standing, waits });
    }
    return changes;
  }

  #comeTo(slot: number): string[] {
    const come: string[] = [];
    for (const one of this.#after.branches) if (one.slot === slot && this.#isNew(one)) come.push(one.stands.part);
    for (const one of this.#newLevels()) if (one.up === slot) come.push(one.text);
    return come.sort();
  }

  #isNew({ id }: OutlinedBranch): boolean {
    return id === this.#branch.id || id >= this.#before.nextBranch;
  }

  #newLevels(): readonly Level[] {
    return this.#after.levels.filter(({ slot }) => !this.#before.levels.some((known) => known.slot === slot));
  }

  #waits({ fork, barriers }: InstanceOutline): LevelChange["waits"] {
    return barriers.flatMap(({ end, arrivals, asking }) => {
      if (asking) return [];
      const { quorum } = policyAt({ plan: this.#plan, run: this.#run }, end);
      const wanted = quorum === undefined ? 1 : Math.max(1, quorum - arrivals.length);
      return [{ end, atLeast: wanted + (this.#plan.reaches(fork, this.#branch.stands.node, end) ? 1 : 0) }];
    });
  }

  begun(): Pick<LocalMove, "levels" | "branches" | "goesOn" | "begins"> {
    const { nextBranch, nextFrame, nextInstance } = this.#before;
    const after = this.#after;
    const branches = after.branches.filter((one) => this.#isNew(one));
    return {
      levels: this.#newLevels().map((level): Begun<Level> => {
        const slot = this.#begunSlot(level.slot);
        const up = this.#begunSlot(level.up);
        return (at) => ({ ...level, slot: slot(at), up: up(at) });
      }),
      branches: branches.map(({ id, slot, stands }): Begun<OutlinedBranch> => {
        const begunAt = this.#begunSlot(slot);
        const isItself = id === this.#branch.id;
        const by = id - nextBranch;
        return (at) => outlined(isItself ? at.branch : at.nextBranch + by, begunAt(at), stands);
      }),
      goesOn: branches.some(({ id }) => id === this.#branch.id),
      begins: {
        nextBranch: after.nextBranch - nextBranch,
        nextFrame: after.nextFrame - nextFrame,
        nextInstance: after.nextInstance - nextInstance,
      },
    };
  }

  /** The slot of something around the branch, or of something new. */
  #begunSlot(slot: number): Begun<number> {
    const { nextBranch, nextFrame, nextInstance } = this.#before;
    const up = this.#around.findIndex((level) => level.slot === slot);
    if (up >= 0) return (at) => at.around[up]!;
    if (slot > 0) return (at) => slotOf.instance(slot - nextInstance + at.nextInstance);
    if (slot === slotOf.caller(this.#branch.id)) return (at) => slotOf.caller(at.branch);
    const id = slotOf.idOf(slot);
    return slotOf.isFrame(slot)
      ? (at) => slotOf.frame(id - nextFrame + at.nextFrame)
      : (at) => slotOf.caller(id - nextBranch + at.nextBranch);
  }
}

function outlined(id: number, slot: number, stands: Stand): OutlinedBranch {
  return { id, slot, stands };
}

/** L1. */
function touchesNothingElse(
  { id }: OutlinedBranch,
  levels: readonly Level[],
  before: RunState,
  run: RunState,
): boolean {
  const slots = new Set(levels.map(({ slot }) => slot));
  return (
    before.branches.find((one) => one.id !== id && run.branches.get(one.id) !== one) === undefined &&
    before.instances.find((one) => {
      const now = run.instances.get(one.id);
      if (!slots.has(slotOf.instance(one.id))) return now !== one;
      return now === undefined || now.decided !== one.decided;
    }) === undefined &&
    before.frames.find((one) => {
      const now = run.frames.get(one.id);
      return slots.has(slotOf.frame(one.id)) ? now?.asking !== one.asking || now === undefined : now !== one;
    }) === undefined
  );
}
