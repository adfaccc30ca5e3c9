// The ports of the bus on a real server, with bounds that tests can wait for.

import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../../src/base/clock.ts";
import { streamOfBucket } from "../../src/nats/assets.ts";
import { createBusPorts, type BusPorts, type BusTuning } from "../../src/nats/bus-ports.ts";
import { createLink, type NatsLink } from "../../src/nats/link.ts";
import type { NatsParts } from "../../src/nats/parts.ts";
import { resolveBusOptions, type NatsBusOptions } from "../../src/nats/options.ts";
import { createSpill } from "../../src/nats/spill.ts";
import type { Logger } from "../../src/base/logger.ts";

export interface BusWorld extends NatsParts {
  readonly ports: BusPorts;
  readonly tick: (ms: number) => Promise<void>;
  close(): Promise<void>;
}

export interface BusWorldOptions extends Partial<NatsBusOptions> {
  readonly tuning?: Partial<BusTuning>;
  readonly leaseMs?: number;
  readonly replicas?: 1 | 3;
  /** Empties the streams at the end, for who takes the same tenant again: on a cluster new ones take their time. */
  readonly wipe?: boolean;
}

let tenants = 0;

/** A name nobody on the server has used: what one test leaves behind no other sees. */
export function freshTenant(): string {
  return `t${process.pid}-${++tenants}`;
}

/** One host. Several with the same tenant share a bus. */
export async function openBus(
  servers: string | readonly string[],
  { tuning, leaseMs = 1_000, replicas, wipe = false, ...options }: BusWorldOptions = {},
): Promise<BusWorld> {
  const settings = resolveBusOptions({
    servers,
    tenant: freshTenant(),
    init: { leaseMs, ...(replicas !== undefined && { replicas }) },
    ackWaitMs: 1_000,
    maxDelivery: 3,
    renewMs: 250,
    clock: systemClock(),
    connectTimeoutMs: 60_000,
    ...options,
  });
  const link = createLink(settings);
  const parts: NatsParts = { link, spill: createSpill(link), settings };
  await link.connected();
  const ports = createBusPorts(parts, {
    queueCapacity: 32,
    mailboxCapacity: 8,
    journalPatienceMs: 300,
    ...tuning,
  });
  return {
    ...parts,
    ports,
    tick: (ms) => sleep(ms),
    async close() {
      await ports.close();
      if (wipe) await wipeBus(link);
      await link.close();
    },
  };
}

async function wipeBus(link: NatsLink): Promise<void> {
  const { jsm } = await link.connected();
  const { streams } = link.names;
  for (const stream of [streams.work, streams.dead])
    for await (const { name } of jsm.consumers.list(stream)) await jsm.consumers.delete(stream, name);
  const all = [...Object.values(streams), streamOfBucket(link.names.buckets.hosts)];
  await Promise.all(all.map((stream) => jsm.streams.purge(stream)));
}

export interface Logged {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly fields: Record<string, unknown>;
  readonly message: string;
}

/** Keeps what is logged. */
export function keepingLogger(): { readonly logger: Logger; readonly logged: readonly Logged[] } {
  const logged: Logged[] = [];
  const at =
    (level: Logged["level"]) =>
    (fields: Record<string, unknown>, message: string): void =>
      void logged.push({ level, fields, message });
  const logger: Logger = {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: () => logger,
  };
  return { logger, logged };
}
