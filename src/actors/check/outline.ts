// Outlines: what a search keeps of a run. All of it is made by outliner.ts, or put together by local-moves.ts.

import type { Branch, Instance, OpenQuestion } from "../session-state.ts";
import type { Standing } from "./standing.ts";

/** What has parts that stand side by side: an instance, a frame, a branch with the frames it waits for, and the whole run. */
export interface Level {
  /** Its number, by `slotOf`. */
  readonly slot: number;
  /** Number of the level it is a part of; that of the run is its own. */
  readonly up: number;
  /** Before the parts. */
  readonly open: string;
  /** Sorted. */
  readonly parts: readonly string[];
  /** The parts one after another. */
  readonly body: string;
  /** After the parts. */
  readonly close: string;
  /** All of it, as it stands among the parts of the level above. */
  readonly text: string;
  /** All that the reducer reads of it but its parts, by numbers of the plan and not of twins; null where there are `late` marks. */
  readonly key: string | null;
  /** What is alive in the frame, or stands in the instance. */
  readonly left: number;
  readonly instance: InstanceOutline | null;
  /** Node of the branch that waits for frames; -1 for other levels. */
  readonly caller: number;
}

export type InstanceOutline = Pick<Instance, "fork" | "targets" | "barriers"> & { readonly standing: Standing };

/** A branch with a step or a question of its own. */
export interface OutlinedBranch {
  readonly id: number;
  /** Level it is one of the parts of. */
  readonly slot: number;
  readonly stands: Stand;
}

/** What there is to know of a branch beside where it is. */
export interface Stand {
  readonly node: number;
  /** The branch among the parts of its level. */
  readonly part: string;
  /** All that the reducer reads of it, but its node; empty for one that has a step and nothing else to tell. Null: it asks what to
   * do about a failure, which is kept with it. */
  readonly key: string | null;
}

export interface Outline {
  readonly levels: readonly Level[];
  /** In the order in which they were begun. */
  readonly branches: readonly OutlinedBranch[];
  /** About what is lacking. */
  readonly questions: readonly OpenQuestion[];
  readonly nextBranch: number;
  readonly nextFrame: number;
  readonly nextInstance: number;
  /** The fingerprint. */
  readonly text: string;
}

/** Where something can happen: a branch with a step or a question, or a question about what is lacking. */
export interface OutlinedPlace {
  readonly branch: OutlinedBranch | null;
  readonly question: OpenQuestion | null;
}

export const slotOf = {
  run: 0,
  instance: (id: number): number => id,
  frame: (id: number): number => -1 - 2 * id,
  caller: (branch: number): number => -2 - 2 * branch,
  branch: ({ frame, instance }: Pick<Branch, "frame" | "instance">): number =>
    instance === 0 ? slotOf.frame(frame) : instance,
  instanceIn: ({ frame, parent }: Pick<Instance, "frame" | "parent">): number =>
    slotOf.branch({ frame, instance: parent }),
  /** Of a frame or a caller: its id. */
  idOf: (slot: number): number => (-1 - slot) >> 1,
  isFrame: (slot: number): boolean => slot < 0 && slot % 2 !== 0,
};

export function levelAt({ levels }: Pick<Outline, "levels">, slot: number): Level {
  for (const level of levels) if (level.slot === slot) return level;
  throw new TypeError(`there is no level ${slot}`);
}
