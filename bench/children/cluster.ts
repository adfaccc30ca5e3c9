// A process of a cluster: an owner that runs sessions with agents of its own, one whose steps others run, or a host.

import { monitorEventLoopDelay } from "node:perf_hooks";
import {
  OrchestraHost,
  OrchestraInstance,
  type AgentContext,
  type AgentFunction,
  type InstanceOptions,
} from "orchestra";
import { natsBus } from "orchestra/nats";
import { ROW } from "../cluster-shape.ts";

export interface ClusterChildOptions {
  /**
   * `owner`: runs rows of `ROW` agents that add 1. `holder`: the same sessions, which stand in their second agent.
   * `sender`: its own first agent, then agents that hosts serve. `host`: serves all of them, and takes sessions over.
   */
  readonly role: "owner" | "holder" | "sender" | "host";
  readonly servers: readonly string[];
  readonly localFirst: boolean;
  /** Steps at a time of a host. */
  readonly slots: number;
  /** How long a step of a host takes. */
  readonly waitMs: number;
  readonly syncAlways: boolean;
  /** All but the first agent are one, of as many nodes: a host then has a slot free for whatever waits. Default false. */
  readonly oneAgent?: boolean;
}

export type Question =
  | { readonly type: "open" }
  /** `sessions` rows at one time, `rounds` times over. */
  | { readonly type: "run"; readonly sessions: number; readonly rounds: number }
  /** Begins so many sessions; answers when all stand in their second agent. */
  | { readonly type: "hold"; readonly sessions: number }
  /** Sessions of which a step was begun here. */
  | { readonly type: "count" };

export interface RunCost {
  readonly steps: number;
  readonly ms: number;
  /** Between the end of an agent and the beginning of the next one of its session, in milliseconds, ascending. */
  readonly gapsMs: readonly number[];
  readonly cpuMicros: number;
  /** Messages and bytes of this process' connection, both ways. */
  readonly sent: number;
  readonly received: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly loopDelayP99Ms: number;
}

export type Answer =
  | { readonly to: "open" }
  | ({ readonly to: "run" } & RunCost)
  | { readonly to: "hold" }
  | { readonly to: "count"; readonly sessionIds: readonly string[] }
  | { readonly to: "failed"; readonly message: string };

const GAPS_MAX = 20_000;

const options = JSON.parse(process.argv[2] ?? "{}") as ClusterChildOptions;
const { role, servers, localFirst, slots, waitMs, syncAlways, oneAgent = false } = options;
const bus = natsBus({ servers, localFirst, syncAlways });
const nodes = Array.from({ length: ROW }, (_, i) => `Worker${i}`);
const topology = {
  nodes: nodes.map((name, i) => (oneAgent && i > 0 ? { name, uses: "Work" } : name)),
  edges: nodes.slice(1).map((name, i) => `Worker${i} -> ${name}`),
};

/** Sessions of which a step was begun here. */
const begun = new Set<string>();
let standing = 0;
let onStanding = (): void => undefined;
const endedAtMs = new Map<string, number>();
let gapsMs: number[] = [];

const agent =
  (index: number): AgentFunction<any, unknown> =>
  async (input, { sessionId }: AgentContext) => {
    const before = endedAtMs.get(sessionId);
    if (before !== undefined && gapsMs.length < GAPS_MAX) gapsMs.push(performance.now() - before);
    if (role === "host") begun.add(sessionId);
    if (role === "holder" && index === 1) {
      standing++;
      onStanding();
      await new Promise(() => undefined);
    }
    if (role === "host" && waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    const value = (index === 0 ? (input as { value: number }).value : (input as number)) + 1;
    if (index === ROW - 1) endedAtMs.delete(sessionId);
    else endedAtMs.set(sessionId, performance.now());
    return value;
  };

const all = oneAgent ? { Work: agent(1) } : Object.fromEntries(nodes.map((name, i) => [name, agent(i)]));
const own: InstanceOptions = {
  bus,
  topology,
  agents: role === "sender" ? { Worker0: agent(0) } : all,
  unserved: "wait",
};
const instance = role === "host" ? undefined : new OrchestraInstance(own);
const host = role === "host" ? new OrchestraHost({ bus, agents: all, slots }) : undefined;

async function run(sessions: number, rounds: number): Promise<RunCost> {
  if (instance === undefined) throw new TypeError("a host runs nothing of its own");
  const { nc } = await bus.link.connected();
  const before = { ...nc.stats() };
  const cpuBefore = process.cpuUsage();
  const loop = monitorEventLoopDelay({ resolution: 1 });
  loop.enable();
  gapsMs = [];
  const startedMs = performance.now();
  await Promise.all(
    Array.from({ length: sessions }, async () => {
      for (let round = 0; round < rounds; round++) {
        const result = await instance.execute({ task: { value: 0 } });
        if (result.orThrow().finalResponse !== ROW) throw new Error(`a row gave ${String(result.finalResponse)}`);
      }
    }),
  );
  const ms = performance.now() - startedMs;
  loop.disable();
  const { user, system } = process.cpuUsage(cpuBefore);
  const after = nc.stats();
  return {
    steps: sessions * rounds * ROW,
    ms,
    gapsMs: gapsMs.sort((a, b) => a - b),
    cpuMicros: user + system,
    sent: after.outMsgs - before.outMsgs,
    received: after.inMsgs - before.inMsgs,
    sentBytes: after.outBytes - before.outBytes,
    receivedBytes: after.inBytes - before.inBytes,
    loopDelayP99Ms: loop.percentile(99) / 1e6,
  };
}

async function hold(sessions: number): Promise<void> {
  const allStand = new Promise<void>((resolve) => {
    onStanding = () => {
      if (standing === sessions) resolve();
    };
  });
  for (let i = 0; i < sessions; i++) void instance?.execute({ task: { value: 0 }, sessionId: `held-${i}` });
  await allStand;
}

async function answer(question: Question): Promise<Answer> {
  if (question.type === "open") {
    await bus.open();
    await host?.start();
    return { to: "open" };
  }
  if (question.type === "run") return { to: "run", ...(await run(question.sessions, question.rounds)) };
  if (question.type === "count") return { to: "count", sessionIds: [...begun] };
  await hold(question.sessions);
  return { to: "hold" };
}

process.on("message", (question: Question) => {
  answer(question).then(
    (given) => process.send?.(given),
    (error: unknown) => process.send?.({ to: "failed", message: (error as Error).message } satisfies Answer),
  );
});
process.on("disconnect", () => process.exit());
