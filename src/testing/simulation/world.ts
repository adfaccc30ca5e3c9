// World
//
// Owns:      one seed from its beginning to its end: the processes and the clients outside.
// Does not:  know what a scenario is about (scenario.ts), what befalls the processes (one-machine.ts, several-hosts.ts), or
//            what to make of what is found (simulate.ts).
//
// V1  First a storm, in which faults strike; then calm, in which nothing goes wrong and every session must come to an end.
// V2  A process may die before any event of its own.

import type { RunEnd } from "../../actors/session-state.ts";
import type { RunOutcome } from "../../runtime/engine-api.ts";
import { Asks } from "./asks.ts";
import type { Canary } from "./canaries.ts";
import { between, streamFor } from "./chance.ts";
import { Clients } from "./clients.ts";
import { checkTheEnd } from "./end-checks.ts";
import { FaultPlan, type Fault, type FaultRates } from "./faults.ts";
import type { Check, Finding } from "./findings.ts";
import type { Fleet } from "./fleet.ts";
import { OneMachine } from "./one-machine.ts";
import { Observer } from "./observer.ts";
import type { Scenario } from "./scenario.ts";
import { Scheduler, Scope } from "./scheduler.ts";
import { SeveralHosts } from "./several-hosts.ts";
import type { Machine } from "./sim-machine.ts";

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
  /** Processes at a time. */
  readonly sites: number;
  /** How often a process was started. */
  readonly processes: number;
  readonly struck: readonly Fault[];
  readonly findings: readonly Finding[];
  /** Sessions by what their last run ended in. */
  readonly endings: Readonly<Record<string, number>>;
  /** What the sessions of the scenario ended in; nested ones are not among them. */
  readonly ends: readonly RunEnd[];
  /** Attempts of steps that were begun, and how many of those more than once. */
  readonly attempts: number;
  readonly repeatedAttempts: number;
  readonly trace: readonly string[] | undefined;
}

const FINDINGS_MAX = 20;
/** Events and simulated time of the storm, at most. */
const STORM_EVENTS_MAX = 1_200;
const STORM_MS_MAX = 240_000;
/** Within which everything must have ended once it is calm: far more than any run here can take. */
const CALM_EVENTS_MAX = 15_000;
/** Of each of several hosts: they look after each other now and then, and a clock may have someone wait for half an hour. */
const HOST_CALM_EVENTS_MAX = 40_000;
const CALM_MS_MAX = 12 * 3_600_000;
/** Events of one process between two looks at it. */
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
  readonly #asks: Asks;
  readonly #clients: Clients;
  readonly #fleet: Fleet;
  readonly #findings: Finding[] = [];
  readonly #stormEvents: number;
  readonly #outside = new Map<string, unknown>();
  #over = false;
  #calmSince: { readonly event: number; readonly ms: number } | undefined;

  /** @throws what a scenario throws that cannot start at all. */
  constructor(scenario: Scenario, options: SeedOptions) {
    const { seed } = options;
    const { hosts = 1 } = scenario;
    this.#options = options;
    this.#scenario = scenario;
    this.#scheduler = new Scheduler(streamFor(seed, "order"), { traced: options.traced ?? false });
    this.#faults = new FaultPlan(seed, options.rates, options.only);
    this.#machine = {
      scheduler: this.#scheduler,
      faults: this.#faults,
      random: streamFor(seed, "latency"),
      canary: options.canary,
      hosts,
      report: (check, message) => this.#report(check, message),
    };
    this.#stormEvents = between(streamFor(seed, "storm"), 50, STORM_EVENTS_MAX) * hosts;
    this.#observer = new Observer(this.#machine);
    this.#asks = new Asks(this.#machine);
    const parts = {
      machine: this.#machine,
      observer: this.#observer,
      asks: this.#asks,
      scenario,
      seed,
      scope: this.#scope,
      outside: this.#outside,
    };
    this.#fleet = hosts === 1 ? new OneMachine(parts) : new SeveralHosts(parts, hosts);
    this.#clients = new Clients({
      ...parts,
      host: (random) => this.#fleet.host(random),
      onOutcome: (sessionId, outcome) => this.#outcome(sessionId, outcome),
    });
  }

  async run(): Promise<SeedResult> {
    const stray = (error: unknown): void =>
      this.#report(
        "S10",
        `a promise was rejected and nobody noticed: ${error instanceof Error ? (error.stack ?? "") : String(error)}`,
      );
    process.on("unhandledRejection", stray);
    try {
      this.#fleet.begin();
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
    await checkTheEnd({
      fleet: this.#fleet,
      observer: this.#observer,
      told: this.#clients.told,
      asks: this.#asks,
      machine: this.#machine,
      beforeClosing: () => {
        this.#over = true;
        this.#fleet.end();
      },
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
    const { hosts } = this.#machine;
    const eventsMax = hosts > 1 ? HOST_CALM_EVENTS_MAX * hosts : CALM_EVENTS_MAX;
    if (executed - since.event < eventsMax && nowMs - since.ms < CALM_MS_MAX) return false;
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
    if (this.#fleet.befalls(event.scope)) return;
    event.run();
    if (this.#scheduler.executed % (LOOK_EVERY * this.#machine.hosts) === 0 && !this.#over) await this.#look();
  }

  #ended(): void {
    this.#calmSince = { event: -Infinity, ms: -Infinity };
  }

  #calm(): void {
    if (this.#faults.calmed) return;
    this.#faults.calm();
    this.#calmSince = { event: this.#scheduler.executed, ms: this.#scheduler.nowMs };
    this.#scheduler.trace?.push(`${this.#scheduler.nowMs} the storm is over`);
    this.#fleet.calm();
  }

  /** S5 in the middle of it all: what a live session holds is what its log came to, as far as its host knows. */
  async #look(): Promise<void> {
    let looking = true;
    for (const host of this.#fleet.up())
      for (const model of this.#observer.sessions()) {
        const known = host.bus.known(model.sessionId);
        if (known === undefined || known === 0 || !host.kernel.engine.isLive(model.sessionId)) continue;
        // Of one that is not live after all, the state is read from the store, and comes later.
        host.kernel.engine.state(model.sessionId).then(
          (state) => looking && model.compare(state, `the live session of ${host.scope.name}`, known),
          () => undefined,
        );
      }
    // Lets go of what waits for the answer, without an event.
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
      sites: this.#fleet.sites,
      processes: this.#fleet.processes,
      struck: this.#faults.struck,
      findings: this.#findings,
      endings,
      ends,
      attempts: this.#observer.attempts.size,
      repeatedAttempts: [...this.#observer.attempts.values()].filter((times) => times > 1).length,
      trace: this.#scheduler.trace,
    };
  }
}
