// Agent pool
//
// Owns:     up to `size` instances of one agent, made when first needed, each leased to one step at a time.
// Crossing: run() → acquire → instance.run → release.
//
// P1  An instance serves one lease at a time; a lease is given back in `finally`, however the step ended.
// P2  Who waits is served in the order of asking. The line holds at most `waitersMax`; beyond it asking is refused.
// P3  An instance whose lease was given back as `broken` is disposed and replaced by the next one made.
// P4  An instance whose step was aborted and that does not end within `abandonAfterMs` is given up: disposed and replaced,
//     so that an agent that heeds no signal holds up nobody. It is never lent again, whatever it still does.
// P5  `cleanup()` refuses everyone in line, waits for the leases that are out, then disposes every instance, once.

import { OrchestraError } from "../base/errors.ts";
import { systemClock, type Clock } from "../base/clock.ts";
import type { AgentContext, AgentFunction, MaybePromise, RunnableAgent } from "../runtime/agent.ts";
import {
  assertOptions,
  callable,
  check,
  countFrom0,
  durationMs,
  having,
  object,
  required,
} from "../runtime/option-schema.ts";
import { AGENT_OPTIONS, madeBy } from "./agent-options.ts";

/** What a pool holds: a function, or an object with `run`. */
export type PooledAgent = AgentFunction | { run(input: any, ctx: AgentContext): unknown };

export interface AgentPoolOptions<T extends PooledAgent> {
  readonly name: string;
  /** Instances at most. */
  readonly size: number;
  /** Makes instance number `index`, counted from 0 over the life of the pool. */
  readonly create: (index: number) => MaybePromise<T>;
  /** Lets go of an instance; called once for each. */
  readonly dispose?: (instance: T) => MaybePromise<void>;
  /** How long a step waits for an instance, in milliseconds; `false` for ever. Default 30_000. */
  readonly acquireTimeoutMs?: number | false;
  /** Steps waiting at most; more are refused at once with ORCH_OVERLOADED. Default 10_000. */
  readonly waitersMax?: number;
  /** How long an instance may go on after its step was aborted, in milliseconds; `false` for ever. Default 5_000. */
  readonly abandonAfterMs?: number | false;
  readonly clock?: Clock;
}

export const DEFAULT_POOL_OPTIONS = Object.freeze({
  acquireTimeoutMs: 30_000,
  waitersMax: 10_000,
  abandonAfterMs: 5_000,
});

const SCHEMA = object({
  name: AGENT_OPTIONS.name,
  size: required((value) => Number.isInteger(value) && Number(value) >= 1, "a whole number from 1"),
  create: required((value) => typeof value === "function", "a function"),
  dispose: callable,
  acquireTimeoutMs: durationMs,
  waitersMax: countFrom0,
  abandonAfterMs: check(
    (value) => value === false || (Number.isFinite(value) && Number(value) >= 0),
    "milliseconds from 0, or false",
  ),
  clock: having("a Clock", "setTimer"),
});

export interface AgentPoolStatistics {
  readonly size: number;
  /** Instances that exist now. */
  readonly created: number;
  readonly inUse: number;
  readonly idle: number;
  readonly waiting: number;
  /** Leases given since the pool was made. */
  readonly leases: number;
  readonly timeouts: number;
  /** Instances given up because they went on after their step was aborted. */
  readonly abandoned: number;
  /** Most leases that were out at one moment. */
  readonly peakInUse: number;
}

/** One instance on loan. */
export interface Lease<T> {
  readonly instance: T;
  /** Gives it back; may be called twice. `broken`: it is disposed instead of lent again. */
  release(options?: { broken?: boolean }): void;
}

interface Waiter {
  readonly serve: () => void;
  readonly refuse: (error: unknown) => void;
}

export class AgentPool<T extends PooledAgent = PooledAgent> implements RunnableAgent {
  readonly name: string;
  readonly size: number;
  readonly #options: AgentPoolOptions<T>;
  readonly #clock: Clock;
  readonly #idle: T[] = [];
  readonly #line: Waiter[] = [];
  readonly #disposals = new Set<Promise<void>>();
  #slots = 0;
  #nextIndex = 0;
  #made = 0;
  #inUse = 0;
  #leases = 0;
  #timeouts = 0;
  #abandoned = 0;
  #peakInUse = 0;
  #closing: Promise<void> | undefined;
  #drained: (() => void) | undefined;

  /** @throws {OrchestraError} `ORCH_BAD_OPTION` */
  constructor(options: AgentPoolOptions<T>) {
    assertOptions(SCHEMA, options, madeBy("AgentPool", options));
    const { name, size } = options;
    this.name = name;
    this.size = size;
    this.#options = options;
    this.#clock = options.clock ?? systemClock();
  }

  /** Lends an instance for the length of one step. */
  async run(input: unknown, ctx: AgentContext): Promise<unknown> {
    const lease = await this.acquire({ signal: ctx.signal });
    const stay = this.#abandonOnAbort(lease, ctx.signal);
    try {
      return typeof lease.instance === "function"
        ? await lease.instance(input, ctx)
        : await lease.instance.run(input, ctx);
    } finally {
      stay();
      lease.release();
    }
  }

  /** P4. Returns the way to call it off. */
  #abandonOnAbort(lease: Lease<T>, signal: AbortSignal): () => void {
    const { abandonAfterMs = DEFAULT_POOL_OPTIONS.abandonAfterMs } = this.#options;
    if (abandonAfterMs === false) return () => undefined;
    let cancelTimer: (() => void) | undefined;
    const abandon = (): void => {
      this.#abandoned++;
      lease.release({ broken: true });
    };
    const onAbort = (): void => {
      cancelTimer = this.#clock.setTimer(abandonAfterMs, abandon);
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    return () => {
      cancelTimer?.();
      signal.removeEventListener("abort", onAbort);
    };
  }

  /**
   * Lends an instance, in the order of asking.
   *
   * @throws {OrchestraError} `ORCH_POOL_TIMEOUT` after `acquireTimeoutMs`, `ORCH_OVERLOADED` when the line is full,
   *   `ORCH_CLOSED` after `cleanup()`, `ORCH_CANCELLED` when `signal` aborts; whatever `create` throws.
   */
  async acquire({ signal }: { signal?: AbortSignal } = {}): Promise<Lease<T>> {
    await this.#slot(signal);
    this.#inUse++;
    this.#leases++;
    this.#peakInUse = Math.max(this.#peakInUse, this.#inUse);
    try {
      const instance = this.#idle.pop() ?? (await this.#create());
      return this.#lease(instance);
    } catch (error) {
      this.#returnSlot();
      throw error;
    }
  }

  statistics(): AgentPoolStatistics {
    return {
      size: this.size,
      created: this.#made,
      inUse: this.#inUse,
      idle: this.#idle.length,
      waiting: this.#line.length,
      leases: this.#leases,
      timeouts: this.#timeouts,
      abandoned: this.#abandoned,
      peakInUse: this.#peakInUse,
    };
  }

  /**
   * Refuses who waits, lets the leases that are out come back, then disposes every instance. Idempotent.
   *
   * @throws {AggregateError} of what `dispose` threw; the other instances are disposed nevertheless.
   */
  cleanup(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.cleanup();
  }

  // Resolves once a slot is ours.
  #slot(signal: AbortSignal | undefined): Promise<void> {
    if (this.#closing !== undefined) return Promise.reject(closed(this.name));
    if (signal?.aborted) return Promise.reject(cancelled(this.name));
    if (this.#slots < this.size) {
      this.#slots++;
      return Promise.resolve();
    }
    const { acquireTimeoutMs = DEFAULT_POOL_OPTIONS.acquireTimeoutMs, waitersMax = DEFAULT_POOL_OPTIONS.waitersMax } =
      this.#options;
    if (this.#line.length >= waitersMax) {
      return Promise.reject(
        new OrchestraError(
          "ORCH_OVERLOADED",
          `pool "${this.name}": ${this.#line.length} steps wait already (waitersMax ${waitersMax})`,
        ),
      );
    }
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        cancelTimer?.();
        signal?.removeEventListener("abort", onAbort);
        const place = this.#line.indexOf(waiter);
        if (place >= 0) this.#line.splice(place, 1);
      };
      const refuse = (error: unknown): void => {
        leave();
        reject(error);
      };
      const waiter: Waiter = {
        serve: () => {
          leave();
          resolve();
        },
        refuse,
      };
      const onAbort = (): void => refuse(cancelled(this.name));
      const onTimeout = (): void => {
        this.#timeouts++;
        refuse(
          new OrchestraError(
            "ORCH_POOL_TIMEOUT",
            `pool "${this.name}": no instance came free within ${String(acquireTimeoutMs)} ms (size ${this.size})`,
            { details: { pool: this.name, size: this.size } },
          ),
        );
      };
      const cancelTimer = acquireTimeoutMs === false ? undefined : this.#clock.setTimer(acquireTimeoutMs, onTimeout);
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#line.push(waiter);
    });
  }

  async #create(): Promise<T> {
    const index = this.#nextIndex++;
    const instance = await this.#options.create(index);
    this.#made++;
    return instance;
  }

  #lease(instance: T): Lease<T> {
    let out = true;
    return {
      instance,
      release: ({ broken = false } = {}) => {
        if (!out) return;
        out = false;
        if (broken) this.#discard(instance);
        else this.#idle.push(instance);
        this.#returnSlot();
      },
    };
  }

  #discard(instance: T): void {
    this.#made--;
    const disposal = Promise.resolve(instance).then((gone) => this.#options.dispose?.(gone));
    this.#disposals.add(disposal);
    // A failure is kept for cleanup(), which reports all of them.
    disposal.then(
      () => this.#disposals.delete(disposal),
      () => undefined,
    );
  }

  // The slot goes straight to the first in line, so nobody can overtake (P2).
  #returnSlot(): void {
    this.#inUse--;
    const first = this.#line[0];
    if (first !== undefined) first.serve();
    else this.#slots--;
    if (this.#inUse === 0 && this.#closing !== undefined) this.#drained?.();
  }

  async #close(): Promise<void> {
    for (const waiter of [...this.#line]) waiter.refuse(closed(this.name));
    if (this.#inUse > 0) await new Promise<void>((resolve) => (this.#drained = resolve));
    for (const instance of this.#idle.splice(0)) this.#discard(instance);
    const ended = await Promise.allSettled([...this.#disposals]);
    const failures = ended.flatMap((end) => (end.status === "rejected" ? [end.reason as unknown] : []));
    if (failures.length > 0)
      throw new AggregateError(failures, `pool "${this.name}": ${failures.length} instance(s) could not be disposed`);
  }
}

function closed(name: string): OrchestraError {
  return new OrchestraError("ORCH_CLOSED", `pool "${name}" was cleaned up`);
}

function cancelled(name: string): OrchestraError {
  return new OrchestraError("ORCH_CANCELLED", `pool "${name}": the wait for an instance was cancelled`);
}
