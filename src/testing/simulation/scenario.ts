// Scenario: what one seed is to run.

import type { AgentsOption, Condition, ErrorHandlingConfig, Task } from "../../runtime/run-options.ts";
import type { ExecutionConfig } from "../../runtime/execution-config.ts";
import type { RetentionPolicy } from "../../state/retention.ts";
import type { TopologyInput } from "../../topology/read.ts";

/** A topology with the functions behind it. */
export interface SimulatedTeam {
  readonly topology: TopologyInput;
  /** Made anew for each process, so that what agents keep in memory dies with it. */
  agents(world: AgentWorld): AgentsOption;
  readonly conditions?: Readonly<Record<string, Condition>>;
  readonly errorConfig?: ErrorHandlingConfig;
  readonly executionConfig?: ExecutionConfig;
  readonly maxSteps?: number | false;
}

/** What agents of a simulation have instead of the real world. */
export interface AgentWorld {
  /** Waits in simulated time. What waits for the real world stands still here, until its time limit. */
  sleep(ms: number): Promise<void>;
  /** In [0, 1). The same for the same seed, whatever else happens. */
  random(): number;
  /**
   * The world outside of the processes: what one of them puts here, the next one finds. Empty at the beginning of each
   * seed. The place for a bank, a mail server, a counter of calls.
   */
  readonly outside: Map<string, any>;
  /** False once the storm is over: from then on nothing goes wrong any more. */
  readonly stormy: boolean;
}

export interface SimulatedSession {
  readonly sessionId: string;
  readonly team: number;
  readonly task: Task;
  readonly context?: Readonly<Record<string, unknown>>;
  readonly startAtMs: number;
}

/** What somebody asks of a session beside running it. */
export interface SimulatedCommand {
  readonly sessionId: string;
  readonly atMs: number;
  readonly what: "pause" | "abort" | "cancel" | "checkpoint" | "restore" | "resume" | "context" | "look";
}

export interface Scenario {
  readonly teams: readonly SimulatedTeam[];
  readonly sessions: readonly SimulatedSession[];
  readonly commands: readonly SimulatedCommand[];
  readonly durability: "disk" | "process";
  /** Processes on one simulated bus, each on a machine of its own; they keep sessions on the bus. Default 1: one process, with a disk. */
  readonly hosts?: number;
  readonly retention?: RetentionPolicy;
  /** What a person says to a question. */
  answer(question: { readonly sessionId: string; readonly node: string; readonly prompt: unknown }): unknown;
}
