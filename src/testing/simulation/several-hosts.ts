// Several hosts: processes on machines of their own, on one network, with their sessions on the bus.
//
// H1  Each may die and be started again after a while, stand still and go on, be cut off and come back, and have a clock that
//     is ahead or behind, each by itself.
// H2  Once it is calm those that are needed are up and connected. One may stay away for good: the others must do without.

import type { Random } from "../../base/random.ts";
import { silentLogger } from "../../base/logger.ts";
import { memoryStorage } from "../../state/memory-store.ts";
import { between, chance, pick, streamFor } from "./chance.ts";
import type { Fleet, FleetParts } from "./fleet.ts";
import { NetworkBus } from "./network-bus.ts";
import type { Scope } from "./scheduler.ts";
import { HostGone, SimHost } from "./sim-host.ts";
import type { Connection, Cut } from "./sim-network.ts";
import { SimServer } from "./sim-server.ts";

const DOWNTIME_MS_MAX = 30_000;
const FREEZE_MS_MAX = 60_000;
const CUT_MS_MAX = 60_000;
const AWAY_MS_MAX = 10_000;
/** How far a clock may be ahead or behind. Nobody waits for longer than twice as long because of it. */
const AHEAD_MS_MAX = 15 * 60_000;
const CUTS: readonly Cut[] = ["to the bus", "from the bus", "both", "both"];

/** One machine, with one process after another. */
interface Site {
  readonly name: string;
  readonly role: "host" | "client";
  host: SimHost;
  connection: Connection | undefined;
  isOpen: boolean;
  aheadMs: number;
  incarnation: number;
  /** It is not started again. */
  isGone: boolean;
}

export class SeveralHosts implements Fleet {
  readonly damaged = false;
  readonly #parts: FleetParts;
  readonly #server: SimServer;
  readonly #sites: Site[];
  readonly #awaiting: (() => void)[] = [];
  /** Names of processes that died. */
  readonly #died = new Set<string>();
  #processes = 0;
  #over = false;

  /** @throws what a scenario throws that cannot start at all. */
  constructor(parts: FleetParts, hosts: number) {
    this.#parts = parts;
    const { machine, observer, seed } = parts;
    this.#server = new SimServer(machine, observer, silentLogger, seed);
    const random = streamFor(seed, "sites");
    this.#sites = Array.from({ length: hosts }, (_, i) => this.#site(`host-${i + 1}`, "host", random));
    if (chance(random, 0.5)) this.#sites.push(this.#site("client", "client", random));
  }

  get sites(): number {
    return this.#sites.length;
  }

  get processes(): number {
    return this.#processes;
  }

  begin(): void {
    for (const site of this.#sites) void this.#keepUp(site);
  }

  end(): void {
    this.#over = true;
  }

  async host(random?: Random): Promise<SimHost> {
    for (;;) {
      const up = this.up();
      if (up.length > 0) return random === undefined ? (up[0] as SimHost) : pick(random, up);
      await new Promise<void>((resolve) => this.#awaiting.push(resolve));
    }
  }

  up(): readonly SimHost[] {
    return this.#sites.filter(({ isOpen }) => isOpen).map(({ host }) => host);
  }

  befalls(scope: Scope): boolean {
    const { faults } = this.#parts.machine;
    const site = this.#sites.find(({ host }) => host.scope === scope);
    if (site === undefined) return false;
    const jump = faults.strikes("clock-jump");
    if (jump !== undefined) site.aheadMs = between(jump, -AHEAD_MS_MAX, AHEAD_MS_MAX);
    const away = faults.strikes("bus-away");
    if (away !== undefined) this.#goAway(between(away, 100, AWAY_MS_MAX));
    const cut = faults.strikes("partition");
    if (cut !== undefined) this.#cut(site, pick(cut, CUTS), between(cut, 100, CUT_MS_MAX));
    const frozen = faults.strikes("freeze");
    if (frozen !== undefined) this.#freeze(site, between(frozen, 100, FREEZE_MS_MAX));
    if (faults.strikes("process-crash") !== undefined) {
      this.#crash(site);
      return true;
    }
    return false;
  }

  calm(): void {
    const random = streamFor(this.#parts.seed, "calm");
    this.#server.network.away = false;
    for (const site of this.#sites) {
      this.#thaw(site);
      site.connection?.cut("nothing");
    }
    if (chance(random, 0.3)) {
      const gone = pick(random, this.#sites);
      gone.isGone = true;
      this.#crash(gone);
    }
    if (chance(random, 0.5)) for (const site of this.#sites) this.#crash(site);
  }

  /**
   * A bus that lost or delayed something may keep a step that nobody needs any more. Who dies between the end of a run and
   * letting go of its last result leaves that to the bus, which keeps none for ever, and to the removal of the session.
   */
  async left(sessionIds: readonly string[]): Promise<readonly string[]> {
    const { struck } = this.#parts.machine.faults;
    if (struck.length > 0) return [];
    const left: string[] = [];
    const depth = this.#server.bus.steps.depth();
    if (depth > 0) left.push(`${depth} steps in the queue`);
    const { observer } = this.#parts;
    for (const sessionId of sessionIds.filter((id) => !this.#died.has(observer.session(id).endedBy ?? "")))
      for (const result of await this.#server.bus.results.list(sessionId))
        if (!this.#server.tooLate.has(result))
          left.push(`the result of attempt ${result.attempt} of step ${result.stepId} of session ${sessionId}`);
    return left;
  }

  #site(name: string, role: Site["role"], random: Random): Site {
    const aheadMs = chance(random, 0.3) ? between(random, -60_000, 60_000) : 0;
    const site: Omit<Site, "host"> & { host?: SimHost } = {
      name,
      role,
      connection: undefined,
      isOpen: false,
      aheadMs,
      incarnation: 0,
      isGone: false,
    };
    site.host = this.#newHost(site as Site);
    return site as Site;
  }

  #newHost(site: Site): SimHost {
    const { machine, observer, scenario, seed, outside } = this.#parts;
    this.#processes++;
    return new SimHost(`${site.name}.${++site.incarnation}`, {
      machine,
      observer,
      scenario,
      seed,
      outside,
      role: site.role,
      aheadMs: () => site.aheadMs,
      crash: () => this.#crash(site),
      ground: (host, parts) => {
        site.connection = this.#server.network.connect(host);
        const localFirst = chance(streamFor(seed, "local first"), 0.5);
        const bus = new NetworkBus(this.#server, site.connection, { ...parts, localFirst });
        return { bus, storage: () => memoryStorage() };
      },
    });
  }

  async #keepUp(site: Site): Promise<void> {
    const { machine, asks, seed, scope } = this.#parts;
    while (!this.#over && !site.isGone) {
      const { host } = site;
      try {
        await asks.ask(host, `opening of ${host.scope.name}`, () => host.open());
        site.isOpen = true;
        for (const tell of this.#awaiting.splice(0)) tell();
        await host.until(new Promise<never>(() => undefined));
      } catch (error) {
        site.isOpen = false;
        if (!(error instanceof HostGone)) host.scope.die();
      }
      const random = streamFor(seed, "downtime", host.scope.name);
      await machine.scheduler.sleep(scope, chance(random, 0.5) ? 0 : between(random, 1, DOWNTIME_MS_MAX), "down");
      if (!this.#over && !site.isGone) site.host = this.#newHost(site);
    }
  }

  #crash(site: Site): void {
    const { host } = site;
    if (!host.scope.alive) return;
    this.#trace(`${host.scope.name} dies`);
    site.isOpen = false;
    this.#died.add(host.scope.name);
    this.#parts.machine.scheduler.thaw(host.scope);
    host.scope.die();
  }

  #freeze(site: Site, ms: number): void {
    const { scheduler } = this.#parts.machine;
    const { host } = site;
    this.#trace(`${host.scope.name} stands still for ${ms} ms`);
    scheduler.freeze(host.scope);
    site.connection?.reachChanged();
    scheduler.after(this.#parts.scope, ms, `${host.scope.name} goes on`, () => {
      if (site.host === host) this.#thaw(site);
    });
  }

  #thaw(site: Site): void {
    if (!site.host.scope.frozen) return;
    this.#parts.machine.scheduler.thaw(site.host.scope);
    site.connection?.reachChanged();
  }

  #cut(site: Site, cut: Cut, ms: number): void {
    const { connection } = site;
    this.#trace(`${site.host.scope.name} is cut off for ${ms} ms: ${cut}`);
    connection?.cut(cut);
    this.#parts.machine.scheduler.after(this.#parts.scope, ms, `${site.name} is back`, () =>
      connection?.cut("nothing"),
    );
  }

  #goAway(ms: number): void {
    const { network } = this.#server;
    this.#trace(`the bus is away for ${ms} ms`);
    network.away = true;
    this.#parts.machine.scheduler.after(this.#parts.scope, ms, "the bus is back", () => (network.away = false));
  }

  #trace(what: string): void {
    const { scheduler } = this.#parts.machine;
    scheduler.trace?.push(`${scheduler.nowMs} ${what}`);
  }
}

/** How many hosts a seed has: one, or two and more up to `hostsMax`. */
export function hostsOf(seed: number, hostsMax: number): number {
  return hostsMax <= 1 ? 1 : between(streamFor(seed, "hosts"), 2, hostsMax);
}
