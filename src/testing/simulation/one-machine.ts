// One machine: a process with a disk and a bus of its own, started again whenever it has died. What is on the disk is the next one's.

import { LevelStorage } from "../../state/level-store.ts";
import { between, chance, streamFor } from "./chance.ts";
import type { Fleet, FleetParts } from "./fleet.ts";
import { ObservedStore } from "./observed-store.ts";
import type { Scope } from "./scheduler.ts";
import { SimBus } from "./sim-bus.ts";
import { diskFor } from "./sim-database.ts";
import { SimDisk } from "./sim-disk.ts";
import { HostGone, SimHost } from "./sim-host.ts";
import type { Process } from "./sim-machine.ts";

const DOWNTIME_MS_MAX = 20_000;

export class OneMachine implements Fleet {
  readonly sites = 1;
  readonly #parts: FleetParts;
  readonly #disk = new SimDisk();
  readonly #awaiting: ((host: SimHost) => void)[] = [];
  #host: SimHost;
  #bus: SimBus | undefined;
  #isOpen = false;
  #processes = 0;
  #over = false;

  /** @throws what a scenario throws that cannot start at all. */
  constructor(parts: FleetParts) {
    this.#parts = parts;
    this.#host = this.#newHost();
  }

  get processes(): number {
    return this.#processes;
  }

  get damaged(): boolean {
    return this.#disk.damaged;
  }

  begin(): void {
    void this.#keepUp();
  }

  end(): void {
    this.#over = true;
  }

  host(): Promise<SimHost> {
    if (this.#isOpen) return Promise.resolve(this.#host);
    return new Promise((resolve) => this.#awaiting.push(resolve));
  }

  up(): readonly SimHost[] {
    return this.#isOpen ? [this.#host] : [];
  }

  befalls(scope: Scope): boolean {
    const host = this.#host;
    if (scope !== host.scope) return false;
    const { faults, scheduler } = this.#parts.machine;
    const jump = faults.strikes("clock-jump");
    if (jump !== undefined) scheduler.jumpWall(between(jump, -3_600_000, 3_600_000));
    if (faults.strikes("process-crash") !== undefined) {
      this.#crash(host, "process-crash");
      return true;
    }
    // What `process` promises is to outlive the process, and no more.
    if (this.#parts.scenario.durability === "disk" && faults.strikes("power-loss") !== undefined) {
      this.#crash(host, "power-loss");
      return true;
    }
    return false;
  }

  calm(): void {
    this.#disk.mend();
    // In one half of the seeds what the storm left behind must recover without a new process.
    if (chance(streamFor(this.#parts.seed, "calm"), 0.5)) this.#crash(this.#host, "process-crash");
  }

  async left(sessionIds: readonly string[]): Promise<readonly string[]> {
    return (await this.#bus?.left(sessionIds)) ?? [];
  }

  #crash(host: SimHost, why: Parameters<Process["crash"]>[0]): void {
    if (!host.scope.alive) return;
    const { scheduler, faults } = this.#parts.machine;
    scheduler.trace?.push(`${scheduler.nowMs} ${host.scope.name} dies: ${why}`);
    this.#isOpen = false;
    host.scope.die();
    this.#parts.observer.processDied();
    if (why === "power-loss") this.#disk.losePower(streamFor(this.#parts.seed, "power", host.scope.name));
    const flip = faults.strikes("bit-flip");
    if (flip === undefined) return;
    const key = this.#disk.flipBit(flip);
    scheduler.trace?.push(`${scheduler.nowMs} disk: a bit of ${key ?? "nothing"} changes`);
  }

  #newHost(): SimHost {
    const { machine, observer, scenario, seed, outside } = this.#parts;
    return new SimHost(`process-${++this.#processes}`, {
      machine,
      observer,
      scenario,
      seed,
      outside,
      role: "alone",
      aheadMs: () => 0,
      crash: (host, why) => this.#crash(host, why),
      ground: (host, parts) => {
        const bus = new SimBus(host, observer, parts);
        this.#bus = bus;
        const { durability } = scenario;
        const storage = (): LevelStorage =>
          new LevelStorage("sim", { durability, disk: diskFor(host, this.#disk), logger: parts.logger });
        return { bus, storage: () => new ObservedStore(storage(), host, observer) };
      },
    });
  }

  async #keepUp(): Promise<void> {
    const { machine, observer, asks, seed, scope } = this.#parts;
    for (let host = this.#host; !this.#over; host = this.#host = this.#newHost()) {
      try {
        await asks.ask(host, "opening of the store", () => host.open());
        this.#isOpen = true;
        for (const tell of this.#awaiting.splice(0)) tell(host);
        await host.until(new Promise<never>(() => undefined));
      } catch (error) {
        this.#isOpen = false;
        if (!(error instanceof HostGone)) {
          host.scope.die();
          observer.processDied();
          // Its operator puts back a copy.
          this.#disk.mend();
        }
      }
      const random = streamFor(seed, "downtime", host.scope.name);
      await machine.scheduler.sleep(scope, chance(random, 0.5) ? 0 : between(random, 1, DOWNTIME_MS_MAX), "down");
    }
  }
}
