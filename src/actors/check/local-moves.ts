// Local moves
//
// Most of what a branch does changes nothing but the branch and what is counted of it around it, and is the same wherever the
// branch stands the same, whatever goes on beside it. Such a move the reducer makes once; from then on the outline it leads
// to is put together from the parts that stay and those that change. It is the caching of transitions by what they read
// and write (Blom, van de Pol and Weber, "LTSmin: Distributed and Symbolic Reachability", 2010, section 3).
//
// L1  A move is local when, of what was there before, only the branch has changed, and the frames and instances around it by what
//     they count. No barrier decided, no frame or instance ended, nothing beside it was touched.
// L2  A context is all that the reducer reads of what is around a branch: frames, instances with their barriers, callers, from the
//     branch outwards, by their own numbers in the plan and not by those of twins.
// L3  What stands beside is read only where something decides or ends: whether it is left in a frame or an instance, and how many
//     may yet arrive at a barrier. Where so much is left that nothing does, a local move leads where it always does.
// L4  In an instance with `late` marks nothing is local: they make what may yet arrive a matter of each branch.

import type { Plan } from "../../topology/plan.ts";
import { candidateCount } from "../barriers.ts";
import type { Reduction } from "../reduction.ts";
import type { RunState } from "../session-state.ts";
import type { Choice } from "./choices.ts";
import { learn, type LocalMove } from "./lesson.ts";
import { partsOf, textOf } from "./level-text.ts";
import { levelAt, slotOf, type InstanceOutline, type Level, type Outline, type OutlinedBranch } from "./outline.ts";
import type { Outliner } from "./outliner.ts";
import type { Standing } from "./standing.ts";

/** What is known of a branch in a context, by sort of choice. */
export interface KnownPlace {
  readonly choices: (readonly Choice[] | undefined)[];
  /** By number of the choice; a number of times that it was made and was not local. */
  readonly moves: (LocalMove | number | undefined)[][];
}

/** So often a move is looked at in vain, and then it is left to the reducer. */
export const LESSONS_MAX = 4;

/** A place in the tree of contexts, from the run inwards. */
interface Context {
  readonly inner: Map<string, Context>;
  /** Of branches with nothing to tell but their node, by node. */
  readonly plain: (KnownPlace | undefined)[];
  readonly others: Map<string, KnownPlace>;
}

export class LocalMoves {
  readonly #plan: Plan;
  readonly #all: Context = newContext();

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  of(outline: Outline): LocalMovesOf {
    return new LocalMovesOf(this.#plan, this.#all, outline);
  }
}

/** Those of one state. */
export class LocalMovesOf {
  readonly #plan: Plan;
  readonly #all: Context;
  readonly #outline: Outline;
  #slot: number | undefined;
  #around: readonly Level[] = [];
  #context: Context | null = null;
  #counts: Map<InstanceOutline, Map<number, number>> | undefined;

  constructor(plan: Plan, all: Context, outline: Outline) {
    this.#plan = plan;
    this.#all = all;
    this.#outline = outline;
  }

  /** What is known where a branch stands; null where nothing is local (L4). */
  at({ slot, stands }: OutlinedBranch): KnownPlace | null {
    this.#goTo(slot);
    if (this.#context === null || stands.key === null) return null;
    const { plain, others } = this.#context;
    if (stands.key === "") return (plain[stands.node] ??= { choices: [], moves: [] });
    const key = `${stands.node} ${stands.key}`;
    let known = others.get(key);
    if (known === undefined) others.set(key, (known = { choices: [], moves: [] }));
    return known;
  }

  #goTo(slot: number): void {
    if (slot === this.#slot) return;
    this.#slot = slot;
    this.#around = around(this.#outline, slot);
    let context = this.#all;
    for (let i = this.#around.length - 1; i >= 0; i--) {
      const { key } = this.#around[i]!;
      if (key === null) {
        this.#context = null;
        return;
      }
      let inner = context.inner.get(key);
      if (inner === undefined) context.inner.set(key, (inner = newContext()));
      context = inner;
    }
    this.#context = context;
  }

  /** The fingerprint a known move of the branch leads to; undefined where something may decide or end (L3). */
  foretell({ slot, stands }: OutlinedBranch, { changes }: LocalMove): string | undefined {
    this.#goTo(slot);
    const levels = this.#around;
    for (let i = 0; i < levels.length; i++) {
      const { instance, left } = levels[i]!;
      const change = changes[i]!;
      if (left + change.left <= 0 && levels[i]!.slot !== slotOf.run && levels[i]!.caller < 0) return undefined;
      if (instance === null) continue;
      for (const { end, atLeast } of change.waits) if (this.#count(instance, end) < atLeast) return undefined;
    }
    return textOf(levels, stands.part, changes);
  }

  #count(instance: InstanceOutline, end: number): number {
    let counts = (this.#counts ??= new Map()).get(instance);
    if (counts === undefined) this.#counts.set(instance, (counts = new Map()));
    let count = counts.get(end);
    if (count === undefined) counts.set(end, (count = candidateCount(this.#plan, instance, end)));
    return count;
  }

  /** The outline a known move that was foretold leads to. */
  apply(branch: OutlinedBranch, move: LocalMove, fingerprint: string): Outline {
    this.#goTo(branch.slot);
    const { nextBranch, nextFrame, nextInstance, questions } = this.#outline;
    const at = { nextBranch, nextFrame, nextInstance, branch: branch.id, around: this.#around.map(({ slot }) => slot) };
    const levels = this.#outline.levels.slice();
    let gone = branch.stands.part;
    let inner: string | null = null;
    for (let i = 0; i < this.#around.length; i++) {
      const level = this.#around[i]!;
      const { open, close, key, come, left, barriers, standing } = move.changes[i]!;
      const parts = partsOf(level, gone, come, inner);
      const body = parts.length === 1 ? parts[0]! : parts.join("");
      const text: string = i === this.#around.length - 1 ? fingerprint : open + body + close;
      const { slot, up, caller, instance } = level;
      levels[levels.indexOf(level)] = {
        slot,
        up,
        open,
        close,
        key,
        parts,
        body,
        text,
        left: level.left + left,
        caller,
        instance: instance === null ? null : instanceOf(instance, barriers, standing!),
      };
      gone = level.text;
      inner = text;
    }
    for (const begun of move.levels) levels.push(begun(at));
    const branches: OutlinedBranch[] = [];
    for (const one of this.#outline.branches) {
      if (one !== branch) branches.push(one);
      else if (move.goesOn) branches.push(move.branches[0]!(at));
    }
    for (let i = move.goesOn ? 1 : 0; i < move.branches.length; i++) branches.push(move.branches[i]!(at));
    return {
      levels,
      branches,
      questions,
      nextBranch: nextBranch + move.begins.nextBranch,
      nextFrame: nextFrame + move.begins.nextFrame,
      nextInstance: nextInstance + move.begins.nextInstance,
      text: fingerprint,
    };
  }

  /** What the reducer made of a choice of the branch, if that was local (L1). */
  learn(branch: OutlinedBranch, run: RunState, reduction: Reduction, outliner: Outliner): LocalMove | undefined {
    this.#goTo(branch.slot);
    return learn(this.#plan, branch, this.#around, { outline: this.#outline, run }, reduction, outliner);
  }
}

function instanceOf(
  { fork, targets, standing }: InstanceOutline,
  barriers: InstanceOutline["barriers"],
  more: Standing,
): InstanceOutline {
  return { fork, targets, barriers, standing: standing.plus(more) };
}

function newContext(): Context {
  return { inner: new Map(), plain: [], others: new Map() };
}

function around(outline: Outline, slot: number): readonly Level[] {
  const levels: Level[] = [];
  for (let level = levelAt(outline, slot); ; level = levelAt(outline, level.up)) {
    levels.push(level);
    if (level.slot === slotOf.run) return levels;
  }
}
