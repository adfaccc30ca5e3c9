// Serving options: what every way of serving an agent takes, its defaults, and how it is checked.

import { systemClock, type Clock } from "../../base/clock.ts";
import { OrchestraError } from "../../base/errors.ts";
import { silentLogger, type Logger } from "../../base/logger.ts";
import { systemRandom, type Random } from "../../base/random.ts";
import type { AgentLike } from "../../runtime/agent-source.ts";
import type { Budget, ExecutionConfig } from "../../runtime/execution-config.ts";
import type { InstanceOptions } from "../../runtime/run-options.ts";
import { StateManager } from "../../runtime/state-manager.ts";
import { memoryStorage } from "../../state/memory-store.ts";
import type { Authorize } from "./http-door.ts";
import { ServedRuns } from "./served-runs.ts";

export interface ServingOptions {
  /** Default: the agent's own name. */
  readonly name?: string;
  /** Where calls are kept, so that one that is repeated, also after this process ended, is answered from its record. Default: in memory, the last 1,000. */
  readonly stateManager?: StateManager;
  /** Who may call. Default: anybody who reaches the port. */
  readonly authorize?: Authorize;
  /** What the paths begin with where no framework takes it off, such as `/agents/writer`. Default: nothing. */
  readonly basePath?: string;
  /** Runs under way at one time; a call beyond it is answered 429. Default 100. */
  readonly maxRuns?: number;
  /** What becomes of a run that nobody listens to any more. Default "abort". */
  readonly onDisconnect?: "abort" | "finish";
  /** The body of a request. Default 16 MiB; a larger one is answered 413. */
  readonly requestBytesMax?: number;
  /** How long a body may take to come, in milliseconds; then 408. Default 30_000. */
  readonly requestTimeoutMs?: number;
  /** Between signs of life on a stream, in milliseconds. Default 15_000. */
  readonly heartbeatMs?: number;
  /** A caller who takes nothing off the stream for so long is taken to be gone, in milliseconds. Default 60_000. */
  readonly stallMs?: number;
  /** For each run, as in `Orchestra.run`. No failure is retried unless this, or the agent, says so: callers retry. */
  readonly executionConfig?: ExecutionConfig;
  readonly budget?: Budget;
  readonly logger?: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
}

export const DEFAULT_SERVING_OPTIONS = Object.freeze({
  basePath: "",
  maxRuns: 100,
  onDisconnect: "abort",
  requestBytesMax: 16 * 1024 * 1024,
  requestTimeoutMs: 30_000,
  heartbeatMs: 15_000,
  stallMs: 60_000,
} as const);
/** Of deltas that a slow caller has not taken yet. */
export const PENDING_BYTES_MAX = 4 * 1024 * 1024;
const RECORDS_IN_MEMORY_MAX = 1_000;

type Defaulted = keyof typeof DEFAULT_SERVING_OPTIONS | "logger" | "clock" | "random" | "name";
export type ResolvedServing = Required<Pick<ServingOptions, Defaulted>> & Omit<ServingOptions, Defaulted>;

const CHECKS: Readonly<
  Partial<Record<keyof ServingOptions, readonly [test: (value: any) => boolean, expected: string]>>
> = {
  name: [(value) => typeof value === "string" && value !== "", "a non-empty string"],
  stateManager: [(value) => typeof value?.acquire === "function", "a StateManager"],
  authorize: [(value) => typeof value === "function", "a function"],
  basePath: [(value) => /^(\/[^/?#]+)*$/.test(value), 'a path such as "/agents/writer"'],
  maxRuns: [isCount, "a whole number from 1"],
  onDisconnect: [(value) => value === "abort" || value === "finish", '"abort" or "finish"'],
  requestBytesMax: [isCount, "a whole number from 1"],
  requestTimeoutMs: [isDuration, "milliseconds above 0"],
  heartbeatMs: [isDuration, "milliseconds above 0"],
  stallMs: [isDuration, "milliseconds above 0"],
};
/** Checked by the runtime, or used as they are. */
const OTHERS = ["executionConfig", "budget", "logger", "clock", "random"];

/** @throws {OrchestraError} `ORCH_BAD_OPTION` */
export function resolveServing(
  maker: string,
  agent: AgentLike,
  options: ServingOptions,
  more: readonly string[] = [],
): ResolvedServing {
  const name = options.name ?? (agent as { name?: unknown }).name;
  const given = { ...options, name } as Readonly<Record<string, unknown>>;
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined && key !== "name") continue;
    if (more.includes(key) || OTHERS.includes(key)) continue;
    const known = [...Object.keys(CHECKS), ...OTHERS, ...more];
    const [test, expected] = CHECKS[key as keyof ServingOptions] ?? [() => false, `one of ${known.join(", ")}`];
    if (!test(value))
      throw new OrchestraError(
        "ORCH_BAD_OPTION",
        `${maker}: ${key}: expected ${expected}, got ${JSON.stringify(value) ?? typeof value}`,
      );
  }
  return {
    logger: silentLogger,
    clock: systemClock({ unref: true }),
    random: systemRandom(),
    ...DEFAULT_SERVING_OPTIONS,
    ...withoutUndefined(options),
    name: name as string,
  };
}

/** The runs behind a door. @throws {OrchestraError} `ORCH_BAD_OPTION` */
export function servedRuns(agent: AgentLike, options: ResolvedServing): ServedRuns {
  const { name, random, maxRuns, onDisconnect, budget, executionConfig, logger, stateManager } = options;
  const once = { maxAttempts: 1 };
  const instance: Omit<InstanceOptions, "topology"> = {
    initialConfig: { retry: { transient: once, timeout: once, invalid_output: once }, ...executionConfig },
    stateManager:
      stateManager ?? new StateManager({ storage: memoryStorage({ endedSessionsMax: RECORDS_IN_MEMORY_MAX }) }),
    logger,
    ...(budget !== undefined && { budget }),
  };
  return new ServedRuns({ name, agent, instance, random, maxRuns, onDisconnect });
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 1;
}

function isDuration(value: unknown): boolean {
  return typeof value === "number" && Number.isFinite(value) && value > 0;
}

function withoutUndefined<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}
