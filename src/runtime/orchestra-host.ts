// Orchestra host
//
// Owns:      one engine that serves a cluster: it runs steps of whatever sessions its agents are asked for, and takes over
//            sessions whose host is gone.
// Does not:  start runs: that is what instances on the same bus do, with agents of their own or without.

import { OrchestraError } from "../base/errors.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";
import type { HostInfo } from "../bus/ports.ts";
import type { TopologyInput } from "../topology/read.ts";
import type { AgentSource } from "./agent.ts";
import { eitherSource, type AgentDirectory } from "./agent-source.ts";
import { didYouMean } from "./did-you-mean.ts";
import type { Engine, HostStatus, RunEvent } from "./engine-api.ts";
import type { ExecutionConfig } from "./execution-config.ts";
import { mergeExecutionConfig } from "./execution-config.ts";
import type { HostingOptions } from "./hosting.ts";
import { groundsOf, openKernel, type Grounds, type Kernel } from "./kernel.ts";
import { agentsOf, runCodeOf } from "./run-code.ts";
import {
  assertHostOptions,
  type AgentsOption,
  type Condition,
  type ErrorHandlingConfig,
  type RunObserver,
  type SharedBus,
  type SharedOptions,
} from "./run-options.ts";
import type { StateManager } from "./state-manager.ts";
import { Topology } from "./topology.ts";

export interface HostOptions {
  /** Shared with the other hosts: `natsBus({ servers })` of `orchestra/nats`. */
  readonly bus: SharedBus;
  /** Those whose steps it runs, of whatever session. */
  readonly agents?: AgentsOption;
  /** Instead of `agents`. */
  readonly agentRegistry?: AgentDirectory;
  /** Functions that topologies name; a session that needs one is taken over only by hosts that have it. */
  readonly conditions?: Readonly<Record<string, Condition>>;
  /** Topologies that carry agents of their own, and those it says it knows. */
  readonly topologies?: readonly TopologyInput[];
  readonly errorConfig?: ErrorHandlingConfig;
  /** Retries, checkpoints and steps in flight of the sessions it takes over. `maxConcurrency` is 64 where it does not say. */
  readonly executionConfig?: ExecutionConfig;
  /** Steps it runs at a time. Those beyond wait for other hosts, or for a free slot. Default 16. */
  readonly slots?: number;
  /** The same for single agents. Default: their own `concurrency`. */
  readonly perAgent?: Readonly<Record<string, number>>;
  /** Takes over running sessions that have no owner. Default true. */
  readonly adopt?: boolean;
  /** Sessions it owns at a time; more are left to others. Default 10_000. */
  readonly maxSessions?: number;
  readonly unserved?: "wait" | "fail";
  readonly unservedAfterMs?: number;
  /** What else is told of it; `orchestra hosts` shows it. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Of the program, as it is told to others. */
  readonly version?: string;
  /** For a bus that keeps no sessions itself. */
  readonly stateManager?: StateManager;
  /** Told of the events of the sessions it owns, from when it took them over. */
  readonly metricsCollector?: RunObserver;
  readonly observers?: readonly RunObserver[];
  /** What agents it runs see as `ctx.memory`. */
  readonly memory?: NonNullable<SharedOptions["memory"]>;
  readonly logger?: Logger;
  /** Told of the sessions it owns as XState actors; see `RunOptions.inspect`. */
  readonly inspect?: NonNullable<SharedOptions["inspect"]>;
  readonly clock?: Clock;
  readonly random?: Random;
}

const NOT_STARTED: Omit<HostStatus, "state"> = Object.freeze({
  host: "",
  leaseHeld: false,
  bus: "reconnecting",
  slots: 0,
  running: 0,
  sessions: 0,
  queued: {},
  attempts: {},
  lateResults: 0,
});
const DEFAULT_SLOTS = 16;
const DEFAULT_MAX_CONCURRENCY = 64;

export class OrchestraHost implements AsyncDisposable {
  readonly #options: HostOptions;
  readonly #grounds: Grounds;
  readonly #hosting: HostingOptions;
  #kernel: Promise<Kernel> | undefined;
  #engine: Engine | undefined;
  #closing: Promise<void> | undefined;

  /** Opens nothing. @throws {OrchestraError} `ORCH_BAD_OPTION`, also without agents. */
  constructor(options: HostOptions) {
    assertHostOptions(options);
    this.#options = options;
    this.#grounds = groundsOf(options);
    this.#hosting = hostingOf(options);
  }

  /** Serves from now on: resolves once other hosts can know of it. @throws {OrchestraError} `ORCH_CLOSED`, `ORCH_STORE_*`, what the bus throws. */
  async start(): Promise<void> {
    await (await this.#open()).engine.host();
  }

  /** The hosts that are alive, this one among them once it has started. */
  async hosts(): Promise<readonly HostInfo[]> {
    return this.#options.bus.liveness.alive();
  }

  /** How it is now; `idle` before it starts. */
  status(): HostStatus {
    return this.#engine?.hostStatus() ?? { ...NOT_STARTED, state: this.#closing === undefined ? "idle" : "closed" };
  }

  /**
   * Takes nothing more, lets steps in flight finish up to `timeoutMs` (default 30_000), then hands back the rest and
   * releases its sessions: other hosts go on with them at once.
   */
  async drain({ timeoutMs }: { timeoutMs?: number } = {}): Promise<void> {
    if (this.#kernel === undefined) return;
    await (await this.#kernel).engine.drain(timeoutMs === undefined ? {} : { timeoutMs });
  }

  /** Lets go of everything at once; other hosts take its sessions over. Idempotent. The bus stays open. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #open(): Promise<Kernel> {
    if (this.#closing !== undefined)
      return Promise.reject(new OrchestraError("ORCH_CLOSED", "this OrchestraHost is closed"));
    this.#kernel ??= this.#openKernel().catch((error: unknown) => {
      this.#kernel = undefined;
      throw error;
    });
    return this.#kernel;
  }

  async #openKernel(): Promise<Kernel> {
    const { bus, memory, stateManager, random, maxSessions, unserved, unservedAfterMs } = this.#options;
    const { metricsCollector, observers = [] } = this.#options;
    const watching = metricsCollector === undefined ? observers : [metricsCollector, ...observers];
    const kernel = await openKernel(
      {
        bus,
        channel: undefined,
        hosting: this.#hosting,
        observers: watching.map((one) => (event: RunEvent) => one.observe(event)),
        ...(stateManager !== undefined && { stateManager }),
        ...(memory !== undefined && { memory }),
        ...(random !== undefined && { random }),
        ...(maxSessions !== undefined && { maxSessions }),
        ...(unserved !== undefined && { unserved }),
        ...(unservedAfterMs !== undefined && { unservedAfterMs }),
      },
      this.#grounds,
    );
    this.#engine = kernel.engine;
    return kernel;
  }

  async #close(): Promise<void> {
    const kernel = await this.#kernel?.catch(() => undefined);
    await kernel?.close();
  }
}

function hostingOf(options: HostOptions): HostingOptions {
  const { slots = DEFAULT_SLOTS, perAgent = {}, adopt = true, topologies = [], labels, version } = options;
  const agents = topologies.reduce<AgentSource>(
    (known, topology) => eitherSource(known, agentsOf({}, topology)),
    agentsOf(options, undefined),
  );
  const names = agents.names();
  if (names.length === 0)
    throw new OrchestraError("ORCH_BAD_OPTION", "agents: a host serves agents, and none were given");
  for (const name of Object.keys(perAgent))
    if (!names.includes(name))
      throw new OrchestraError("ORCH_BAD_OPTION", `perAgent.${name}: no agent of that name${didYouMean(name, names)}`);
  const own = names.flatMap((name) => {
    const concurrency = agents.get(name)?.concurrency;
    return concurrency === undefined ? [] : [[name, concurrency] as const];
  });
  const execution = mergeExecutionConfig({ maxConcurrency: DEFAULT_MAX_CONCURRENCY }, options.executionConfig ?? {});
  return {
    code: runCodeOf(agents, options, execution),
    slots,
    perAgent: { ...Object.fromEntries(own), ...perAgent },
    adopts: adopt,
    topologies: topologies.map((topology) => Topology.from(topology).hash),
    version: version ?? "",
    pid: process.pid,
    ...(labels !== undefined && { labels }),
  };
}
