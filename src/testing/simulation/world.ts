// World
//
// Owns:      one seed from its beginning to its end: the machine, its process and the clients outside.
// Does not:  know what a scenario is about (scenario.ts), or what to make of what is found (simulate.ts).
//
// V1  First a storm, in which faults strike; then calm, in which nothing goes wrong and every session must come to an end.
// V2  A process may die before any event of its own. The next one is started after a while, until all is over.

import type { RunEnd } from "../../actors/session-state.ts";
import type { RunOutcome } from "../../runtime/engine-api.ts";
import { Asks } from "./asks.ts";
import type { Canary } from "./canaries.ts";
import { between, chance, streamFor } from "./chance.ts";
import { Clients } from "./clients.ts";
import { checkTheEnd } from "./end-checks.ts";
import { FaultPlan, type Fault, type FaultRates } from "./faults.ts";
import type { Check, Finding } from "./findings.ts";
import { Observer } from "./observer.ts";
import type { Scenario } from "./scenario.ts";
import { Scheduler, Scope } from "./scheduler.ts";
import { SimDisk } from "./sim-disk.ts";
import { HostGone, SimHost } from "./sim-host.ts";
import type { Machine, Process } from "./sim-machine.ts";

export interface SeedOptions {
  readonly seed: number;
  readonly rates: FaultRates;
  /** Exactly these strike, instead of what the rates come to. */
  readonly only?: readonly Fault[];
  readonly canary?: Canary;
  readonly traced?: boolean;
  /** Findings after this many are not kept. Default 20. */
  readonly findingsMax?: number;
  readonly onOutcome?: (sessionId: string, outcome: RunOutcome, outside: Map<string, unknown>) => string | undefined;
}

export interface SeedResult {
  readonly seed: number;
  readonly events: number;
  readonly commits: number;
  readonly simulatedMs: number;
  /** How often a process was started. */
  readonly processes: number;
  readonly struck: readonly Fault[];
  readonly findings: readonly Finding[];
  /** Sessions by what their last run ended in. */
  readonly endings: Readonly<Record<string, number>>;
  /** What the sessions of the scenario ended in; nested ones are not among them. */
  readonly ends: readonly RunEnd[];
  readonly trace: readonly string[] | undefined;
}

const FINDINGS_MAX = 20;
/** Events and simulated time of the storm, at most. */
const STORM_EVENTS_MAX = 1_200;
const STORM_MS_MAX = 240_000;
/** Within which everything must have ended once it is calm: far more than any run here can take. */
const CALM_EVENTS_MAX = 15_000;
const CALM_MS_MAX = 12 * 3_600_000;
const DOWNTIME_MS_MAX = 20_000;
const LOOK_EVERY = 20;

export async function runSeed(scenario: Scenario, options: SeedOptions): Promise<SeedResult> {
  return new World(scenario, options).run();
}

class World {
  readonly #options: SeedOptions;
  readonly #scenario: Scenario;
  readonly #scope = new Scope("world");
  readonly #scheduler: Scheduler;
  readonly #faults: FaultPlan;
  readonly #machine: Machine;
  readonly #observer: Observer;
  readonly #disk = new SimDisk();
  readonly #asks: Asks;
  readonly #clients: Clients;
  readonly #findings: Finding[] = [];
  readonly #awaitingHost: ((host: SimHost) => void)[] = [];
  readonly #stormEvents: number;
  readonly #outside = new Map<string, unknown>();
  #host: SimHost | undefined;
  #hostIsOpen = false;
  #processes = 0;
  #over = false;
  #calmSince: { readonly event: number; readonly ms: number } | undefined;

  constructor(scenario: Scenario, options: SeedOptions) {
    const { seed } = options;
    this.#options = options;
    this.#scenario = scenario;
    this.#scheduler = new Scheduler(streamFor(seed, "order"), { traced: options.traced ?? false });
    this.#faults = new FaultPlan(seed, options.rates, options.only);
    this.#machine = {
      scheduler: this.#scheduler,
      faults: this.#faults,
      random: streamFor(seed, "latency"),
      canary: options.canary,
      report: (check, message) => this.#report(check, message),
    };
    this.#stormEvents = between(streamFor(seed, "storm"), 50, STORM_EVENTS_MAX);
    this.#observer = new Observer(this.#machine);
    this.#asks = new Asks(this.#machine);
    this.#clients = new Clients({
      machine: this.#machine,
      scope: this.#scope,
      seed,
      scenario,
      observer: this.#observer,
      asks: this.#asks,
      host: () => this.#hostUp(),
      onOutcome: (sessionId, outcome) => this.#outcome(sessionId, outcome),
    });
  }

  async run(): Promise<SeedResult> {
    const stray = (error: unknown): void =>
      this.#report(
        "S10",
        `a promise was rejected and nobody noticed: ${error instanceof Error ? (error.stack ?? "") : String(error)}`,
      );
    // What cannot start at all is thrown here, at the caller.
    const first = this.#newHost();
    process.on("unhandledRejection", stray);
    try {
      void this.#keepAHostUp(first);
      const story = this.#story();
      let ended = false;
      story.then(
        () => (ended = true),
        (error: unknown) => {
          ended = true;
          this.#report(
            "S10",
            `the simulation itself failed: ${error instanceof Error ? (error.stack ?? "") : String(error)}`,
          );
        },
      );
      while (!(await this.#isOver(() => ended))) await this.#next();
    } finally {
      process.off("unhandledRejection", stray);
    }
    return this.#result();
  }

  async #story(): Promise<void> {
    await this.#clients.run();
    this.#calm();
    const host = await this.#hostUp();
    await checkTheEnd({
      host,
      observer: this.#observer,
      told: this.#clients.told,
      asks: this.#asks,
      machine: this.#machine,
      damaged: () => this.#disk.damaged,
      beforeClosing: () => (this.#over = true),
      aMoment: () => this.#scheduler.sleep(this.#scope, 1, "a moment"),
    });
  }

  async #isOver(ended: () => boolean): Promise<boolean> {
    await this.#scheduler.settle();
    if (ended()) return true;
    if (this.#findings.length >= (this.#options.findingsMax ?? FINDINGS_MAX)) return true;
    const { executed, nowMs } = this.#scheduler;
    if (!this.#faults.calmed && (executed > this.#stormEvents || nowMs > STORM_MS_MAX)) {
      this.#calm();
      await this.#scheduler.settle();
    }
    const since = this.#calmSince;
    if (since === undefined) return false;
    if (executed - since.event < CALM_EVENTS_MAX && nowMs - since.ms < CALM_MS_MAX) return false;
    this.#reportStuck("has not come to an end");
    return true;
  }

  async #next(): Promise<void> {
    const event = this.#scheduler.next();
    if (event === undefined) {
      this.#reportStuck("stands still, with nothing left to happen");
      this.#findings.length = Math.min(this.#findings.length, FINDINGS_MAX);
      this.#ended();
      return;
    }
    const host = this.#host;
    if (event.scope === host?.scope && this.#dies(host)) return;
    event.run();
    if (this.#scheduler.executed % LOOK_EVERY === 0 && this.#hostIsOpen && !this.#over) await this.#look();
  }

  #ended(): void {
    this.#calmSince = { event: -CALM_EVENTS_MAX, ms: -CALM_MS_MAX };
  }

  /** V2. */
  #dies(host: SimHost): boolean {
    const jump = this.#faults.strikes("clock-jump");
    if (jump !== undefined) this.#scheduler.jumpWall(between(jump, -3_600_000, 3_600_000));
    if (this.#faults.strikes("process-crash") !== undefined) {
      this.#crash(host, "process-crash");
      return true;
    }
    // What `process` promises is to outlive the process, and no more.
    if (this.#scenario.durability === "disk" && this.#faults.strikes("power-loss") !== undefined) {
      this.#crash(host, "power-loss");
      return true;
    }
    return false;
  }

  #crash(host: SimHost, why: Parameters<Process["crash"]>[0]): void {
    if (!host.scope.alive) return;
    this.#scheduler.trace?.push(`${this.#scheduler.nowMs} ${host.scope.name} dies: ${why}`);
    this.#hostIsOpen = false;
    host.scope.die();
    this.#observer.processDied();
    if (why === "power-loss") this.#disk.losePower(streamFor(this.#options.seed, "power", host.scope.name));
    const flip = this.#faults.strikes("bit-flip");
    if (flip !== undefined) {
      const key = this.#disk.flipBit(flip);
      this.#scheduler.trace?.push(`${this.#scheduler.nowMs} disk: a bit of ${key ?? "nothing"} changes`);
    }
  }

  #newHost(): SimHost {
    return new SimHost(`process-${++this.#processes}`, {
      machine: this.#machine,
      disk: this.#disk,
      observer: this.#observer,
      scenario: this.#scenario,
      seed: this.#options.seed,
      outside: this.#outside,
      crash: (host, why) => this.#crash(host, why),
    });
  }

  async #keepAHostUp(first: SimHost): Promise<void> {
    for (let host = first; !this.#over; host = this.#newHost()) {
      this.#host = host;
      try {
        await this.#asks.ask(host, "opening of the store", () => host.open());
        this.#hostIsOpen = true;
        for (const tell of this.#awaitingHost.splice(0)) tell(host);
        await host.until(new Promise<never>(() => undefined));
      } catch (error) {
        this.#hostIsOpen = false;
        if (!(error instanceof HostGone)) {
          host.scope.die();
          this.#observer.processDied();
          // Its operator puts back a copy.
          this.#disk.mend();
        }
      }
      const random = streamFor(this.#options.seed, "downtime", host.scope.name);
      await this.#scheduler.sleep(this.#scope, chance(random, 0.5) ? 0 : between(random, 1, DOWNTIME_MS_MAX), "down");
    }
  }

  #hostUp(): Promise<SimHost> {
    const host = this.#host;
    if (host !== undefined && this.#hostIsOpen) return Promise.resolve(host);
    return new Promise((resolve) => this.#awaitingHost.push(resolve));
  }

  #calm(): void {
    if (this.#faults.calmed) return;
    this.#faults.calm();
    this.#calmSince = { event: this.#scheduler.executed, ms: this.#scheduler.nowMs };
    this.#scheduler.trace?.push(`${this.#scheduler.nowMs} the storm is over`);
    this.#disk.mend();
    // In one half of the seeds what the storm left behind must recover without a new process.
    if (this.#host !== undefined && chance(streamFor(this.#options.seed, "calm"), 0.5))
      this.#crash(this.#host, "process-crash");
  }

  /** S5 in the middle of it all: what a live session holds is what its log comes to. */
  async #look(): Promise<void> {
    const host = this.#host;
    if (host === undefined) return;
    let looking = true;
    for (const model of this.#observer.sessions()) {
      if (model.n === 0 || !this.#asks.open().includes(`outcome of ${model.sessionId}`)) continue;
      // Of one that is not live after all, the state is read from the store, and comes later.
      host.kernel.engine.state(model.sessionId).then(
        (state) => looking && model.compare(state, "the live session"),
        () => undefined,
      );
    }
    await this.#scheduler.settle();
    looking = false;
  }

  #outcome(sessionId: string, outcome: RunOutcome): void {
    const model = this.#observer.session(sessionId);
    model.told(outcome.state);
    const complaint = this.#options.onOutcome?.(sessionId, outcome, this.#outside);
    if (complaint !== undefined) this.#report("user", `session ${sessionId}: ${complaint}`);
  }

  #reportStuck(how: string): void {
    const open = this.#asks.open();
    const refused = [...this.#asks.refusals].map(([what, error]) => `${what} (${error})`);
    const sessions = this.#observer
      .sessions()
      .filter(({ state }) => state.run?.end == null)
      .map(({ sessionId, state }) => `${sessionId} (${state.status})`);
    // Everything has happened, and somebody was not told.
    if (sessions.length === 0) for (const what of open) this.#report("S10", `${what} was never answered`);
    this.#report(
      "L1",
      `the simulation ${how}; sessions that have not ended: ${sessions.join(", ") || "none"}; unanswered: ${open.join(", ") || "nothing"}; refused: ${refused.join("; ") || "nothing"}`,
    );
  }

  #report(check: Check, message: string): void {
    const { nowMs, executed } = this.#scheduler;
    if (this.#findings.some((one) => one.check === check && one.message === message)) return;
    this.#findings.push({ check, message, atMs: nowMs, event: executed });
  }

  #result(): SeedResult {
    const endings: Record<string, number> = {};
    const ends: RunEnd[] = [];
    const asked = new Set(this.#scenario.sessions.map(({ sessionId }) => sessionId));
    for (const { n, state, sessionId } of this.#observer.sessions()) {
      if (n > 0) endings[state.status] = (endings[state.status] ?? 0) + 1;
      if (state.run?.end != null && asked.has(sessionId)) ends.push(state.run.end);
    }
    return {
      seed: this.#options.seed,
      events: this.#scheduler.executed,
      commits: this.#observer.commits,
      simulatedMs: this.#scheduler.nowMs,
      processes: this.#processes,
      struck: this.#faults.struck,
      findings: this.#findings,
      endings,
      ends,
      trace: this.#scheduler.trace,
    };
  }
}
