// The NATS servers that the cluster is measured on, and what they cost.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { natsBus } from "orchestra/nats";
import { startCluster } from "../test/support/nats-cluster.ts";
import { type NatsServer, startNats } from "../test/support/nats.ts";

export interface Setting {
  readonly id: string;
  readonly name: string;
  readonly keeps: string;
  readonly replicas: 1 | 3;
  readonly syncAlways: boolean;
}

export const R1: Setting = {
  id: "nats-1",
  name: "one server",
  keeps: "every step, past kill -9",
  replicas: 1,
  syncAlways: false,
};
export const R1_SYNC: Setting = {
  id: "nats-1-sync",
  name: "one server, `sync_interval: always`",
  keeps: "every step, past loss of power",
  replicas: 1,
  syncAlways: true,
};
export const R3: Setting = {
  id: "nats-3",
  name: "three servers",
  keeps: "every step, past loss of a machine",
  replicas: 3,
  syncAlways: false,
};
export const R3_SYNC: Setting = {
  id: "nats-3-sync",
  name: "three servers, `sync_interval: always`",
  keeps: "every step, past loss of a machine, and of power everywhere",
  replicas: 3,
  syncAlways: true,
};

export interface BenchServers {
  readonly urls: readonly string[];
  /** Of all servers together since they started, in microseconds. Linux only; NaN elsewhere. */
  cpuMicros(): number;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Current servers, whatever is installed: the figures belong to a version. */
export async function startServers({
  replicas,
  syncAlways,
}: Pick<Setting, "replicas" | "syncAlways">): Promise<BenchServers> {
  if (replicas === 3) {
    const cluster = await startCluster({ syncAlways, version: "2.15" });
    return serversOf(cluster.servers, cluster.urls, cluster);
  }
  const server = await startNats({ syncAlways, version: "2.15" });
  return serversOf([server], [server.url], server);
}

/** As an operator would, before the first process comes. `leaseMs` defaults to that of `orchestra nats init`. */
export async function initAssets(servers: readonly string[], replicas: 1 | 3, leaseMs?: number): Promise<void> {
  const bus = natsBus({ servers, init: { replicas, ...(leaseMs !== undefined && { leaseMs }) } });
  await bus.open();
  await bus.close();
}

function serversOf(servers: readonly NatsServer[], urls: readonly string[], started: AsyncDisposable): BenchServers {
  return {
    urls,
    cpuMicros: () => servers.reduce((sum, { pid }) => sum + cpuMicrosOf(pid), 0),
    [Symbol.asyncDispose]: async () => started[Symbol.asyncDispose](),
  };
}

let ticksPerSecond: number | undefined;

function cpuMicrosOf(pid: number): number {
  try {
    ticksPerSecond ??= Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));
    // Behind the name, which may hold anything: utime and stime are the 12th and 13th.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
    return ((Number(fields[11]) + Number(fields[12])) / ticksPerSecond) * 1e6;
  } catch {
    return Number.NaN;
  }
}
