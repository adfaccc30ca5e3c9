// Run options: what `Orchestra.run`, `Orchestra.stream` and `OrchestraInstance` take, and how it is checked.

import type { Clock } from "../base/clock.ts";
import { OrchestraError } from "../base/errors.ts";
import { parseSessionId } from "../base/ids.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";
import type { InspectionEvent } from "xstate";

import type { Bus } from "../bus/ports.ts";
import type { SessionStore } from "../state/ports.ts";
import type { TopologyInput } from "../topology/read.ts";
import type { MemoryOfSteps } from "./agent-memory.ts";
import { isAgentDirectory, type AgentDirectory, type AgentLike } from "./agent-source.ts";
import type { Channel } from "./channel.ts";
import type { CommunicationManager } from "./communication.ts";
import type { RunEvent } from "./engine-api.ts";
import { migrationsSchema, type Migration } from "./migrations.ts";
import {
  budgetSchema,
  executionConfigSchema,
  maxStepsSchema,
  type Budget,
  type ExecutionConfig,
} from "./execution-config.ts";
import {
  anything,
  assertOptions,
  check,
  count,
  countFrom0,
  durationMs,
  flag,
  having,
  isRecord,
  isRecordLike,
  list,
  object,
  record,
  required,
  text,
} from "./option-schema.ts";
import type { StateManager } from "./state-manager.ts";
import type { Verbosity } from "./status.ts";

export type Task = string | Record<string, unknown>;

/** What a named edge condition is judged on. */
export interface ConditionInput {
  readonly output: any;
  readonly input: any;
  readonly context: Readonly<Record<string, any>>;
  readonly task: any;
  readonly error?: unknown;
}
export type Condition = (input: ConditionInput) => boolean;

export interface ErrorHandlingConfig {
  /** Nodes named `…ErrorHandler` or with `role: "error-handler"` take failures over. Marked error edges always do. Default true. */
  readonly enableErrorRouting?: boolean;
  /** Handlers see the whole error: data, cause, stack. Off: its code, message and node. Default true. */
  readonly preserveErrorContext?: boolean;
}
export const DEFAULT_ERROR_CONFIG = Object.freeze({ enableErrorRouting: true, preserveErrorContext: true });
export const DEFAULT_FOLLOW_UP_TIMEOUT_MS = 60_000;

/** Watches runs: counts, measures, draws. Hears every event of a run after it was committed. */
export interface RunObserver {
  observe(event: RunEvent): void;
}

/** How `user` nodes are reached. */
export interface CommunicationConfig {
  /** Default: "terminal" when standard input and output are one, else "none". */
  readonly channel?: "terminal" | "none" | Channel;
}

/** A bus, and where sessions are kept that all who share it can reach. */
export type SharedBus = Bus & { readonly sessions?: SessionStore };

export type AgentsOption = Readonly<Record<string, AgentLike>> | AgentDirectory;

/** What holds for every run of an instance, and may be said for one run too. */
export interface SharedOptions {
  /**
   * Functions, agent objects, pools or topologies by name, or a registry. Nodes of kind `tool` and `system` find theirs here,
   * too: by the node's name, or by what it `uses`. Default: what the topology carries itself.
   */
  readonly agents?: AgentsOption;
  /** Instead of `agents`. */
  readonly agentRegistry?: AgentDirectory;
  readonly conditions?: Readonly<Record<string, Condition>>;
  readonly communicationConfig?: CommunicationConfig;
  /** Instead of `communicationConfig`. */
  readonly communicationManager?: CommunicationManager;
  readonly errorConfig?: ErrorHandlingConfig;
  readonly stateManager?: StateManager;
  /** Agent steps of a whole run. Default 100; `false` for no bound. */
  readonly maxSteps?: number | false;
  readonly budget?: Budget;
  readonly metricsCollector?: RunObserver;
  /** What agents see as `ctx.memory`: `createMemory()` of `orchestra/memory`. It is closed by whoever made it. */
  readonly memory?: MemoryOfSteps;
  /** Others that watch: `traceFile`, `spanObserver`, or one of your own. */
  readonly observers?: readonly RunObserver[];
  readonly verbosity?: Verbosity;
  /** Shared with other hosts where it is one of those (`natsBus` of `orchestra/nats`); one that keeps sessions itself is the store, too. */
  readonly bus?: SharedBus;
  /** A step whose agent no host that is alive serves waits, or fails with `ORCH_STEP_UNSERVED`. Said, a run may also begin where nobody serves its agents yet. Default: it waits. */
  readonly unserved?: "wait" | "fail";
  /** How long such a step waits before it is told of, and before it fails. Default 30_000. */
  readonly unservedAfterMs?: number;
  readonly logger?: Logger;
  /**
   * Told of every session and step as XState actors: their events and snapshots, in the form that XState's inspectors
   * (such as `@statelyai/inspect`) take. They then are XState's own actors, which cost more. What it throws is reported to the logger.
   */
  readonly inspect?: (event: InspectionEvent) => void;
  /** Time and chance, for tests and simulations. Default: the machine's. */
  readonly clock?: Clock;
  readonly random?: Random;
}

/** What belongs to one run. */
export interface TaskOptions {
  readonly task: Task;
  /** Readable by agents as `ctx.context`. `context.sessionId` (or `session_id`) names the session. */
  readonly context?: Readonly<Record<string, unknown>>;
  /** Names the session; one that exists is continued. Default: a new id. */
  readonly sessionId?: string;
  /** Starts the session over. */
  readonly fresh?: boolean;
  readonly executionConfig?: ExecutionConfig;
  readonly maxSteps?: number | false;
  readonly budget?: Budget;
  readonly signal?: AbortSignal;
  /** The same key in the same session returns the same run, as long as it is among the last 50 of the session. Without a session the key names one. */
  readonly idempotencyKey?: string;
  /** After the result, questions go on in the same session while the channel gives any. Default false. */
  readonly allowFollowUps?: boolean;
  /** How long to wait for each question. Default 60_000; `false` for ever. */
  readonly followUpTimeoutMs?: number | false;
}

export interface RunOptions extends SharedOptions, TaskOptions {
  readonly topology: TopologyInput;
}

export interface InstanceOptions extends SharedOptions {
  /** Not needed when the instance only resumes. */
  readonly topology?: TopologyInput;
  /** Laid under the `executionConfig` of each run. */
  readonly initialConfig?: ExecutionConfig;
  /** Sessions live at a time; `execute` refuses more with `ORCH_OVERLOADED` and `details.retryAfterMs`. Default 10_000. */
  readonly maxSessions?: number;
  /**
   * Sessions begun with these earlier topologies go on with this instance's when they are resumed or recovered. Those of
   * a topology that is not named here go on with the one they were begun with.
   */
  readonly migrations?: readonly Migration[];
}

const agents = check(
  (value) => isAgentDirectory(value) || isRecord(value),
  "a record of agents by name, or an AgentRegistry",
);
export const errorConfigSchema = object({ enableErrorRouting: flag, preserveErrorContext: flag });

const shared = {
  agents,
  agentRegistry: having("an AgentRegistry", "get", "names"),
  conditions: check(
    (value) => isRecord(value) && Object.values(value).every((item) => typeof item === "function"),
    "an object of functions by name",
  ),
  communicationConfig: object({ channel: check(isChannelOption, '"terminal", "none" or a channel with ask()') }),
  communicationManager: having("a CommunicationManager", "pending", "submitResponse"),
  errorConfig: errorConfigSchema,
  stateManager: having("a StateManager", "acquire"),
  maxSteps: maxStepsSchema,
  budget: budgetSchema,
  metricsCollector: having("a MetricsCollector", "observe"),
  memory: having("a memory such as createMemory() gives", "forStep"),
  observers: list(having("an observer", "observe")),
  verbosity: check((value) => value === 0 || value === 1 || value === 2, "0, 1 or 2"),
  bus: check((value) => isRecordLike(value) && isRecordLike(value["steps"]) && isRecordLike(value["results"]), "a bus"),
  unserved: check((value) => value === "wait" || value === "fail", '"wait" or "fail"'),
  unservedAfterMs: check((value) => Number.isFinite(value) && Number(value) > 0, "milliseconds above 0"),
  logger: having("a logger such as pino's", "info", "warn", "error", "debug", "child"),
  inspect: check((value) => typeof value === "function", "a function"),
  clock: having("a Clock", "nowMs", "monotonicMs", "setTimer"),
  random: having("a Random", "next"),
};
const abortSignal = check(
  (value) =>
    isRecordLike(value) && typeof value["aborted"] === "boolean" && typeof value["addEventListener"] === "function",
  "an AbortSignal",
);
export const eventsSchema = object({ after: countFrom0, signal: abortSignal, untilNow: flag });
const perTask = {
  task: required((value) => typeof value === "string" || isRecord(value), "a string or a plain object"),
  context: record,
  sessionId: text,
  fresh: flag,
  executionConfig: executionConfigSchema,
  maxSteps: maxStepsSchema,
  budget: budgetSchema,
  signal: abortSignal,
  idempotencyKey: text,
  allowFollowUps: flag,
  followUpTimeoutMs: durationMs,
};
// A topology is read, and refused, by the topology's own rules.
const topology = anything;

const runOptionsSchema = object({ ...shared, ...perTask, topology });
/** What a host takes as instances do, and what only it takes. @throws {OrchestraError} `ORCH_BAD_OPTION` */
export function assertHostOptions(options: object): void {
  const { agents, agentRegistry, conditions, errorConfig, stateManager } = shared;
  const { unserved, unservedAfterMs, logger, inspect, clock, random, metricsCollector, observers, memory } = shared;
  const common = { agents, agentRegistry, conditions, errorConfig, stateManager, unserved, unservedAfterMs };
  const own = {
    bus: required((value) => isRecordLike(value) && isRecordLike(value["steps"]), "a bus that hosts share"),
    topologies: list(anything),
    executionConfig: executionConfigSchema,
    slots: count,
    perAgent: check(
      (value) => isRecord(value) && Object.values(value).every((one) => Number.isInteger(one) && Number(one) >= 1),
      "an object from agents to whole numbers from 1",
    ),
    adopt: flag,
    maxSessions: count,
    labels: check(
      (value) => isRecord(value) && Object.values(value).every((one) => typeof one === "string"),
      "an object of texts",
    ),
    version: text,
  };
  assertOptions(
    object({ ...common, metricsCollector, observers, memory, logger, inspect, clock, random, ...own }),
    options,
  );
  assertExclusive(options);
}

const taskOptionsSchema = object(perTask);
const instanceOptionsSchema = object({
  ...shared,
  topology,
  initialConfig: executionConfigSchema,
  maxSessions: count,
  migrations: migrationsSchema,
});

/** @throws {OrchestraError} `ORCH_BAD_OPTION` */
export function assertRunOptions(options: RunOptions): void {
  assertOptions(runOptionsSchema, options);
  if (options.topology === undefined)
    throw new OrchestraError("ORCH_BAD_OPTION", "topology: expected a topology, got undefined");
  assertExclusive(options);
  sessionIdOf(options);
}

/** @throws {OrchestraError} `ORCH_BAD_OPTION` */
export function assertTaskOptions(options: TaskOptions): void {
  assertOptions(taskOptionsSchema, options);
  sessionIdOf(options);
}

/** @throws {OrchestraError} `ORCH_BAD_OPTION` */
export function assertInstanceOptions(options: InstanceOptions): void {
  assertOptions(instanceOptionsSchema, options);
  if (options.migrations !== undefined && options.topology === undefined)
    throw new OrchestraError(
      "ORCH_BAD_OPTION",
      "migrations: this instance has no topology that sessions could move to",
    );
  assertExclusive(options);
}

/**
 * The session a run is to use: `sessionId`, or the one its context names.
 *
 * @throws {OrchestraError} `ORCH_BAD_OPTION` when it is no session id, or two different ones are given.
 */
export function sessionIdOf({
  sessionId,
  context = {},
}: Pick<TaskOptions, "sessionId" | "context">): string | undefined {
  const named = [sessionId, context["sessionId"], context["session_id"]].filter(
    (id) => id !== undefined && id !== null,
  );
  const ids = new Set(named.map(parseSessionId));
  if (ids.size > 1)
    throw new OrchestraError(
      "ORCH_BAD_OPTION",
      `sessionId: two different sessions are named: ${[...ids].map((id) => `"${id}"`).join(" and ")}`,
    );
  return [...ids][0];
}

function assertExclusive(options: SharedOptions): void {
  if (options.agents !== undefined && options.agentRegistry !== undefined)
    throw new OrchestraError("ORCH_BAD_OPTION", "agentRegistry: give either agents or agentRegistry, not both");
  if (options.communicationConfig !== undefined && options.communicationManager !== undefined) {
    throw new OrchestraError(
      "ORCH_BAD_OPTION",
      "communicationManager: give either communicationConfig or communicationManager, not both",
    );
  }
}

function isChannelOption(value: unknown): boolean {
  return value === "terminal" || value === "none" || (isRecordLike(value) && typeof value["ask"] === "function");
}
