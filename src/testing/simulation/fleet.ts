// Fleet: the processes of one seed, who keeps them up and what befalls them.

import type { Asks } from "./asks.ts";
import type { Observer } from "./observer.ts";
import type { Random } from "../../base/random.ts";
import type { Scenario } from "./scenario.ts";
import type { Scope } from "./scheduler.ts";
import type { SimHost } from "./sim-host.ts";
import type { Machine } from "./sim-machine.ts";

export interface FleetParts {
  readonly machine: Machine;
  readonly observer: Observer;
  readonly asks: Asks;
  readonly scenario: Scenario;
  readonly seed: number;
  /** The world around the processes: what it waits for outlives them. */
  readonly scope: Scope;
  readonly outside: Map<string, unknown>;
}

export interface Fleet {
  /** How often a process was started. */
  readonly processes: number;
  /** How many there are at a time, clients included. */
  readonly sites: number;
  /** Bits of what was stored have changed. */
  readonly damaged: boolean;
  /** Starts what there is, and starts each again after it has died. */
  begin(): void;
  /** One that is up, as soon as there is one. */
  host(random?: Random): Promise<SimHost>;
  /** All that are up. */
  up(): readonly SimHost[];
  /** An event of a process is about to happen: true when something befalls the process and it does not. */
  befalls(scope: Scope): boolean;
  /** Nothing goes wrong any more; what was broken is put right. */
  calm(): void;
  /** Nothing is started again. */
  end(): void;
  /** Of L2: what lies on the bus and nobody will fetch, when every session has ended. */
  left(sessionIds: readonly string[]): Promise<readonly string[]>;
}
