// Orchestrator
//
// Owns:      the runs of one store: their start, status, events, end.
// Does not:  decide what a run does next (loop.ts) or keep anything of its own: all of it is in the runs' sessions.
// Crossing:  startRun() → session of LOOP_TOPOLOGY → kernel → events → RunProjection → status, artifacts, subscribers.
//
// R1  A run's id is its session's. `startRun` gives it out before anything is written; what cannot start fails `result`.
// R2  Nothing is opened before it is used; two orchestrators share nothing but a store that both were given.

import { errorToData } from "../base/error-data.ts";
import { OrchestraError } from "../base/errors.ts";
import { createIds, parseSessionId, type SessionId } from "../base/ids.ts";
import { silentLogger, type Logger } from "../base/logger.ts";
import { systemClock } from "../base/clock.ts";
import { systemRandom } from "../base/random.ts";
import type { MaybePromise } from "../runtime/agent.ts";
import { assertOptions, object } from "../runtime/option-schema.ts";
import { OrchestraInstance } from "../runtime/orchestra-instance.ts";
import { readBackend } from "./backend.ts";
import { loopAgents, LOOP_TOPOLOGY } from "./loop-topology.ts";
import type { OrchestratorEvent } from "./run-events.ts";
import {
  listSchema,
  RunReader,
  subscribeSchema,
  type ListOptions,
  type RunResult,
  type SubscribeOptions,
} from "./run-reader.ts";
import type {
  ArtifactScores,
  HarvestOptions,
  HarvestReceipt,
  Memory,
  MemoryArtifact,
  MemoryEntry,
  MemoryInput,
  MemoryScope,
  MemorySearchResult,
} from "../memory/ports.ts";
import { NO_ARTIFACTS, type RunArtifacts } from "./run-artifacts.ts";
import { readRunInput, type ReadRun, type StartRunInput } from "./run-input.ts";
import { agentNamesOf, assertTeamFits, runTeamOf } from "./team.ts";
import { TeamMemory } from "./team-memory.ts";
import { RunMemory, unknownRun, type RunStage } from "./run-memory.ts";
import type { RunProvenance, RunSpec } from "./run-spec.ts";
import { PENDING_STATUS, statusOf, UNKNOWN_STATUS, type RunStatus } from "./run-status.ts";
import { assertConfig, DESCRIPTION_LENGTH_MAX, type OrchestratorConfig } from "./orchestrator-config.ts";
import {
  commandOf,
  criteriaByName,
  DEFAULT_COMMANDS,
  type CommandSpec,
  type CustomCriterion,
} from "./success-criteria.ts";

const resumeSchema = object({ custom: criteriaByName });

export interface RunHandle {
  readonly runId: string;
  /** Resolves when the run ends, in whatever way. Rejects for what could not start, and when the orchestrator is closed before. */
  readonly result: Promise<RunResult>;
}

export interface CancelAnswer {
  readonly success: boolean;
  /** Why not. */
  readonly error?: string;
}

/** @throws {OrchestraError} `ORCH_BAD_OPTION` */
export function createOrchestrator(config: OrchestratorConfig): Orchestrator {
  return new Orchestrator(config);
}

export class Orchestrator implements AsyncDisposable {
  readonly #config: OrchestratorConfig;
  readonly #logger: Logger;
  readonly #ids;
  readonly #commands: Readonly<Record<string, CommandSpec>>;
  readonly #instance: OrchestraInstance;
  readonly #reader: RunReader;
  readonly #memory: RunMemory | undefined;
  /** Starts that are under way, and criteria that came with them. */
  readonly #starting = new Map<string, Promise<unknown>>();
  readonly #custom = new Map<string, Readonly<Record<string, CustomCriterion>>>();

  /** @throws {OrchestraError} `ORCH_BAD_OPTION` */
  constructor(config: OrchestratorConfig) {
    assertConfig(config);
    const { clock = systemClock(), random = systemRandom(), logger = silentLogger } = config;
    this.#config = config;
    this.#logger = logger;
    this.#ids = createIds(clock, random);
    const own = Object.entries(config.commands ?? {}).map(([name, given]) => [
      name,
      commandOf(`createOrchestrator.commands.${name}`, given),
    ]);
    this.#commands = { ...DEFAULT_COMMANDS, ...(Object.fromEntries(own) as Record<string, CommandSpec>) };
    const { memory } = config;
    this.#memory =
      memory === undefined
        ? undefined
        : new RunMemory({
            memory,
            stageOf: (runId) => this.#stageOf(runId),
            provenanceOf: async (runId) => (await this.#reader.specOf(runId)).provenance,
          });
    const teamMemory = memory === undefined ? undefined : new TeamMemory(memory);
    this.#instance = new OrchestraInstance(
      {
        topology: LOOP_TOPOLOGY,
        agents: loopAgents({
          team: config,
          backend: readBackend(config.backend),
          acceptance: config.acceptance,
          custom: (runId, name) => ownOf(this.#custom.get(runId), name) ?? ownOf(config.criteria, name),
          lackCustom: (runId, name) => this.#leaveFor(runId, name),
          ...(teamMemory !== undefined && { memory: teamMemory }),
          learned: async (runId) => (await this.#memory?.learned(runId)) ?? [],
        }),
        maxSteps: false,
        ...(config.stateManager !== undefined && { stateManager: config.stateManager }),
        ...(config.bus !== undefined && { bus: config.bus }),
        ...(teamMemory !== undefined && { memory: teamMemory }),
        ...(config.observers !== undefined && { observers: config.observers }),
        ...(config.logger !== undefined && { logger: config.logger }),
        ...(config.clock !== undefined && { clock: config.clock }),
        ...(config.random !== undefined && { random: config.random }),
      },
      {
        adopts: config.adopt === true && config.bus !== undefined,
        code: {
          stays: true,
          assertFits: (runId, task) => assertTeamFits(config, runId, task as RunSpec),
        },
      },
    );
    this.#reader = new RunReader(this.#instance);
  }

  /**
   * Opens the store and the bus, as any first use does: interrupted runs of its team that are found in the store go on, and
   * with `adopt` those that hosts on the bus leave behind from now on.
   *
   * @throws {OrchestraError} `ORCH_STORE_*`, what the bus throws.
   */
  async open(): Promise<void> {
    await this.#instance.listSessions({ limit: 1 });
  }

  /**
   * Begins a run and returns at once.
   *
   * @throws {OrchestraError} `ORCH_BAD_OPTION` with everything that is wrong with `input`; `result` rejects with
   *   `ORCH_SESSION_BUSY` when there is such a run, and with what a session may fail to start of.
   */
  startRun(input: StartRunInput): RunHandle {
    const { criteria = {}, descriptionLengthMax = DESCRIPTION_LENGTH_MAX, acceptance } = this.#config;
    const read = readRunInput(input, {
      descriptionLengthMax,
      commands: this.#commands,
      customNames: Object.keys(criteria),
      judges: acceptance !== undefined,
      team: runTeamOf(this.#config),
    });
    const runId = parseSessionId(read.runId ?? this.#ids.next("run"));
    const result = this.#start(runId, read);
    result.catch(() => undefined);
    return { runId, result };
  }

  /** As `startRun`. */
  orchestrateTask(input: StartRunInput): RunHandle {
    return this.startRun(input);
  }

  /** A run that is unknown has the phase `unknown`. */
  async getRunStatus(runId: string): Promise<RunStatus> {
    if (this.#starting.has(runId)) return PENDING_STATUS;
    if (!(await this.#reader.isKnown(runId))) return UNKNOWN_STATUS;
    return statusOf(await this.#reader.eventsSoFar(runId));
  }

  /** Ends a run for good; agents and commands under way are told by their signal. */
  async cancelRun(runId: string, reason?: string): Promise<CancelAnswer> {
    await this.#starting.get(runId);
    const status = await this.getRunStatus(runId);
    if (status.phase === "unknown") return { success: false, error: `no run "${runId}"` };
    if (status.finished) return { success: false, error: `run "${runId}" has ended already: ${status.reason}` };
    const cancelled = await this.#instance.cancelSession(runId, reason);
    return cancelled
      ? { success: true }
      : { success: false, error: `run "${runId}" could not be cancelled: it just ended` };
  }

  /**
   * The run's events from the first after `after` (0: all), as they come, until the run has ended; without a hole, also
   * after a restart. With a handler: returns the way to stop. The handler is told the next event when it is through with the
   * last; what it throws goes to the logger, once.
   *
   * @throws {OrchestraError} `ORCH_BAD_OPTION`, at once.
   * @throws {OrchestraError} `ORCH_SESSION_UNKNOWN` from the iteration, to the logger with a handler.
   */
  subscribeRunEvents(runId: string, options?: SubscribeOptions): AsyncIterable<OrchestratorEvent>;
  subscribeRunEvents(
    runId: string,
    handler: (event: OrchestratorEvent) => MaybePromise<void>,
    options?: SubscribeOptions,
  ): () => void;
  subscribeRunEvents(
    runId: string,
    first: SubscribeOptions | ((event: OrchestratorEvent) => MaybePromise<void>) = {},
    second: SubscribeOptions = {},
  ): AsyncIterable<OrchestratorEvent> | (() => void) {
    assertOptions(subscribeSchema, typeof first === "function" ? second : first, "subscribeRunEvents");
    if (typeof first !== "function") return this.#events(runId, first);
    const stop = new AbortController();
    const signal = second.signal === undefined ? stop.signal : AbortSignal.any([stop.signal, second.signal]);
    void this.#tell(runId, first, { ...second, signal });
    return () => stop.abort();
  }

  /** Goes on with a run that stands still, with criteria of its own that this process lacks. */
  async resumeRun(
    runId: string,
    { custom = {} }: { custom?: Readonly<Record<string, CustomCriterion>> } = {},
  ): Promise<RunHandle> {
    assertOptions(resumeSchema, { custom }, "resumeRun");
    if (!(await this.#reader.isKnown(runId))) throw unknownRun(runId);
    this.#custom.set(runId, { ...this.#custom.get(runId), ...custom });
    const going = this.#instance.resumeSession(runId);
    const result = Promise.all([this.#ended(runId), going]).then(([ended]) => ended);
    result.catch(() => undefined);
    return { runId, result };
  }

  /**
   * What the run is to know from the start, before it is started under this id.
   *
   * @throws {OrchestraError} `ORCH_SESSION_STATE` once it has begun; `ORCH_BAD_OPTION` without a memory.
   */
  async seedMemory(runId: string, entries: readonly MemoryInput[]): Promise<readonly MemoryEntry[]> {
    return this.#remembering("seedMemory").seed(parseSessionId(runId), entries);
  }

  /** Best first; the query and the scope in either order. `topK`: default 10. @throws {OrchestraError} `ORCH_BAD_OPTION` */
  async searchMemory(query: string, scope: MemoryScope, topK?: number): Promise<readonly MemorySearchResult[]>;
  async searchMemory(scope: MemoryScope, query: string, topK?: number): Promise<readonly MemorySearchResult[]>;
  async searchMemory(
    first: string | MemoryScope,
    second: string | MemoryScope,
    topK?: number,
  ): Promise<readonly MemorySearchResult[]> {
    return this.#remembering("searchMemory").search(first, second, topK);
  }

  /** Something the run has learned; `harvestMemory` keeps it beyond the run. @throws {OrchestraError} `ORCH_SESSION_UNKNOWN` */
  async recordLearning(
    runId: string,
    learning: string | MemoryInput,
    score?: number,
    provenance?: RunProvenance,
  ): Promise<MemoryEntry> {
    return this.#remembering("recordLearning").learn(runId, learning, score, provenance);
  }

  /**
   * Keeps what an ended run came to, and what it learned, for later ones. Again with the same gives the same receipt.
   *
   * @throws {OrchestraError} `ORCH_SESSION_STATE` before the run has ended; `ORCH_MEMORY_PROVENANCE` naming what is missing of
   *   project, run, card and agent, which come from `options.provenance` or from the run's own; nothing is kept then.
   */
  async harvestMemory(
    runId: string,
    artifacts: readonly MemoryArtifact[] = [],
    scores: ArtifactScores = [],
    options: HarvestOptions = {},
  ): Promise<HarvestReceipt> {
    return this.#remembering("harvestMemory").harvest(runId, artifacts, scores, options);
  }

  /** Waits for the run to end. @throws {OrchestraError} `ORCH_SESSION_UNKNOWN`, `ORCH_CLOSED` when the orchestrator is closed before. */
  async getRunResult(runId: string): Promise<RunResult> {
    return this.#ended(runId);
  }

  /** What the run has told so far; nothing of one that is unknown. */
  async getRunEvents(runId: string): Promise<readonly OrchestratorEvent[]> {
    await this.#starting.get(runId);
    return (await this.#reader.isKnown(runId)) ? this.#reader.eventsSoFar(runId) : [];
  }

  /** Empty lists for a run that is unknown. */
  async getRunArtifacts(runId: string): Promise<RunArtifacts> {
    await this.#starting.get(runId);
    return (await this.#reader.isKnown(runId)) ? this.#reader.artifacts(runId) : NO_ARTIFACTS;
  }

  /** Runs of this store, oldest id first. @throws {OrchestraError} `ORCH_BAD_OPTION` */
  async listRuns(options: ListOptions = {}): Promise<readonly string[]> {
    assertOptions(listSchema, options, "listRuns");
    return this.#reader.list(options);
  }

  async #stageOf(runId: string): Promise<RunStage> {
    const { phase, finished } = await this.getRunStatus(runId);
    return phase === "unknown" ? "unknown" : finished ? "ended" : "going";
  }

  #remembering(what: string): RunMemory {
    if (this.#memory === undefined) throw noMemory(what);
    return this.#memory;
  }

  /** Of the team. */
  agentNames(): readonly string[] {
    return agentNamesOf(this.#config);
  }

  get memory(): Memory | undefined {
    return this.#config.memory;
  }

  /** The sessions that the runs are: to be served by `orchestra/control`, exported, looked into. */
  get instance(): OrchestraInstance {
    return this.#instance;
  }

  /** Lets go of everything; runs under way stay resumable. Idempotent. */
  close(): Promise<void> {
    return this.#instance.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #start(runId: SessionId, read: ReadRun): Promise<RunResult> {
    if (this.#starting.has(runId)) throw takenId(runId);
    const begun = this.#begin(runId, read);
    this.#starting.set(
      runId,
      begun.catch(() => undefined),
    );
    try {
      await begun;
    } finally {
      this.#starting.delete(runId);
    }
    return this.#ended(runId);
  }

  /** Resolves once the run is recorded. */
  async #begin(runId: SessionId, read: ReadRun): Promise<void> {
    const { custom, recall } = read;
    if (read.runId !== undefined && (await this.#instance.getSession(runId)) !== null) throw takenId(runId);
    if (this.#memory === undefined && recall > 0) throw noMemory("startRun.recall");
    const spec = (await this.#memory?.begin(runId, read.spec, recall)) ?? read.spec;
    if (Object.keys(custom).length > 0) this.#custom.set(runId, custom);
    const handle = this.#instance.stream({
      task: { ...spec },
      sessionId: runId,
      maxSteps: false,
      budget: spec.budget,
    });
    const events = handle[Symbol.asyncIterator]();
    await events.next();
    await events.return?.();
  }

  async #ended(runId: string): Promise<RunResult> {
    for await (const event of this.#events(runId))
      if (event.type === "run.terminal") {
        this.#custom.delete(runId);
        return this.#reader.result(event);
      }
    throw new OrchestraError(
      "ORCH_CLOSED",
      `the orchestrator was closed before run "${runId}" ended; it can be resumed`,
    );
  }

  async *#events(runId: string, options: SubscribeOptions = {}): AsyncGenerator<OrchestratorEvent> {
    await this.#starting.get(runId);
    yield* this.#reader.events(runId, options);
  }

  /** One event after the other, as quickly as the handler takes them. */
  async #tell(
    runId: string,
    handler: (event: OrchestratorEvent) => MaybePromise<void>,
    options: SubscribeOptions,
  ): Promise<void> {
    let hasThrown = false;
    const report = (error: unknown, what: string): void => {
      if (!hasThrown) this.#logger.error({ runId, error: errorToData(error) }, what);
      hasThrown = true;
    };
    try {
      for await (const event of this.#events(runId, options)) {
        try {
          await handler(event);
        } catch (error) {
          report(error, "a subscriber of run events has thrown; it is told of no more that it throws");
        }
      }
    } catch (error) {
      report(error, "run events could not be followed");
    }
  }

  /** The run waits, without a step under way, until a process that has the criterion goes on with it. */
  async #leaveFor(runId: string, name: string): Promise<never> {
    const why = `no process here has the criterion "${name}": resumeRun brings it, or createOrchestrator's \`criteria\``;
    await this.#instance.pauseSession(runId, why, { inFlight: "abort" });
    return new Promise<never>(() => {});
  }
}

function ownOf(criteria: Readonly<Record<string, CustomCriterion>> = {}, name: string): CustomCriterion | undefined {
  return Object.hasOwn(criteria, name) ? criteria[name] : undefined;
}

function takenId(runId: string): OrchestraError {
  return new OrchestraError("ORCH_SESSION_BUSY", `startRun.runId: there is a run "${runId}" already`, {
    details: { sessionId: runId },
  });
}

function noMemory(what: string): OrchestraError {
  return new OrchestraError(
    "ORCH_BAD_OPTION",
    `${what}: this orchestrator has no memory; expected createOrchestrator({ memory })`,
  );
}
