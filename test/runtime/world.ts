// A small world for engine tests: an engine over a store and a local bus, topologies from strings, agents from functions.

import type { RunLimits } from "../../src/actors/facts.ts";
import { systemClock } from "../../src/base/clock.ts";
import type { Clock } from "../../src/base/clock.ts";
import { createIds } from "../../src/base/ids.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { systemRandom } from "../../src/base/random.ts";
import { createLocalBus } from "../../src/bus/local-bus.ts";
import type { Bus } from "../../src/bus/ports.ts";
import type { AgentFunction, RetryPolicies, RunnableAgent } from "../../src/runtime/agent.ts";
import type { Engine, RunCode, RunOutcome, StartRequest } from "../../src/runtime/engine-api.ts";
import { createEngine } from "../../src/runtime/engine.ts";
import type { EngineOptions } from "../../src/runtime/engine.ts";
import { memoryStorage } from "../../src/state/memory-store.ts";
import type { SessionStore } from "../../src/state/ports.ts";
import type { EdgeData, EdgePattern, NodeData, TopologyData } from "../../src/topology/types.ts";

export type Agents = Readonly<Record<string, AgentFunction | RunnableAgent>>;

export const LIMITS: RunLimits = {
  maxSteps: 100,
  tokens: false,
  costUsd: false,
  durationMs: false,
  maxAgents: false,
  branchTimeoutMs: false,
  convergenceTimeoutMs: false,
  stepTimeoutMs: 120_000,
  convergencePolicy: {},
  convergence: true,
  errorRouting: true,
};

const ONCE = { maxAttempts: 1, initialDelayMs: 1, maxDelayMs: 10, factor: 2, jitter: 0 };
export const RETRY: RetryPolicies = {
  transient: { ...ONCE, maxAttempts: 3 },
  timeout: ONCE,
  invalid_output: ONCE,
  permanent: ONCE,
};

const SIGNS: readonly (readonly [string, EdgePattern])[] = [
  ["<->", "call"],
  ["<=>", "reflexive"],
  ["<~>", "conversation"],
  ["<|>", "peers"],
  ["->", "flow"],
];

/** `topology("A -> B", { edge: "B -> C", condition: "yes" })`; nodes are those the edges name. */
export function topology(...edges: (string | ({ edge: string } & Partial<EdgeData>))[]): TopologyData {
  const nodes = new Map<string, NodeData>();
  const node = (name: string): string => {
    const kind = name === "User" ? "user" : name === "Start" ? "start" : name === "End" ? "end" : "agent";
    if (!nodes.has(name)) nodes.set(name, { name, kind });
    return name;
  };
  const list = edges.flatMap((item) => {
    const { edge, ...rest } = typeof item === "string" ? { edge: item } : item;
    const sign = SIGNS.find(([text]) => edge.includes(text));
    if (sign === undefined) {
      node(edge.trim());
      return [];
    }
    const names = edge.split(sign[0]).map((name) => node(name.trim()));
    return names
      .slice(1)
      .map((to, i): EdgeData => ({ from: names[i] as string, to, pattern: sign[1], type: "invoke", ...rest }));
  });
  return { v: 1, nodes: [...nodes.values()], edges: list };
}

export function code(agents: Agents, more: Partial<RunCode> = {}): RunCode {
  return {
    agents: {
      get(name) {
        const agent = agents[name];
        if (agent === undefined) return undefined;
        return typeof agent === "function" ? { name, run: agent } : agent;
      },
      names: () => Object.keys(agents),
    },
    conditions: {},
    retry: RETRY,
    ...more,
  };
}

export interface World {
  readonly engine: Engine;
  readonly store: SessionStore;
  readonly bus: Bus;
  readonly clock: Clock;
  /** Another engine on the same store, as after a restart. */
  again(more?: Partial<EngineOptions>): World;
}

export function world(more: Partial<EngineOptions> = {}): World {
  const clock = more.clock ?? systemClock();
  const random = more.random ?? systemRandom();
  const store = more.store ?? memoryStorage();
  const bus = more.bus ?? createLocalBus({ clock });
  const engine = createEngine({
    store,
    bus,
    clock,
    random,
    ids: createIds(clock, random),
    logger: silentLogger,
    ...more,
  });
  return {
    engine,
    store,
    bus,
    clock,
    again: (other = {}) => world({ ...more, clock, random, store, bus: createLocalBus({ clock }), ...other }),
  };
}

export function request(
  task: unknown,
  data: TopologyData,
  agents: Agents | RunCode,
  more: Partial<StartRequest> = {},
): StartRequest {
  return {
    task,
    topology: data,
    topologyHash: JSON.stringify(data),
    code: isCode(agents) ? agents : code(agents),
    limits: LIMITS,
    ...more,
  };
}

export async function run(engine: Engine, ...args: Parameters<typeof request>): Promise<RunOutcome> {
  return (await engine.start(request(...args))).outcome;
}

function isCode(agents: Agents | RunCode): agents is RunCode {
  return "retry" in agents && "conditions" in agents;
}

export function deferred<T = void>(): {
  promise: Promise<T>;
  resolve: (value: T) => void;
  reject: (error: unknown) => void;
} {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
