// Hosting: how an engine takes part in a cluster beyond the sessions it was asked to run.

import type { RunCode } from "./engine-api.ts";

export interface HostingOptions {
  /** The agents whose steps it takes, unless the code stays, and the conditions it can judge by. */
  readonly code: RunCode;
  /** Steps at a time, in all. */
  readonly slots: number;
  /** Steps at a time of the agents named. */
  readonly perAgent: Readonly<Record<string, number>>;
  /** Takes over sessions that have no owner. */
  readonly adopts: boolean;
  /** Hashes of the topologies it says it knows. */
  readonly topologies: readonly string[];
  readonly version: string;
  readonly pid?: number;
  readonly labels?: Readonly<Record<string, string>>;
}

/** What becomes of a step whose agent no host that is alive serves. */
export interface UnservedPolicy {
  /** So long after it was offered it is told of, */
  readonly afterMs: number;
  /** and fails, or waits on. */
  readonly fails: boolean;
}

export const DEFAULT_UNSERVED: UnservedPolicy = Object.freeze({ afterMs: 30_000, fails: false });

/** Stands in the index as the host of a session that nobody owns. */
export const NOBODY = "";
