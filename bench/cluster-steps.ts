// Durable steps per second of one owner, and what a step waits for between two agents, on one server and on three.

import type { RunCost } from "./children/cluster.ts";
import { startProcess, type ClusterProcess } from "./cluster-processes.ts";
import {
  initAssets,
  R1,
  R1_SYNC,
  R3,
  R3_SYNC,
  startServers,
  type BenchServers,
  type Setting,
} from "./cluster-servers.ts";
import { attempt, inRounds, type Measured } from "./rounds.ts";
import type { Outcome, Scenario, ScenarioOptions } from "./scenario.ts";
import { figure, spreadOf, table, withSpread, type Spread } from "./statistics.ts";

interface Way {
  readonly id: string;
  readonly name: string;
  readonly setting: Setting;
  /** All but the first step of a session go over the bus to a host, and their results come back. */
  readonly overBus: boolean;
}

const WAYS: readonly Way[] = [
  ...[R1, R1_SYNC, R3, R3_SYNC].map((setting) => ({
    id: `cluster-${setting.id}`,
    name: `${setting.name}, steps in the owner`,
    setting,
    overBus: false,
  })),
  ...[R1, R3_SYNC].map((setting) => ({
    id: `cluster-${setting.id}-hosts`,
    name: `${setting.name}, 9 of 10 steps on another host`,
    setting,
    overBus: true,
  })),
];

const ROUNDS_MAX = 7;
const MANY = { sessions: 200, rounds: 2 };
const ALONE = { sessions: 1, rounds: 30 };

interface Sample {
  readonly many: RunCost;
  readonly alone: RunCost;
  readonly serverMicros: number;
}

interface Ready {
  readonly servers: BenchServers;
  readonly owner: ClusterProcess;
  readonly processes: readonly ClusterProcess[];
}

async function prepare({ setting, overBus }: Way): Promise<Ready> {
  const servers = await startServers(setting);
  const shared = { servers: servers.urls, localFirst: true, slots: 200, waitMs: 0, syncAlways: setting.syncAlways };
  await initAssets(servers.urls, setting.replicas);
  const hosts = overBus ? [await startProcess({ ...shared, role: "host" })] : [];
  const owner = await startProcess({ ...shared, role: overBus ? "sender" : "owner" });
  for (let i = 0; i < 2; i++) await owner.ask({ type: "run", ...MANY });
  return { servers, owner, processes: [owner, ...hosts] };
}

async function sampleOf({ servers, owner }: Ready, quick: boolean): Promise<Sample> {
  const before = servers.cpuMicros();
  const many = await owner.ask({ type: "run", ...MANY });
  const serverMicros = servers.cpuMicros() - before;
  return { many, alone: await owner.ask({ type: "run", ...ALONE, rounds: quick ? 10 : ALONE.rounds }), serverMicros };
}

async function run(options: ScenarioOptions): Promise<Outcome> {
  const rounds = Math.min(options.rounds, ROUNDS_MAX);
  const ready = new Map<string, Ready>();
  const ways = WAYS.filter(({ id }) => options.isWanted(id));
  const all: Measured<Sample>[] = ways.map(({ id, name }) => ({ id, name, samples: [] }));
  try {
    for (const way of ways) {
      const measured = all.find(({ id }) => id === way.id);
      if (measured !== undefined) await attempt(measured, async () => void ready.set(way.id, await prepare(way)));
    }
    await inRounds("cluster steps", rounds, all, (id) => {
      const one = ready.get(id);
      if (one === undefined) throw new TypeError(`${id} is not prepared`);
      return sampleOf(one, options.quick);
    });
  } finally {
    for (const { processes, servers } of ready.values()) {
      await Promise.all(processes.map((process) => process.kill()));
      await servers[Symbol.asyncDispose]();
    }
  }
  return report(all, rounds);
}

const perSecond = ({ steps, ms }: RunCost): number => (steps / ms) * 1_000;
const at = ({ gapsMs }: RunCost, part: number): number => gapsMs[Math.floor(gapsMs.length * part)] ?? Number.NaN;

function report(all: readonly Measured<Sample>[], rounds: number): Outcome {
  const figures: Record<string, Spread> = {};
  const speed: string[][] = [];
  const costs: string[][] = [];
  for (const { id, name, samples, problem } of all) {
    if (problem !== undefined) {
      speed.push([name, problem, "", "", ""]);
      continue;
    }
    const spread = (text: string, of: (sample: Sample) => number): Spread =>
      (figures[`${id}: ${text}`] = spreadOf(samples.map(of)));
    const perStep = (text: string, of: (sample: Sample) => number): string =>
      figure(spread(`${text} per step`, (sample) => of(sample) / sample.many.steps).median);
    // Of agents in other processes the owner does not see when they end: there the whole row is divided by its steps.
    const alone = (sample: Sample, part: number): number =>
      sample.alone.gapsMs.length > 0 ? at(sample.alone, part) : sample.alone.ms / sample.alone.steps;
    speed.push([
      name,
      withSpread(spread("steps per second", ({ many }) => perSecond(many))),
      withSpread(spread("alone, p50 ms", (sample) => alone(sample, 0.5))),
      figure(spread("alone, p99 ms", (sample) => alone(sample, 0.99)).median),
      `${figure(spreadOf(samples.map(({ many }) => at(many, 0.5))).median)} / ${figure(spreadOf(samples.map(({ many }) => at(many, 0.99))).median)}`,
    ]);
    costs.push([
      name,
      perStep("messages sent", ({ many }) => many.sent),
      perStep("messages received", ({ many }) => many.received),
      perStep("bytes sent", ({ many }) => many.sentBytes),
      perStep("µs of the owner", ({ many }) => many.cpuMicros),
      perStep("µs of the servers", ({ serverMicros }) => serverMicros),
      figure(spreadOf(samples.map(({ many }) => many.loopDelayP99Ms)).median),
    ]);
  }
  const markdown = [
    `${MANY.sessions} sessions at a time, and one alone, each a row of 10 agents that add 1; ${rounds} rounds: median (min–max).`,
    table(["", "steps/s, 200 sessions", "one alone, ms added per step: p50", "p99", "200 sessions: p50 / p99"], speed),
    "What a step costs with 200 sessions. Messages and bytes are those of the owner's connection.",
    table(
      ["", "sent", "received", "bytes sent", "µs of CPU, owner", "µs of CPU, servers", "event loop p99, ms"],
      costs,
    ),
  ].join("\n\n");
  return { markdown, figures, samples: all, failed: all.some(({ failed }) => failed === true) };
}

export const clusterSteps: Scenario = { name: "cluster: durable steps", ids: WAYS.map(({ id }) => id), run };
