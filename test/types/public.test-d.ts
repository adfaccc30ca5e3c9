import {
  AgentPool,
  AgentRegistry,
  defineAgent,
  Edge,
  LevelStorage,
  memoryStorage,
  MetricsCollector,
  next,
  Orchestra,
  OrchestraInstance,
  PatternConfig,
  StateManager,
  StatusConfig,
  type AgentContext,
  type OrchestraHandle,
  type OrchestraResult,
  type RunEvent,
} from "orchestra";
import { describe, expectTypeOf, it } from "vitest";
import { z } from "zod";

const agents = { A: (text: string, ctx: AgentContext) => `${text} ${ctx.node}` };
const topology = { nodes: ["A"] };

describe("what must compile", () => {
  it("runs, streams and instances", () => {
    expectTypeOf(Orchestra.run({ task: "x", topology, agents })).resolves.toEqualTypeOf<OrchestraResult>();
    expectTypeOf(Orchestra.stream({ task: { any: 1 }, topology, agents })).toEqualTypeOf<OrchestraHandle>();
    expectTypeOf<OrchestraHandle>().toExtend<AsyncIterable<RunEvent>>();
    const orchestra = new OrchestraInstance({
      agents,
      stateManager: new StateManager({ storage: new LevelStorage("./state") }),
    });
    expectTypeOf(orchestra).toExtend<AsyncDisposable>();
    expectTypeOf(orchestra.execute("task", { sessionId: "s" })).resolves.toEqualTypeOf<OrchestraResult>();
    expectTypeOf(orchestra.pauseSession("s", "why", { inFlight: "abort" })).resolves.toEqualTypeOf<boolean>();
  });

  it("every form of a topology", () => {
    void Orchestra.run({
      task: "x",
      topology: PatternConfig.pipeline({ stages: [{ name: "s", agents: ["A"] }] }),
      agents,
    });
    void Orchestra.run({
      task: "x",
      topology: {
        agents: ["A", "B"],
        flows: ["A -> B", ["B", "A"], Edge("A", "B", { metadata: { condition: "valid" } })],
      },
      agents,
    });
  });

  it("every form of an agent", () => {
    void Orchestra.run({
      task: "x",
      topology,
      agents: {
        fn: () => 1,
        async: async (input: { n: number }) => input.n,
        command: () => next.final(1),
        object: { run: (input: unknown) => input },
        pool: new AgentPool({ name: "pool", size: 1, create: () => (input: unknown) => input }),
        nested: { topology: { nodes: ["B"] }, agents: { B: () => 2 } },
        pattern: PatternConfig.ring({ agents: ["A", "B"] }),
        defined: defineAgent({ name: "defined", run: () => 1 }),
      },
    });
    void Orchestra.run({ task: "x", topology, agents: new AgentRegistry(agents) });
    void Orchestra.run({
      task: "x",
      topology,
      agentRegistry: new AgentRegistry(),
      metricsCollector: new MetricsCollector(),
    });
  });

  it("schemas that give an agent its types", () => {
    defineAgent({
      name: "A",
      input: z.object({ n: z.coerce.number() }),
      output: z.object({ twice: z.number() }),
      run: (input) => {
        expectTypeOf(input).toEqualTypeOf<{ n: number }>();
        return { twice: input.n * 2 };
      },
    });
    defineAgent({ name: "A", output: z.string(), run: () => next.invoke("B") });
  });

  it("events by their type", () => {
    const show = (event: RunEvent): unknown => {
      if (event.type === "step.failed") return event.error.code;
      if (event.type === "step.chunk") return event.chunk;
      return event.seq;
    };
    expectTypeOf(show).parameter(0).toEqualTypeOf<RunEvent>();
  });

  it("bounds switched off", () => {
    void Orchestra.run({
      task: "x",
      topology,
      agents,
      maxSteps: false,
      budget: { tokens: false },
      executionConfig: { stepTimeoutMs: false, branchTimeoutMs: false, status: StatusConfig.fromVerbosity(0) },
    });
  });
});

describe("what must not compile", () => {
  it("options that do not exist, or of the wrong kind", () => {
    // @ts-expect-error there is no such option
    void Orchestra.run({ task: "x", topology, agents, maxStep: 3 });
    // @ts-expect-error a task is text or a plain object
    void Orchestra.run({ task: 5, topology, agents });
    // @ts-expect-error a run needs a topology
    void Orchestra.run({ task: "x", agents });
    // @ts-expect-error true is no bound
    void Orchestra.run({ task: "x", topology, agents, executionConfig: { stepTimeoutMs: true } });
    // @ts-expect-error there is no such policy
    void Orchestra.run({ task: "x", topology, agents, executionConfig: { convergencePolicy: "most" } });
    // @ts-expect-error there is no such verbosity
    StatusConfig.fromVerbosity(3);
    // @ts-expect-error a state manager needs a store
    void new StateManager({ autoSaveIntervalMs: 5, storage: "./state" });
    // @ts-expect-error there is no such metric
    new MetricsCollector().getMetric("speed");
  });

  it("an output that its schema refuses", () => {
    // @ts-expect-error the schema wants a number
    defineAgent({ name: "A", output: z.number(), run: () => "text" });
  });

  it("changing what is read-only", () => {
    const result = {} as OrchestraResult;
    // @ts-expect-error a result is what happened
    result.status = "completed";
    void memoryStorage;
  });
});
