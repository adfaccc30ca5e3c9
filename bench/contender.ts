// The shapes that are measured, and what is handed to main.ts for each thing measured.

/** A row of `size` agents one after another, or `size` agents side by side between a first and a joining one. */
export interface Shape {
  readonly kind: "pipeline" | "fan-out";
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
  /** Declares the shape and opens what it needs; not part of the time measured. `folder` is empty and its own. */
  prepare(shape: Shape, folder: string): Promise<Prepared>;
}

export function nameOf(shape: Shape): string {
  return shape.kind === "pipeline" ? `pipeline of ${shape.size}` : `fan-out of ${shape.size} with join`;
}

/** Every agent adds 1; the joining agent adds up what arrived. */
export function expected(shape: Shape): number {
  return shape.kind === "pipeline" ? shape.size : 2 * shape.size;
}

/** Agent invocations of one run. */
export function stepsOf(shape: Shape): number {
  return shape.kind === "pipeline" ? shape.size : shape.size + 2;
}
