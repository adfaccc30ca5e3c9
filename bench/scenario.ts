// What main.ts runs one after another, and what each hands back.

import type { Spread } from "./statistics.ts";

export interface ScenarioOptions {
  /** Interleaved rounds. A scenario may take fewer, and then says so. */
  readonly rounds: number;
  /** Smaller sizes, to see that it runs; the figures mean little. */
  readonly quick: boolean;
  /** Of the soak. */
  readonly minutes: number;
  /** An empty folder on the disk that is to be measured. */
  readonly folder: string;
  /** Whether a contender of this id was asked for. */
  readonly isWanted: (id: string) => boolean;
}

export interface Outcome {
  /** Tables, under a heading that main.ts writes. */
  readonly markdown: string;
  /** By the name that aims.ts knows them by. */
  readonly figures: Readonly<Record<string, Spread>>;
  /** Every sample, for `--json`. */
  readonly samples: unknown;
  /** A contender gave a wrong value or threw. */
  readonly failed: boolean;
}

export interface Scenario {
  /** For `--shape`, and the heading. */
  readonly name: string;
  readonly ids: readonly string[];
  /** Runs when it is named only. */
  readonly byRequest?: boolean;
  /** Left out of `--quick`. */
  readonly slow?: boolean;
  run(options: ScenarioOptions): Promise<Outcome>;
}
