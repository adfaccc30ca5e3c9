// The shapes that are measured, and what is handed to shapes.ts for each thing measured.

/**
 * A row of `size` agents one after another; `size` agents side by side between a first and a joining one; or `size`
 * sessions at one time, each a row of `SESSION_STEPS` agents that wait 1 ms.
 */
export interface Shape {
  readonly kind: "pipeline" | "fan-out" | "sessions";
  readonly size: number;
}

export interface Prepared {
  /** Runs the shape once on 0. Resolves with what `expected` says, or the measurement is void. */
  run(): Promise<number>;
  close(): Promise<void>;
}

export interface Contender {
  /** Short, for `--only` and for the table of ratios. */
  readonly id: string;
  readonly name: string;
  /** What survives what, in the words of the README. */
  readonly keeps: string;
  /** Kinds of shape it has no part in. */
  readonly without?: readonly Shape["kind"][];
  /**
   * Declares the shape and opens what it needs; not part of the time measured. `folder` is empty and its own.
   *
   * @throws {PeerMissing} when something has to be installed first.
   */
  prepare(shape: Shape, folder: string): Promise<Prepared>;
}

/** What a contender needs is not on this machine; the message says how to get it. */
export class PeerMissing extends Error {
  override readonly name = "PeerMissing";
}

export const SESSION_STEPS = 5;

export function nameOf({ kind, size }: Shape): string {
  if (kind === "pipeline") return `pipeline of ${size}`;
  if (kind === "fan-out") return `fan-out of ${size} with join`;
  return `sessions: ${size} at a time, ${SESSION_STEPS} steps of a 1 ms timer each`;
}

/** Every agent adds 1; the joining agent adds up what arrived; sessions are added up. */
export function expected({ kind, size }: Shape): number {
  if (kind === "pipeline") return size;
  return kind === "fan-out" ? 2 * size : size * SESSION_STEPS;
}

/** Agent invocations of one run. */
export function stepsOf({ kind, size }: Shape): number {
  if (kind === "fan-out") return size + 2;
  return kind === "pipeline" ? size : size * SESSION_STEPS;
}

/** How many agents stand in one row. */
export function rowOf({ kind, size }: Shape): number {
  return kind === "sessions" ? SESSION_STEPS : size;
}

/** What an agent of the sessions does. */
export async function waitThenAddOne(value: number): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, 1));
  return value + 1;
}

/** Runs a row once per session of the shape, all at one time, and adds up what they end with. */
export async function inSessions({ kind, size }: Shape, runRow: () => Promise<number>): Promise<number> {
  if (kind !== "sessions") return runRow();
  const values = await Promise.all(Array.from({ length: size }, runRow));
  return values.reduce((sum, value) => sum + value, 0);
}
