// More worker hosts on steps that wait, and how long sessions stand still when their owner is killed.

import { startProcess, type ClusterProcess } from "./cluster-processes.ts";
import { initAssets, R1, startServers } from "./cluster-servers.ts";
import { ROW } from "./cluster-shape.ts";
import { inRounds, type Measured } from "./rounds.ts";
import type { Outcome, Scenario, ScenarioOptions } from "./scenario.ts";
import { figure, ratioOf, spreadOf, table, withSpread, type Spread } from "./statistics.ts";

const HOSTS = [1, 2, 4] as const;
const SLOTS = 4;
const WAIT_MS = 20;
const ROUNDS_MAX = 5;

const HELD = 500;
const LEASE_MS = 15_000;
const QUICK_LEASE_MS = 5_000;

const shared = { localFirst: true, slots: SLOTS, waitMs: WAIT_MS, syncAlways: false };

/** Steps per second. Twice as many sessions as slots, so that no slot waits for want of work. */
async function throughput(hosts: number, quick: boolean): Promise<number> {
  const servers = await startServers(R1);
  const started: ClusterProcess[] = [];
  try {
    await initAssets(servers.urls, 1);
    const start = async (role: "host" | "sender"): Promise<ClusterProcess> => {
      const process = await startProcess({ ...shared, role, servers: servers.urls, oneAgent: true });
      started.push(process);
      return process;
    };
    for (let i = 0; i < hosts; i++) await start("host");
    const sender = await start("sender");
    const sessions = 2 * SLOTS * hosts;
    await sender.ask({ type: "run", sessions, rounds: 1 });
    const { steps, ms } = await sender.ask({ type: "run", sessions, rounds: quick ? 2 : 6 });
    // The first step of each is the sender's own, and does not wait.
    return ((steps * (ROW - 1)) / ROW / ms) * 1_000;
  } finally {
    await Promise.all(started.map((process) => process.kill()));
    await servers[Symbol.asyncDispose]();
  }
}

async function measureHosts(options: ScenarioOptions): Promise<Outcome> {
  const rounds = Math.min(options.rounds, ROUNDS_MAX);
  const all: Measured<number>[] = HOSTS.map((count) => ({
    id: `cluster-hosts-${count}`,
    name: `${count} worker ${count === 1 ? "host" : "hosts"}`,
    samples: [],
  }));
  await inRounds("cluster hosts", rounds, all, (id) => throughput(Number(id.split("-").at(-1)), options.quick));
  const figures: Record<string, Spread> = {};
  const one = all[0]?.samples ?? [];
  const rows = all.map(({ id, name, samples, problem }, i) => {
    if (problem !== undefined) return [name, problem, "", ""];
    const count = HOSTS[i] ?? 1;
    const ideal = (count * SLOTS * 1_000) / WAIT_MS;
    const linear = ratioOf(
      samples,
      one.map((value) => value * count),
    );
    figures[`${id}: of linear`] = linear;
    figures[`${id}: steps per second`] = spreadOf(samples);
    const ofIdeal = figure(spreadOf(samples).median / ideal);
    return [name, withSpread(spreadOf(samples)), withSpread(linear, "×"), `${ofIdeal}×`];
  });
  const markdown = [
    `Steps that wait ${WAIT_MS} ms, ${SLOTS} at a time on each host; the sessions' owner is a process of its own; one server; ${rounds} rounds.`,
    table(["", "steps/s", "beside as many times one host", "beside slots that never wait for work"], rows),
  ].join("\n\n");
  return { markdown, figures, samples: all, failed: all.some(({ failed }) => failed === true) };
}

/** From the owner's SIGKILL until the interrupted step of each of its sessions has begun again elsewhere, in milliseconds. */
async function takeOver(sessions: number, leaseMs: number): Promise<number> {
  const servers = await startServers(R1);
  const started: ClusterProcess[] = [];
  try {
    await initAssets(servers.urls, 1, leaseMs);
    const own = { ...shared, servers: servers.urls, waitMs: 0, slots: 64 };
    const holder = await startProcess({ ...own, role: "holder" });
    started.push(holder);
    await holder.ask({ type: "hold", sessions });
    for (let i = 0; i < 2; i++) started.push(await startProcess({ ...own, role: "host" }));
    await new Promise((resolve) => setTimeout(resolve, leaseMs / 2));
    const [, ...hosts] = started;
    const killedMs = performance.now();
    await holder.kill();
    await untilTaken(hosts, sessions);
    return performance.now() - killedMs;
  } finally {
    await Promise.all(started.map((process) => process.kill()));
    await servers[Symbol.asyncDispose]();
  }
}

async function untilTaken(hosts: readonly ClusterProcess[], sessions: number): Promise<void> {
  for (;;) {
    const counts = await Promise.all(hosts.map((host) => host.ask({ type: "count" })));
    if (new Set(counts.flatMap(({ sessionIds }) => sessionIds)).size >= sessions) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function measureTakeOver(options: ScenarioOptions): Promise<Outcome> {
  const rounds = options.quick ? 1 : Math.min(options.rounds, 3);
  const leaseMs = options.quick ? QUICK_LEASE_MS : LEASE_MS;
  const all: Measured<number>[] = [{ id: "cluster-take-over", name: `${HELD} sessions`, samples: [] }];
  await inRounds("cluster take-over", rounds, all, () => takeOver(HELD, leaseMs));
  const rows = all.map(({ name, samples, problem }) => {
    if (problem !== undefined) return [name, problem, ""];
    const beyond = samples.map((ms) => ms - leaseMs);
    return [
      name,
      withSpread(spreadOf(samples.map((ms) => ms / 1_000))),
      withSpread(spreadOf(beyond.map((ms) => ms / 1_000))),
    ];
  });
  const samples = all[0]?.samples ?? [];
  const figures = {
    "cluster-take-over: seconds beyond the lease": spreadOf(samples.map((ms) => (ms - leaseMs) / 1_000)),
  };
  const markdown = [
    `${HELD} sessions stand in their second agent when their owner is killed (SIGKILL); two hosts take them over and run the 9 steps that each has left; lease ${leaseMs / 1_000} s; ${rounds} rounds.`,
    table(
      ["", "seconds from the kill until the last session's interrupted step began again", "beyond the lease"],
      rows,
    ),
  ].join("\n\n");
  return { markdown, figures, samples: all, failed: all.some(({ failed }) => failed === true) };
}

export const clusterHosts: Scenario = {
  name: "cluster: worker hosts",
  ids: HOSTS.map((count) => `cluster-hosts-${count}`),
  run: measureHosts,
};

export const clusterTakeOver: Scenario = {
  name: "cluster: take-over",
  ids: ["cluster-take-over"],
  run: measureTakeOver,
};
