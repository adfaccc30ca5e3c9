// Several hosts and instances in one process, as they are on several machines: one bus and one store under them, each with
// a hold of its own on the store, all on one simulated clock.

import { createLocalBus } from "../../src/bus/local-bus.ts";
import type { Bus, HostInfo, Lease, Liveness } from "../../src/bus/ports.ts";
import { OrchestraHost, type HostOptions } from "../../src/runtime/orchestra-host.ts";
import { OrchestraInstance } from "../../src/runtime/orchestra-instance.ts";
import type { InstanceOptions, SharedBus } from "../../src/runtime/run-options.ts";
import { memoryStorage } from "../../src/state/memory-store.ts";
import type { SessionStore } from "../../src/state/ports.ts";
import { SimClock } from "../../src/testing/sim-clock.ts";
import type { Clock } from "../../src/base/clock.ts";

export class ClusterWorld {
  readonly clock = new SimClock();
  readonly store = memoryStorage();
  readonly bus: Bus;
  readonly #opened: { close(): Promise<void> }[] = [];

  constructor(bus: (clock: Clock) => Bus = (clock) => createLocalBus({ clock, ackWaitMs: 30_000, maxDelivery: 4 })) {
    this.bus = bus(this.clock);
  }

  /** As a process of its own would have it. */
  sharedBus(): SharedBus {
    return { ...this.bus, sessions: own(this.store) };
  }

  /** Serves by the time this resolves. */
  async host(options: Omit<HostOptions, "bus">): Promise<OrchestraHost> {
    const host = this.unstarted(options);
    await this.until(host.start());
    return host;
  }

  unstarted({ liveness, ...options }: Omit<HostOptions, "bus"> & { liveness?: Liveness }): OrchestraHost {
    const bus = { ...this.sharedBus(), ...(liveness !== undefined && { liveness }) };
    const host = new OrchestraHost({ clock: this.clock, ...options, bus });
    this.#opened.push(host);
    return host;
  }

  instance({
    liveness,
    sessions,
    ...options
  }: Omit<InstanceOptions, "bus"> & { liveness?: Liveness; sessions?: SessionStore }): OrchestraInstance {
    const shared = this.sharedBus();
    const bus = { ...shared, liveness: liveness ?? shared.liveness, ...(sessions !== undefined && { sessions }) };
    const instance = new OrchestraInstance({ clock: this.clock, ...options, bus });
    this.#opened.push(instance);
    return instance;
  }

  /** Lets time pass until `promise` settles. @throws when it does not within `withinMs`. */
  async until<T>(promise: Promise<T>, withinMs = 120_000): Promise<T> {
    let settled = false;
    const settle = (): void => void (settled = true);
    promise.then(settle, settle);
    for (let passedMs = 0; !settled; passedMs += STEP_MS) {
      if (passedMs > withinMs) throw new Error(`waited ${withinMs} simulated ms in vain`);
      await this.clock.advance(STEP_MS);
    }
    return promise;
  }

  async untilTrue(what: string, holds: () => boolean | Promise<boolean>, withinMs = 120_000): Promise<void> {
    for (let passedMs = 0; !(await holds()); passedMs += STEP_MS) {
      if (passedMs > withinMs) throw new Error(`waited ${withinMs} simulated ms in vain: ${what}`);
      await this.clock.advance(STEP_MS);
    }
  }

  async close(): Promise<void> {
    for (const one of this.#opened.reverse()) await this.until(one.close());
    await this.bus.close();
  }
}

const STEP_MS = 50;

/**
 * The time and the lease of a process that can be stopped, as by SIGSTOP: its timers fire late, and its lease runs out. What
 * the bus tells it in this process still reaches it.
 */
export class StoppableProcess {
  readonly #clock: Clock;
  readonly #late: (() => void)[] = [];
  readonly #holders = new Set<(held: boolean) => void>();
  readonly #liveness: Liveness;
  #info: HostInfo | undefined;
  #lease: Lease | undefined;
  #stopped = false;

  constructor({ clock, bus }: { readonly clock: Clock; readonly bus: Bus }) {
    this.#clock = clock;
    this.#liveness = bus.liveness;
  }

  readonly clock: Clock = {
    nowMs: () => this.#clock.nowMs(),
    monotonicMs: () => this.#clock.monotonicMs(),
    setTimer: (delayMs, fire) => {
      let wanted = true;
      const cancel = this.#clock.setTimer(delayMs, () => {
        if (this.#stopped) this.#late.push(() => wanted && fire());
        else fire();
      });
      return () => {
        wanted = false;
        cancel();
      };
    },
  };

  readonly liveness: Liveness = {
    alive: () => this.#liveness.alive(),
    watch: (onChange) => this.#liveness.watch(onChange),
    announce: async (info) => {
      this.#info = info;
      this.#lease = await this.#liveness.announce(info);
      return {
        held: {
          now: () => !this.#stopped,
          watch: (onChange) => {
            this.#holders.add(onChange);
            return () => void this.#holders.delete(onChange);
          },
        },
        update: async (change) => this.#lease?.update(change),
        release: async () => this.#lease?.release(),
      };
    },
  };

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#lease?.release();
  }

  async goOn(): Promise<void> {
    for (const holder of this.#holders) holder(false);
    this.#stopped = false;
    if (this.#info !== undefined) this.#lease = await this.#liveness.announce(this.#info);
    for (const holder of this.#holders) holder(true);
    for (const fire of this.#late.splice(0)) fire();
  }
}

/** As a process of its own has it. `append` takes the place of the store's. */
export function own(store: SessionStore, append?: SessionStore["append"]): SessionStore {
  return new Proxy(store, {
    get(target, key) {
      const value: unknown = key === "append" && append !== undefined ? append : Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
