// Local liveness
//
// A host is alive while its lease is: `LEASE_TTL_MS` from the last renewal, on the clock that never runs backwards.
// The lease renews itself every `RENEW_EVERY_MS` until it is released. The renewals of one host also find the
// leases of others that have run out, so that no timer runs unless a host is announced.

import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import { closedError } from "./closed-error.ts";
import type { HostInfo, Lease, Liveness } from "./ports.ts";

export const LEASE_TTL_MS = 15_000;
const RENEW_EVERY_MS = 4_000;
/** A host that has not renewed for this long begins nothing any more: it may be taken for dead before it knows. */
const HELD_MS = 0.6 * LEASE_TTL_MS;

interface Held {
  info: HostInfo;
  renewedAtMs: number;
  cancelRenewal: () => void;
  readonly holders: Set<{ readonly onChange: (held: boolean) => void }>;
}

type Watcher = (hosts: readonly HostInfo[]) => void;

export class LocalLiveness implements Liveness {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #hosts = new Map<string, Held>();
  readonly #watchers = new Set<{ readonly onChange: Watcher }>();
  #closed = false;

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** A host that announces itself again under the same name replaces its earlier lease. */
  async announce(info: HostInfo): Promise<Lease> {
    if (this.#closed) throw closedError(`announce of host "${info.host}"`);
    this.#hosts.get(info.host)?.cancelRenewal();
    const held: Held = {
      info,
      renewedAtMs: this.#clock.monotonicMs(),
      cancelRenewal: () => undefined,
      holders: new Set(),
    };
    this.#hosts.set(info.host, held);
    this.#renew(held);
    this.#changed();
    return {
      held: {
        now: () => this.#hosts.get(held.info.host) === held && this.#isFresh(held),
        watch(onChange) {
          const holder = { onChange };
          held.holders.add(holder);
          return () => void held.holders.delete(holder);
        },
      },
      update: async (change) => {
        if (this.#hosts.get(held.info.host) !== held) return;
        held.info = { ...held.info, ...change, host: held.info.host };
        this.#changed();
      },
      release: async () => {
        held.cancelRenewal();
        if (this.#hosts.get(held.info.host) !== held) return;
        this.#hosts.delete(held.info.host);
        this.#changed();
      },
    };
  }

  async alive(): Promise<readonly HostInfo[]> {
    return this.#alive();
  }

  watch(onChange: Watcher): () => void {
    const watcher = { onChange };
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  close(): void {
    this.#closed = true;
    for (const held of this.#hosts.values()) held.cancelRenewal();
    this.#hosts.clear();
    this.#watchers.clear();
  }

  #alive(): readonly HostInfo[] {
    const nowMs = this.#clock.monotonicMs();
    return [...this.#hosts.values()].filter((held) => nowMs - held.renewedAtMs < LEASE_TTL_MS).map((held) => held.info);
  }

  #isFresh(held: Held): boolean {
    return this.#clock.monotonicMs() - held.renewedAtMs < HELD_MS;
  }

  /** Comes late where the process was stopped meanwhile: then it is told that it was not held, and that it is again. */
  #renew(held: Held): void {
    const nowMs = this.#clock.monotonicMs();
    const wasLate = !this.#isFresh(held);
    held.renewedAtMs = nowMs;
    if (wasLate) this.#tellHolders(held);
    held.cancelRenewal = this.#clock.setTimer(RENEW_EVERY_MS, () => this.#renew(held));
    let lost = false;
    for (const [host, other] of this.#hosts) {
      if (nowMs - other.renewedAtMs < LEASE_TTL_MS) continue;
      other.cancelRenewal();
      this.#hosts.delete(host);
      lost = true;
    }
    if (lost) this.#changed();
  }

  #tellHolders({ info, holders }: Held): void {
    for (const isHeld of [false, true])
      for (const { onChange } of holders) {
        try {
          onChange(isHeld);
        } catch (error) {
          this.#logger.error({ host: info.host, error }, "watcher of a lease threw");
        }
      }
  }

  #changed(): void {
    queueMicrotask(() => {
      const hosts = this.#alive();
      for (const { onChange } of this.#watchers) {
        try {
          onChange(hosts);
        } catch (error) {
          this.#logger.error({ error }, "liveness watcher threw");
        }
      }
    });
  }
}
