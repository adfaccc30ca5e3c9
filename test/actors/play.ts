// Plays a topology on the bare reducer: agents are functions, time is a counter, nothing is real but the rules.

import type { Effect, KernelEvent, StepOffer } from "../../src/actors/effects.ts";
import type { Fact, Outcome, RunLimits } from "../../src/actors/facts.ts";
import { initialState, reduce } from "../../src/actors/reduce.ts";
import type { SessionState } from "../../src/actors/session-state.ts";
import { edgesToJudge, entryEdgesToJudge, planOf } from "../../src/actors/view.ts";
import type { ErrorData } from "../../src/base/errors.ts";
import type { Stored } from "../../src/base/stored.ts";
import { compilePlan } from "../../src/topology/compile.ts";
import { readTopology } from "../../src/topology/read.ts";

export const LIMITS: RunLimits = {
  maxSteps: 100,
  tokens: false,
  costUsd: false,
  durationMs: false,
  maxAgents: false,
  branchTimeoutMs: false,
  convergenceTimeoutMs: 300_000,
  stepTimeoutMs: 120_000,
  convergencePolicy: {},
  convergence: true,
  errorRouting: true,
};

export type Reply =
  | unknown
  | { invoke: [string, unknown] }
  | { parallel: [string, unknown][] }
  | { final: unknown }
  | { ask: unknown };
/** A script per node: called with the plain input; returns a value or a command, or throws. */
export type Script = Record<string, (input: any, offer: StepOffer) => Reply>;

export const invoke = (agent: string, input: unknown) => ({ $: "invoke", agent, input });
export const parallel = (...items: [string, unknown][]) => ({ $: "parallel", items });
export const final = (value: unknown) => ({ $: "final", value });
export const ask = (prompt: unknown) => ({ $: "ask", prompt });

export interface Play {
  state: SessionState;
  readonly events: KernelEvent[];
  readonly facts: { fact: Fact; atMs: number }[];
  /** Steps out, in offer order. */
  readonly out: Map<string, StepOffer>;
  readonly calls: { node: string; input: unknown }[];
  readonly timers: Map<string, number>;
  send(fact: Fact): string | undefined;
  /** Ends one step by its node's script. */
  step(stepId: string): void;
  /** Runs steps until none is out. `pick` chooses among those out. */
  run(pick?: (stepIds: string[]) => string): Play;
  answer(value: unknown, questionId?: string): void;
  at: number;
  readonly result: unknown;
  readonly error: ErrorData | null;
  inputs(node: string): unknown[];
}

export function plain(stored: Stored): unknown {
  if ("v" in stored) return stored.v;
  if ("list" in stored) return stored.list.map(plain);
  throw new Error("no blobs here");
}

export function inputValue(input: StepOffer["input"]): unknown {
  if (input.kind === "value") return plain(input.value);
  return input.items.map((item) =>
    "value" in item ? { from: item.from, value: plain(item.value) } : { from: item.from, error: item.error.message },
  );
}

function outcomeOf(reply: any): Outcome {
  const v = (value: unknown): Stored => ({ v: value ?? null });
  switch (reply?.$) {
    case "invoke":
      return { kind: "invoke", agent: reply.agent, input: v(reply.input) };
    case "parallel":
      return {
        kind: "parallel",
        items: reply.items.map(([agent, input]: [string, unknown]) => ({ agent, input: v(input) })),
      };
    case "final":
      return { kind: "final", value: v(reply.value) };
    case "ask":
      return { kind: "ask", prompt: v(reply.prompt) };
    default:
      return { kind: "value", value: v(reply) };
  }
}

/** Conditions of these tests are labels: they hold when the output is that string, or has it in `route`. */
function judge(state: SessionState, edges: readonly number[], value: any): number[] {
  const plan = planOf(state);
  return edges.filter((id) => {
    const { condition } = plan.edges[id]!.data;
    return value === condition || value?.route === condition || value?.[condition ?? ""] === true;
  });
}

export function play(
  topology: unknown,
  script: Script,
  options: { task?: unknown; limits?: Partial<RunLimits> } = {},
): Play {
  const { data, problems } = readTopology(topology);
  const errors = problems.filter((p) => p.severity === "error");
  if (errors.length > 0) throw new Error(errors.map((p) => `${p.path}: ${p.message}`).join("\n"));
  const limits = { ...LIMITS, ...options.limits };
  const plan = compilePlan(data, { errorRouting: limits.errorRouting });
  const world: Play = {
    state: initialState("s"),
    events: [],
    facts: [],
    out: new Map(),
    calls: [],
    timers: new Map(),
    at: 0,
    send(fact) {
      world.at += 1;
      const { state, effects, events, refused } = reduce(world.state, fact, world.at);
      if (refused !== undefined) return refused;
      world.facts.push({ fact, atMs: world.at });
      world.state = state;
      world.events.push(...events);
      effects.forEach(carryOut);
      return undefined;
    },
    step(stepId) {
      const offer = world.out.get(stepId)!;
      const input = inputValue(offer.input);
      world.calls.push({ node: offer.node, input });
      const common = { stepId, attempt: offer.attempt, tookMs: 1 };
      let fact: Fact;
      try {
        const reply = script[offer.node] === undefined ? input : script[offer.node]!(input, offer);
        const outcome = outcomeOf(reply);
        const held =
          outcome.kind === "value" || outcome.kind === "final"
            ? judge(world.state, edgesToJudge(world.state, { stepId }, "value"), plain(outcome.value))
            : [];
        fact = { type: "step.succeeded", ...common, outcome, held };
      } catch (error) {
        const message = (error as Error).message;
        const held = judge(world.state, edgesToJudge(world.state, { stepId }, "error"), message);
        fact = {
          type: "step.failed",
          ...common,
          class: "permanent",
          error: { code: "ORCH_AGENT_FAILED", message },
          held,
        };
      }
      world.out.delete(stepId);
      world.send(fact);
    },
    run(pick = (ids) => ids[0]!) {
      for (let i = 0; world.out.size > 0; i++) {
        if (i > 5_000) throw new Error("does not come to an end");
        world.step(pick([...world.out.keys()]));
      }
      return world;
    },
    answer(value, questionId = world.state.run!.questions[0]!.questionId) {
      const held = judge(world.state, edgesToJudge(world.state, { questionId }, "value"), value);
      const refused = world.send({ type: "user.answered", questionId, value: { v: value }, held });
      if (refused !== undefined) throw new Error(refused);
    },
    get result() {
      const value = world.state.run?.end?.value;
      if (value == null) return undefined;
      return value.kind === "one" ? plain(value.value) : value.values.map(plain);
    },
    get error() {
      return world.state.run?.end?.error ?? null;
    },
    inputs: (node) => world.calls.filter((call) => call.node === node).map((call) => call.input),
  };
  const carryOut = (effect: Effect): void => {
    if (effect.type === "step.offer") world.out.set(effect.offer.stepId, effect.offer);
    else if (effect.type === "step.abort") world.out.delete(effect.stepId);
    else if (effect.type === "timer.arm") world.timers.set(effect.timerId, effect.dueAtMs);
    else if (effect.type === "timer.disarm") world.timers.delete(effect.timerId);
  };
  const task = options.task ?? "task";
  const held = entryEdgesToJudge(plan).filter((id) => plan.edges[id]!.data.condition === task);
  world.send({ type: "run.started", runId: "r1", task: { v: task }, topology: data, topologyHash: "h", limits, held });
  return world;
}
