// Simulated machine
//
// What the parts of one process share: its time, its faults, and the switch that plants a known defect.

import type { Scheduler, Scope } from "./scheduler.ts";
import type { FaultPlan } from "./faults.ts";
import type { Canary } from "./canaries.ts";
import type { Finding } from "./findings.ts";
import type { Random } from "../../base/random.ts";

export interface Machine {
  readonly scheduler: Scheduler;
  readonly faults: FaultPlan;
  /** Delays that are no fault. */
  readonly random: Random;
  readonly canary: Canary | undefined;
  /** Hosts on the bus; 1: there is no bus but the process's own. */
  readonly hosts: number;
  report(check: Finding["check"], message: string): void;
}

/** One process on it, from its start to its end. */
export interface Process {
  readonly machine: Machine;
  readonly scope: Scope;
  /** Ends the process here and now: nothing it does from this moment on has any effect. */
  crash(why: "process-crash" | "power-loss" | "torn-write"): void;
}
