// Orchestrator config: what `createOrchestrator` takes, and how it is checked.

import type { Logger } from "../base/logger.ts";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import { isAgentDirectory, type AgentLike } from "../runtime/agent-source.ts";
import {
  assertOptions,
  anything,
  check,
  count,
  flag,
  having,
  isRecord,
  object,
  required,
} from "../runtime/option-schema.ts";
import type { Memory } from "../memory/ports.ts";
import { executionConfigSchema, maxStepsSchema } from "../runtime/execution-config.ts";
import type { RunObserver, SharedBus } from "../runtime/run-options.ts";
import type { StateManager } from "../runtime/state-manager.ts";
import type { BackendOption } from "./backend.ts";
import { criteriaByName, type CommandCriterion, type CustomCriterion } from "./success-criteria.ts";
import type { Team } from "./team.ts";

export interface OrchestratorConfig extends Team {
  /** How the commands of checks are run. Default "safe-exec". */
  readonly backend?: BackendOption;
  /** Where runs are kept. Default: in memory, for the life of the process. */
  readonly stateManager?: StateManager;
  /** Hosts that share the runs: `natsBus(…)` of `orchestra/nats`. */
  readonly bus?: SharedBus;
  /** From first use on, takes over runs of its team whose host on the bus is gone. Default false: it goes on with what it is asked to resume. */
  readonly adopt?: boolean;
  /** Commands behind `lint: true`, `typecheck: true` and `tests: true`. Default: the npm scripts of these names. */
  readonly commands?: Readonly<Record<string, Exclude<CommandCriterion, boolean>>>;
  /** Criteria that runs name in `successCriteria.custom`. A run that another process goes on with needs its criteria here. */
  readonly criteria?: Readonly<Record<string, CustomCriterion>>;
  /** Judges `acceptanceCriteria`: gives true, false or `{ passed, output? }` on `{ description, acceptanceCriteria, output, checks }`. */
  readonly acceptance?: AgentLike;
  /** What runs remember: see `createMemory` of `orchestra/memory`. Without one, runs have what they are given and no more. */
  readonly memory?: Memory;
  /** Characters of a description. Default 10_000. */
  readonly descriptionLengthMax?: number;
  readonly observers?: readonly RunObserver[];
  readonly logger?: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
}

export const DESCRIPTION_LENGTH_MAX = 10_000;

const configSchema = object({
  agents: required(
    (value) => isAgentDirectory(value) || isRecord(value),
    "a record of agents by name, or an AgentRegistry",
  ),
  topology: anything,
  conditions: check((value) => value === undefined || isRecord(value), "an object of functions by name"),
  executionConfig: executionConfigSchema,
  maxSteps: maxStepsSchema,
  backend: anything,
  stateManager: having("a StateManager", "acquire"),
  bus: anything,
  adopt: flag,
  commands: object({ lint: anything, typecheck: anything, tests: anything }),
  criteria: criteriaByName,
  acceptance: anything,
  memory: having("a memory, as createMemory makes", "seedMemory", "searchMemory", "harvestMemory"),
  descriptionLengthMax: count,
  observers: anything,
  logger: having("a logger such as pino's", "info", "warn", "error", "debug", "child"),
  clock: having("a Clock", "nowMs", "monotonicMs", "setTimer"),
  random: having("a Random", "next"),
});

/** @throws {OrchestraError} `ORCH_BAD_OPTION` */
export function assertConfig(config: OrchestratorConfig): void {
  assertOptions(configSchema, config, "createOrchestrator");
}
