// A cluster of real nats-servers, on the loopback or in network namespaces.
//
// Owns:      the routes between the servers, when the cluster is ready, who leads what.
// Does not:  the single server: signals, restarts, logs (nats.ts).

import { createNats, type NatsOptions, type NatsServer, until } from "./nats.ts";
import { freePorts } from "./ports.ts";

export interface ClusterOptions extends Pick<NatsOptions, "version" | "syncAlways" | "config" | "tls"> {
  /** Default 3. */
  nodes?: number;
  /** Where each server runs, in network namespaces. Default: all on the loopback. */
  places?: readonly Pick<NatsOptions, "host" | "launcher">[];
}

/** Now and then servers that start at once never come to agree on a leader; started anew they do. */
const TRIES = 3;
const FORMED_MS = 30_000;

/** Starts a cluster with JetStream. Resolves when all its servers agree on who leads, and each is in good health. */
export async function startCluster(options: ClusterOptions = {}): Promise<NatsCluster> {
  for (let tried = 1; ; tried++) {
    const cluster = await createCluster(options);
    try {
      await Promise.all(cluster.servers.map((server) => server.start()));
      await cluster.ready(tried < TRIES ? FORMED_MS : undefined);
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      if (tried === TRIES) throw error;
    }
  }
}

async function createCluster(options: ClusterOptions): Promise<NatsCluster> {
  const { places, nodes = places?.length ?? 3, config = "", ...rest } = options;
  const ports = await freePorts(nodes * 3);
  const routeOf = (index: number) => `${places?.[index]?.host ?? "127.0.0.1"}:${ports[index * 3 + 2]}`;
  const servers = await Promise.all(
    Array.from({ length: nodes }, (_, index) => {
      const others = Array.from({ length: nodes }, (_unused, other) => other).filter((other) => other !== index);
      const routes = others.map((other) => `"nats://${routeOf(other)}"`).join(", ");
      return createNats({
        ...rest,
        ...places?.[index],
        name: `n${index + 1}-${ports[2]}`,
        port: ports[index * 3]!,
        monitorPort: ports[index * 3 + 1]!,
        config: `cluster { name: "test-${ports[2]}", listen: "${routeOf(index)}", routes: [${routes}] }\n${config}`,
      });
    }),
  );
  return new NatsCluster(servers);
}

interface JetStreamReport {
  readonly meta_cluster?: { readonly leader?: string; readonly cluster_size?: number };
  readonly account_details?: readonly {
    readonly stream_detail?: readonly { readonly name: string; readonly cluster?: { readonly leader?: string } }[];
  }[];
}

export class NatsCluster {
  readonly servers: readonly NatsServer[];

  constructor(servers: readonly NatsServer[]) {
    this.servers = servers;
  }

  /** Of all servers, running or not: what a client is given. */
  get urls(): readonly string[] {
    return this.servers.map(({ url }) => url);
  }

  get running(): readonly NatsServer[] {
    return this.servers.filter(({ isRunning }) => isRunning);
  }

  /** Resolves when all running servers name the same leader of JetStream and say that they are in good health. */
  async ready(patienceMs?: number): Promise<void> {
    await until(
      "the cluster has one leader and all its running servers are healthy",
      () => this.#isReady(),
      undefined,
      patienceMs,
    );
  }

  async #isReady(): Promise<boolean> {
    const reports = await Promise.all(this.running.map((server) => reportOf(server, "jsz")));
    const leaders = new Set(reports.map((report) => report?.meta_cluster?.leader ?? ""));
    const sizes = new Set(reports.map((report) => report?.meta_cluster?.cluster_size));
    if (leaders.size !== 1 || leaders.has("") || sizes.size !== 1 || !sizes.has(this.servers.length)) return false;
    if (!this.running.some(({ name }) => leaders.has(name))) return false;
    const health = await Promise.all(this.running.map((server) => server.monitor("healthz")));
    return health.every((answer) => (answer as { status?: string } | undefined)?.status === "ok");
  }

  /** The server that leads `stream`, or JetStream itself; waits for an election. */
  async leaderOf(stream?: string): Promise<NatsServer> {
    let leader: NatsServer | undefined;
    await until(`${stream ?? "JetStream"} has a leader`, async () => {
      const claims = await Promise.all(this.running.map((server) => claimsToLead(server, stream)));
      const claimants = this.running.filter((_, index) => claims[index]);
      leader = claimants.length === 1 ? claimants[0] : undefined;
      return leader !== undefined;
    });
    return leader!;
  }

  /** SIGKILL to the server that leads `stream`, or JetStream itself. The server that it was: `restart()` brings it back. */
  async killLeader(stream?: string): Promise<NatsServer> {
    const leader = await this.leaderOf(stream);
    await leader.kill();
    return leader;
  }

  /** Stops all servers and removes what they stored. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.servers.map((server) => server[Symbol.asyncDispose]()));
  }
}

/** A follower may name a leader that is gone: only who says it of itself counts. */
async function claimsToLead(server: NatsServer, stream: string | undefined): Promise<boolean> {
  if (stream === undefined) return (await reportOf(server, "jsz"))?.meta_cluster?.leader === server.name;
  const report = await reportOf(server, "jsz?accounts=true&streams=true");
  const streams = report?.account_details?.flatMap((account) => account.stream_detail ?? []) ?? [];
  return streams.some(({ name, cluster }) => name === stream && cluster?.leader === server.name);
}

async function reportOf(server: NatsServer, path: string): Promise<JetStreamReport | undefined> {
  return (await server.monitor(path)) as JetStreamReport | undefined;
}
