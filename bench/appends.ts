// Durable appends to session logs on NATS, beside plain publishes to a stream of the same kind on the same servers: what is
// left between the two is what the store costs.

import { jetstream, jetstreamManager, StorageType, type JetStreamClient } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { natsBus, type NatsBus } from "orchestra/nats";
import { startCluster } from "../test/support/nats-cluster.ts";
import { startNats } from "../test/support/nats.ts";
import type { Outcome, Scenario, ScenarioOptions } from "./scenario.ts";
import { figure, ratioOf, spreadOf, table, withSpread, type Spread } from "./statistics.ts";

interface Setting {
  readonly id: string;
  readonly name: string;
  readonly replicas: 1 | 3;
  readonly syncAlways: boolean;
}

const SETTINGS: readonly Setting[] = [
  { id: "nats-1", name: "one server", replicas: 1, syncAlways: false },
  { id: "nats-1-sync", name: "one server, `sync_interval: always`", replicas: 1, syncAlways: true },
  { id: "nats-3", name: "three servers", replicas: 3, syncAlways: false },
  { id: "nats-3-sync", name: "three servers, `sync_interval: always`", replicas: 3, syncAlways: true },
];

const LOADS = [
  { name: "1 session", sessions: 1, appends: 300 },
  { name: "200 sessions", sessions: 200, appends: 20 },
] as const;

const ROUNDS_MAX = 7;
/** About what a commit of a step takes. */
const TEXT = "x".repeat(200);

/** Appends the next commit of that session; rejects when it is refused. */
type AppendNext = (session: number) => Promise<void>;

interface Sample {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Every session appends one after another; all of them at one time. */
async function measure(append: AppendNext, sessions: number, appends: number): Promise<Sample> {
  const tookMs: number[] = [];
  const startedMs = performance.now();
  await Promise.all(
    Array.from({ length: sessions }, async (_, session) => {
      for (let i = 0; i < appends; i++) {
        const beforeMs = performance.now();
        await append(session);
        tookMs.push(performance.now() - beforeMs);
      }
    }),
  );
  const perSecond = (tookMs.length / (performance.now() - startedMs)) * 1000;
  tookMs.sort((a, b) => a - b);
  const at = (part: number): number => tookMs[Math.floor(tookMs.length * part)] ?? Number.NaN;
  return { perSecond, p50Ms: at(0.5), p99Ms: at(0.99) };
}

/** Begins new sessions, which is not measured. */
async function store({ sessions }: NatsBus, names: readonly string[]): Promise<AppendNext> {
  const positions = names.map(() => 0);
  const append: AppendNext = async (session) => {
    const sessionId = names[session] ?? "";
    const expected = positions[session] ?? 0;
    const n = expected + 1;
    const outcome = { kind: "value", value: { v: TEXT } } as const;
    const result = await sessions.append({
      sessionId,
      expected,
      commit: {
        v: 1,
        n,
        epoch: 1,
        id: `bench.${n}`,
        host: "bench",
        atMs: n,
        facts: [{ type: "step.succeeded", stepId: `1.0.${n}`, attempt: 1, outcome, held: [], tookMs: 1 }],
      },
      ...(n === 1 && {
        entry: {
          sessionId,
          status: "running",
          runId: "r",
          topologyHash: "h",
          createdAtMs: 1,
          updatedAtMs: 1,
          host: "bench",
          n,
        },
      }),
    });
    if (!result.ok) throw new Error(`commit ${n} of ${sessionId} was refused`);
    positions[session] = n;
  };
  await Promise.all(names.map((_, session) => append(session)));
  return append;
}

/** The same compare and set, and as many bytes, with nothing around it. */
async function raw(js: JetStreamClient, names: readonly string[]): Promise<AppendNext> {
  const last = names.map(() => 0);
  const payload = new TextEncoder().encode(TEXT.repeat(2));
  const append: AppendNext = async (session) => {
    const expect = { lastSubjectSequence: last[session] ?? 0 };
    last[session] = (await js.publish(`raw.${names[session]}`, payload, { expect })).seq;
  };
  await Promise.all(names.map((_, session) => append(session)));
  return append;
}

interface Servers {
  readonly urls: readonly string[];
  [Symbol.asyncDispose](): Promise<void>;
}

async function start({ replicas, syncAlways }: Setting): Promise<Servers> {
  if (replicas === 3) return startCluster({ syncAlways });
  const server = await startNats({ syncAlways });
  return { urls: [server.url], [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

interface Rounds {
  readonly store: Sample[];
  readonly raw: Sample[];
}

async function measureSetting(setting: Setting, rounds: number, quick: boolean): Promise<readonly Rounds[]> {
  const servers = await start(setting);
  const nc = await connect({ servers: [...servers.urls] });
  const bus = natsBus({ servers: servers.urls, init: true });
  try {
    await bus.open();
    const jsm = await jetstreamManager(nc);
    await jsm.streams.add({
      name: "RAW",
      subjects: ["raw.>"],
      num_replicas: setting.replicas,
      storage: StorageType.File,
    });
    const js = jetstream(nc);
    const all: Rounds[] = LOADS.map(() => ({ store: [], raw: [] }));
    for (let round = 0; round < rounds; round++)
      for (const [i, { sessions, appends }] of LOADS.entries()) {
        const names = Array.from({ length: sessions }, (_, s) => `${i}-${round}-${s}`);
        const count = quick ? Math.ceil(appends / 10) : appends;
        // In turns, so that neither always comes second.
        for (const kind of round % 2 === 0 ? (["raw", "store"] as const) : (["store", "raw"] as const))
          all[i]?.[kind].push(
            await measure(kind === "raw" ? await raw(js, names) : await store(bus, names), sessions, count),
          );
        console.error(`appends, ${setting.id}, ${LOADS[i]?.name}: round ${round + 1} of ${rounds}`);
      }
    return all;
  } finally {
    await bus.sessions.close();
    await bus.close();
    await nc.close();
    await servers[Symbol.asyncDispose]();
  }
}

async function run(options: ScenarioOptions): Promise<Outcome> {
  const rounds = Math.min(options.rounds, ROUNDS_MAX);
  const figures: Record<string, Spread> = {};
  const samples: Record<string, readonly Rounds[]> = {};
  const rows: string[][] = [];
  let failed = false;
  for (const setting of SETTINGS.filter(({ id }) => options.isWanted(id))) {
    try {
      samples[setting.id] = await measureSetting(setting, rounds, options.quick);
    } catch (error) {
      failed = true;
      rows.push([setting.name, (error as Error).message, "", "", "", "", ""]);
      continue;
    }
    for (const [i, { name }] of LOADS.entries()) {
      const { store: ours = [], raw: theirs = [] } = samples[setting.id]?.[i] ?? {};
      const rate = (list: readonly Sample[]): number[] => list.map(({ perSecond }) => perSecond);
      const median = (list: readonly Sample[], of: "p50Ms" | "p99Ms"): string =>
        figure(spreadOf(list.map((one) => one[of])).median);
      const ratio = ratioOf(rate(ours), rate(theirs));
      figures[`appends, ${setting.id}, ${name}: per second`] = spreadOf(rate(ours));
      figures[`appends, ${setting.id}, ${name}: store / raw`] = ratio;
      rows.push([
        `${setting.name}, ${name}`,
        withSpread(spreadOf(rate(ours))),
        withSpread(spreadOf(rate(theirs))),
        withSpread(ratio, "×"),
        `${median(ours, "p50Ms")} / ${median(ours, "p99Ms")}`,
        `${median(theirs, "p50Ms")} / ${median(theirs, "p99Ms")}`,
      ]);
    }
  }
  const head = [
    "",
    "appends per second",
    "publishes per second",
    "appends / publishes",
    "append p50 / p99, ms",
    "publish p50 / p99, ms",
  ];
  const markdown = `${table(head, rows)}\n\n${rounds} rounds, in turns; all servers run on this machine and share its processors and its disk.`;
  return { markdown, figures, samples, failed };
}

export const appendsScenario: Scenario = {
  name: "appends on NATS",
  ids: SETTINGS.map(({ id }) => id),
  run,
};
