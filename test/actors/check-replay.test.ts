// A counterexample comes about in the real runtime when agents and people do what its schedule says.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  callbackChannel,
  Edge,
  next,
  Node,
  Orchestra,
  Topology,
  type AgentContext,
  type CheckFinding,
  type RunEvent,
  type ScheduledEnd,
  type TopologyInput,
} from "../../src/index.ts";
import { expectToHappen, seenIn, type Followed } from "./follow.ts";
import { startable, worldArbitrary } from "./random-worlds.ts";

/** Conditions hold of a text that names them. */
const naming = (held: readonly string[]): string => held.map((condition) => `<${condition}>`).join("");

/** Lets each step and question of a schedule end when it is its turn, and ends the run after the last. */
class Turns {
  readonly #schedule: readonly ScheduledEnd[];
  readonly #stop: () => void;
  readonly #waiting = new Map<string, (end: ScheduledEnd) => void>();
  readonly events: RunEvent[] = [];
  #at = 0;

  constructor(schedule: readonly ScheduledEnd[], stop: () => void) {
    this.#schedule = schedule.filter(({ of }) => of !== "task");
    this.#stop = stop;
  }

  async of(id: string): Promise<ScheduledEnd> {
    const turn = this.#schedule[this.#at];
    return turn?.id === id ? turn : new Promise((resolve) => this.#waiting.set(id, resolve));
  }

  observe(event: RunEvent): void {
    this.events.push(event);
    const turn = this.#schedule[this.#at];
    const ended =
      event.type === "step.succeeded" || event.type === "step.failed"
        ? event.stepId === turn?.id
        : event.type === "user.answered"
          ? event.questionId.endsWith(`/${turn?.id}`)
          : event.type === "run.started" && turn === undefined;
    if (!ended) return;
    const following = this.#schedule[++this.#at];
    if (following === undefined) setImmediate(this.#stop);
    else this.#waiting.get(following.id)?.(following);
  }
}

function outcomeOf({ end, to, held }: ScheduledEnd): unknown {
  switch (end) {
    case "failed":
      throw Object.assign(new Error(`as scheduled ${naming(held)}`), { retryable: false });
    case "final":
      return next.final(null);
    case "invoke":
      return next.invoke(to[0]!, null);
    case "parallel":
      return next.parallel(to.map((agent) => ({ agent, input: null })));
    case "value":
      return naming(held);
    default:
      return end;
  }
}

async function run(input: TopologyInput, { schedule }: CheckFinding): Promise<Followed> {
  const topology = Topology.from(input);
  const stop = new AbortController();
  const turns = new Turns(schedule, () => stop.abort());
  const act = async (_: unknown, ctx: AgentContext) => outcomeOf(await turns.of(ctx.stepId));
  const result = await Orchestra.run({
    task: naming(schedule[0]!.held) || "go",
    topology,
    agents: Object.fromEntries(topology.nodes.map(({ name }) => [name, act])) as never,
    conditions: Object.fromEntries(
      topology.edges.flatMap(({ condition: c }) =>
        c === undefined ? [] : [[c, ({ output }: { output: unknown }) => JSON.stringify(output).includes(`<${c}>`)]],
      ),
    ),
    communicationConfig: {
      channel: callbackChannel(async ({ questionId }) => outcomeOf(await turns.of(questionId.split("/").at(-1)!))),
    },
    metricsCollector: turns,
    maxSteps: 1_000,
    verbosity: 0,
    signal: stop.signal,
  });
  const { status, error, metadata } = result;
  return {
    status,
    error: error?.code === "ORCH_CANCELLED" ? null : error,
    boundsHit: metadata.boundsHit,
    ...seenIn(turns.events as never),
  };
}

const when = (from: string, to: string, condition: string, more = {}) => Edge(from, to, { condition, ...more });

const REFUTED: Record<string, TopologyInput> = {
  "a cycle without exit": { nodes: ["A", "B", "C"], edges: ["A -> B", "B -> C", "C -> B"] },
  "a join that can never be satisfied": {
    nodes: ["F", "A", "B", Node("J", { convergencePolicy: { quorum: 3 } })],
    edges: ["F -> A", "F -> B", "A -> J", "B -> J"],
  },
  "a spent loop": { nodes: ["A", "B"], edges: ["A -> B", when("B", "A", "again", { maxVisits: 2 })], entryPoint: "A" },
  "people, the task and a handler": {
    nodes: ["User", "A", "Boss", { name: "B" }, "H"],
    edges: [
      when("User", "A", "urgent"),
      Edge("A", "Boss"),
      when("Boss", "B", "yes"),
      Edge("B", "H", { on: "error", condition: "known" }),
    ],
  } as TopologyInput,
  "calls, conversations and commands": {
    nodes: ["H", "A", "B", "C", "D"],
    edges: ["H <-> A", "A -> B", when("B", "C", "on"), Edge("H", "D", { pattern: "conversation", maxTurns: 2 })],
  },
  "a person asked about a join": {
    nodes: ["F", "A", "B", Node("J", { convergencePolicy: { onInsufficient: "user" } })],
    edges: ["F -> A", "F -> B", "A -> J", "B -> J"],
  },
};

describe("a counterexample comes about in the runtime", () => {
  it.each(Object.entries(REFUTED))("of %s", async (_name, topology) => {
    const findings = Topology.from(topology)
      .check()
      .findings.filter(({ schedule }) => schedule.length > 0);
    expect(findings.length).toBeGreaterThan(0);
    for (const finding of findings) expectToHappen(finding, await run(topology, finding));
  });

  it("of random topologies", async () => {
    const kinds = ["->", "->", "->", "error", "notify", "<->", "<=>", "<~>", "<|>"];
    await fc.assert(
      fc.asyncProperty(worldArbitrary(false, kinds, ["yes", "maybe"]), async (world) => {
        if (!startable(world)) return;
        const topology = { nodes: world.nodes, edges: world.edges, entryPoint: "N0" } as TopologyInput;
        for (const finding of Topology.from(topology).check({ maxStates: 300 }).findings)
          if (finding.schedule.length > 0) expectToHappen(finding, await run(topology, finding));
      }),
      { numRuns: 40 },
    );
  });
});
