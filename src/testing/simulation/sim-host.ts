// Simulated host: one process, with the whole runtime in it, from its start to its crash or closing.

import { createIds } from "../../base/ids.ts";
import type { Logger } from "../../base/logger.ts";
import type { AgentFunction, AgentSource, RunnableAgent } from "../../runtime/agent.ts";
import { eitherSource, toAgentSource } from "../../runtime/agent-source.ts";
import type { RunCode, StartRequest } from "../../runtime/engine-api.ts";
import type { HostingOptions } from "../../runtime/hosting.ts";
import { openKernel, type Kernel } from "../../runtime/kernel.ts";
import { checkTopology, planRun } from "../../runtime/run-plan.ts";
import { StateManager } from "../../runtime/state-manager.ts";
import type { AgentsOption } from "../../runtime/run-options.ts";
import { between, streamFor } from "./chance.ts";
import type { Ground, GroundParts, SimulatedBus } from "./ground.ts";
import type { Observer } from "./observer.ts";
import type { AgentWorld, Scenario, SimulatedSession, SimulatedTeam } from "./scenario.ts";
import { Scope } from "./scheduler.ts";
import type { Machine, Process } from "./sim-machine.ts";

/** Rejects what was asked of a host that has died since. */
export class HostGone extends Error {
  override readonly name = "HostGone";
}

export interface HostParts {
  readonly machine: Machine;
  readonly observer: Observer;
  readonly scenario: Scenario;
  readonly seed: number;
  readonly outside: Map<string, unknown>;
  ground(host: SimHost, parts: GroundParts): Ground;
  /** Serves agents and takes over sessions: a host among several. `client`: it has no agents, and owns nothing. */
  readonly role: "alone" | "host" | "client";
  /** How far the wall clock of its machine is ahead of the others'. */
  aheadMs(): number;
  crash(host: SimHost, why: Parameters<Process["crash"]>[0]): void;
}

/** What the runtime reports to its logger and must never have to. */
const DEFECTS: ReadonlySet<string> = new Set([
  "the run machine failed",
  "a step actor failed",
  "a deadline's callback threw",
  "result watcher threw",
]);

const STALL_MS = 2_000;
/** Steps a host takes at a time, at most. */
const SLOTS_MAX = 6;
const NO_AGENTS: AgentSource = { get: () => undefined, names: () => [] };

export class SimHost implements Process {
  readonly machine: Machine;
  readonly scope: Scope;
  readonly #ground: Ground;
  readonly #parts: HostParts;
  readonly #prepared: readonly PreparedTeam[];
  #kernel: Kernel | undefined;
  #gone: (error: HostGone) => void = () => undefined;
  /** Rejects when the process dies. */
  readonly #death: Promise<never>;

  constructor(name: string, parts: HostParts) {
    this.#parts = parts;
    this.machine = parts.machine;
    this.scope = new Scope(name);
    this.#death = new Promise((_resolve, reject) => (this.#gone = reject));
    this.#death.catch(() => undefined);
    this.scope.onDeath(() => this.#gone(new HostGone(`${name} has died`)));
    this.#prepared = parts.scenario.teams.map((team, i) => prepare(team, this.#agentsOf(team, i)));
    this.#ground = parts.ground(this, {
      clock: this.#clock(),
      logger: this.#logger(),
      attemptsMax: (sessionId) => this.#attemptsMax(sessionId),
    });
  }

  get bus(): SimulatedBus {
    return this.#ground.bus;
  }

  get kernel(): Kernel {
    if (this.#kernel === undefined) throw new HostGone("the host is not open");
    return this.#kernel;
  }

  crash(why: Parameters<Process["crash"]>[0]): void {
    this.#parts.crash(this, why);
  }

  /** Opens the store, and goes on with what was interrupted; or serves, and takes over what others have left. */
  async open(): Promise<void> {
    const { machine } = this.#parts;
    await this.until(this.#open());
    machine.scheduler.trace?.push(`${machine.scheduler.nowMs} ${this.scope.name} is open`);
  }

  async #open(): Promise<void> {
    const { scenario, seed, role } = this.#parts;
    const clock = this.#clock();
    const random = streamFor(seed, "host", this.scope.name);
    const kernel = await openKernel(
      {
        channel: undefined,
        bus: this.bus,
        random,
        stateManager: new StateManager({
          storage: this.#ground.storage(),
          clock,
          ...(scenario.retention !== undefined && { retention: scenario.retention }),
        }),
        ...(role === "host" && { hosting: this.#hosting() }),
      },
      { clock, ids: createIds(clock, random), logger: this.#logger() },
    );
    this.#kernel = kernel;
    if (role === "alone") await kernel.engine.recover({ code: (entry) => this.codeOf(entry.topologyHash) });
    else await kernel.engine.host();
  }

  #hosting(): HostingOptions {
    const codes = this.#prepared.map(({ code }) => code);
    const [first, ...others] = codes as [RunCode, ...RunCode[]];
    const agents = others.reduce((all, { agents: more }) => eitherSource(all, more), first.agents);
    const slots = between(streamFor(this.#parts.seed, "slots", this.scope.name), 1, SLOTS_MAX);
    const topologies = this.#prepared.map(({ checked }) => checked.topology.hash);
    return { code: { ...first, agents }, slots, perAgent: {}, adopts: true, topologies, version: "1" };
  }

  /** What was promised, or `HostGone` should the process die first. */
  until<T>(promised: Promise<T>): Promise<T> {
    if (!this.scope.alive) return this.#death;
    return Promise.race([promised, this.#death]);
  }

  requestFor(session: SimulatedSession): StartRequest {
    const { checked, team } = this.#prepared[session.team] as PreparedTeam;
    const { request } = planRun(
      checked,
      { ...sharedOf(team), ...(team.maxSteps !== undefined && { maxSteps: team.maxSteps }) },
      team.executionConfig ?? {},
      {
        task: session.task,
        idempotencyKey: session.sessionId,
        ...(session.context !== undefined && { context: session.context }),
      },
      session.sessionId,
    );
    return { ...request, code: this.#own(request.code) };
  }

  codeOf(topologyHash: string | null): RunCode | undefined {
    const found = this.#prepared.find(({ checked }) => checked.topology.hash === topologyHash);
    return found === undefined ? undefined : this.#own(found.code);
  }

  #own(code: RunCode): RunCode {
    return this.#parts.role === "client" ? { ...code, agents: NO_AGENTS } : code;
  }

  async close(): Promise<void> {
    await this.until(this.kernel.close());
    await this.#ground.bus.close();
  }

  /** Whoever takes a session over may go by the policies of another team. */
  #attemptsMax(sessionId: string): number {
    const hash = this.#parts.observer.session(sessionId).state.run?.topologyHash ?? null;
    const codes = this.#parts.role === "alone" ? [this.codeOf(hash)] : this.#prepared.map(({ code }) => code);
    return Math.max(
      ...codes.flatMap((code) =>
        code === undefined ? [Infinity] : Object.values(code.retry).map(({ maxAttempts }) => maxAttempts),
      ),
    );
  }

  #clock() {
    const { scheduler, faults } = this.machine;
    const stall = (): void => {
      const stalled = faults.strikes("stall");
      if (stalled !== undefined) scheduler.nowMs += between(stalled, 50, STALL_MS);
    };
    return scheduler.clockOf(this.scope, stall, () => this.#parts.aheadMs());
  }

  #logger(): Logger {
    const quiet = (): void => undefined;
    const logger: Logger = {
      debug: quiet,
      info: quiet,
      warn: quiet,
      error: (fields, message) => {
        if (this.scope.alive && DEFECTS.has(message))
          this.machine.report("S10", `${message}: ${JSON.stringify(fields["error"] ?? null)}`);
      },
      child: () => logger,
    };
    return logger;
  }

  #agentsOf(team: SimulatedTeam, index: number): AgentsOption {
    const { scheduler, faults } = this.machine;
    const random = streamFor(this.#parts.seed, "agents", index);
    const world: AgentWorld = {
      sleep: (ms) => scheduler.sleep(this.scope, ms, "an agent's sleep"),
      random: () => random.next(),
      outside: this.#parts.outside,
      get stormy() {
        return !faults.calmed;
      },
    };
    const source = toAgentSource(team.agents(world));
    return {
      get: (name: string) => {
        const agent = source.get(name);
        return agent === undefined ? undefined : this.#watched(agent);
      },
      names: () => source.names(),
    };
  }

  /** The agent, as the checkers see it called, and as it goes wrong. */
  #watched(agent: RunnableAgent): RunnableAgent {
    const { faults } = this.machine;
    const run: AgentFunction = async (input, ctx) => {
      if (!this.scope.alive) return new Promise(() => undefined);
      this.#parts.observer.called(ctx.sessionId, ctx.stepId, ctx.attempt);
      if (faults.strikes("agent-hang") !== undefined) return untilStopped(ctx.signal);
      const failing = faults.strikes("agent-throw");
      if (failing !== undefined && failing.next() < 0.5) throw transient("failed before its work");
      const output: unknown = await agent.run(input, ctx);
      if (failing !== undefined) throw transient("failed after its work");
      return output;
    };
    return new Proxy(agent, { get: (target, key) => (key === "run" ? run : Reflect.get(target, key, target)) });
  }
}

interface PreparedTeam {
  readonly team: SimulatedTeam;
  readonly checked: ReturnType<typeof checkTopology>;
  readonly code: RunCode;
}

function prepare(team: SimulatedTeam, agents: AgentsOption): PreparedTeam {
  const checked = checkTopology(team.topology, { ...sharedOf(team), agents });
  const { request } = planRun(checked, sharedOf(team), team.executionConfig ?? {}, { task: "" }, "prepared");
  return { team, checked, code: request.code };
}

function sharedOf({ conditions, errorConfig }: SimulatedTeam) {
  return { ...(conditions !== undefined && { conditions }), ...(errorConfig !== undefined && { errorConfig }) };
}

function untilStopped(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
}

function transient(what: string): Error {
  return Object.assign(new Error(`the agent ${what}`), { retryable: true });
}
