// Spans of real runs, as OpenTelemetry's own SDK would export them.

import { AsyncLocalStorage } from "node:async_hooks";
import { context, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, type Context } from "@opentelemetry/api";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  type ReadableSpan,
} from "@opentelemetry/sdk-trace-base";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";

import {
  createLocalBus,
  memoryStorage,
  next,
  Orchestra,
  OrchestraHost,
  OrchestraInstance,
  StateManager,
  systemClock,
  type RunEvent,
} from "orchestra";
import { defineTool, modelAgent } from "orchestra/agents";
import { createSpanObserver, traceparentOf, type SpanObserver, type SpanObserverOptions } from "orchestra/telemetry";
import { startModelServer } from "../support/model-server.ts";

let exporter: InMemorySpanExporter;
let provider: BasicTracerProvider;
beforeEach(() => {
  exporter = new InMemorySpanExporter();
  provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
});
afterEach(() => provider.shutdown());

const observer = (options: SpanObserverOptions = {}): Promise<SpanObserver> =>
  createSpanObserver({ tracerProvider: provider, ...options });
const spans = (): ReadableSpan[] => exporter.getFinishedSpans();
const named = (name: string): ReadableSpan => {
  const found = spans().find((span) => span.name === name);
  if (found === undefined)
    throw new Error(
      `no span ${name} among ${spans()
        .map((span) => span.name)
        .join(", ")}`,
    );
  return found;
};
const parentOf = (span: ReadableSpan): string | undefined =>
  spans().find((one) => one.spanContext().spanId === span.parentSpanContext?.spanId)?.name;
const ms = ([seconds, nanos]: readonly [number, number]): number => seconds * 1_000 + nanos / 1e6;

const pair = { nodes: ["A", "B"], edges: ["A -> B"] };

describe("the spans of a run", () => {
  it("are the run, its steps, and the calls of models and tools in them, by the names of the convention", async () => {
    await using server = await startModelServer([
      { toolCalls: [{ id: "c1", name: "add", input: { a: 1, b: 2 } }] },
      { text: "it is 3", usage: { input: 30, output: 4 } },
    ]);
    const models = createOpenAICompatible({ name: "test", baseURL: server.url, includeUsage: true });
    const add = defineTool({
      name: "add",
      input: z.object({ a: z.number(), b: z.number() }),
      run: ({ a, b }: { a: number; b: number }) => a + b,
    });
    const Reckoner = modelAgent({
      name: "Reckoner",
      model: models("small"),
      instructions: "Reckon.",
      tools: [add],
      price: { input: 1, output: 10 },
    });
    const result = await Orchestra.run({
      task: "1 + 2?",
      topology: { nodes: ["Reckoner"], edges: [] },
      agents: { Reckoner },
      observers: [await observer({ workflowName: "sums" })],
    });
    expect(result.orThrow().finalResponse).toBe("it is 3");
    expect(spans().map(({ name }) => name)).toEqual([
      "chat small",
      "execute_tool add",
      "chat small",
      "invoke_agent Reckoner",
      "invoke_workflow",
    ]);
    const { sessionId, runId } = result;
    expect(named("invoke_workflow").attributes).toMatchObject({
      "gen_ai.operation.name": "invoke_workflow",
      "gen_ai.workflow.name": "sums",
      "gen_ai.conversation.id": sessionId,
      "orchestra.run.id": runId,
      "orchestra.run.status": "completed",
    });
    expect(named("invoke_agent Reckoner").attributes).toMatchObject({
      "gen_ai.operation.name": "invoke_agent",
      "gen_ai.agent.name": "Reckoner",
      "gen_ai.usage.input_tokens": 40,
      "gen_ai.usage.output_tokens": 9,
      "orchestra.attempt": 1,
    });
    const [, , chat] = spans();
    expect(chat).toMatchObject({
      kind: SpanKind.CLIENT,
      attributes: {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "test.chat",
        "gen_ai.request.model": "small",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 30,
        "gen_ai.usage.output_tokens": 4,
        "orchestra.usage.cost_usd": 70 / 1_000_000,
      },
    });
    expect(named("execute_tool add").attributes).toEqual({
      "gen_ai.operation.name": "execute_tool",
      "gen_ai.tool.name": "add",
      "gen_ai.tool.call.id": expect.any(String),
    });
    expect(spans().map(parentOf)).toEqual([
      "invoke_agent Reckoner",
      "invoke_agent Reckoner",
      "invoke_agent Reckoner",
      "invoke_workflow",
      undefined,
    ]);
    expect(new Set(spans().map((span) => span.spanContext().traceId))).toEqual(
      new Set([traceparentOf({ sessionId, runId }).split("-")[1]]),
    );
  });

  it("begin and end when the steps did, each attempt of a step on its own", async () => {
    let tries = 0;
    await Orchestra.run({
      task: "t",
      topology: pair,
      agents: {
        A: () => {
          if (++tries === 1) throw Object.assign(new Error("busy with secrets"), { retryable: true });
          return "a";
        },
        B: (x) => x,
      },
      executionConfig: { retry: { transient: { initialDelayMs: 5 } } },
      observers: [await observer()],
    });
    const attempts = spans().filter(({ name }) => name === "invoke_agent A");
    expect(attempts.map(({ attributes, status }) => [attributes["orchestra.attempt"], status])).toEqual([
      [1, { code: SpanStatusCode.ERROR }],
      [2, { code: SpanStatusCode.UNSET }],
    ]);
    expect(attempts[0]?.attributes["error.type"]).toBe("ORCH_AGENT_FAILED");
    const [run, b] = [named("invoke_workflow"), named("invoke_agent B")];
    for (const one of [...attempts, b]) {
      expect(ms(one.startTime)).toBeGreaterThanOrEqual(ms(run.startTime));
      expect(ms(one.endTime)).toBeLessThanOrEqual(ms(run.endTime));
    }
    expect(ms(b.startTime)).toBeGreaterThanOrEqual(ms(attempts[1]?.endTime ?? [0, 0]));
  });

  it("hold nothing that was said, unless they are told to", async () => {
    const told = async (captureContent?: boolean): Promise<string> => {
      exporter.reset();
      await Orchestra.run({
        task: "a private task",
        topology: pair,
        agents: { A: () => "a private value", B: () => next.fail(new Error("a private failure")) },
        observers: [await observer(captureContent === undefined ? {} : { captureContent })],
      });
      return JSON.stringify(spans().map(({ name, attributes, status, events }) => [name, attributes, status, events]));
    };
    expect(await told()).not.toContain("private");
    const captured = await told(true);
    for (const what of ["task", "value", "failure"]) expect(captured).toContain(`a private ${what}`);
  });

  it("are linked to the span that started the run in this process", async () => {
    const current = new AsyncLocalStorage<Context>();
    context.setGlobalContextManager({
      active: () => current.getStore() ?? ROOT_CONTEXT,
      with: (one, run, self, ...args) => current.run(one, () => Reflect.apply(run, self, args)),
      bind: (_, target) => target,
      enable: () => context as never,
      disable: () => context as never,
    });
    try {
      const tracer = provider.getTracer("server");
      const request = tracer.startSpan("GET /");
      const options = {
        task: "t",
        topology: pair,
        agents: { A: () => "a", B: () => "b" },
        observers: [await observer()],
      };
      await context.with(trace.setSpan(ROOT_CONTEXT, request), () => Orchestra.run(options));
      expect(named("invoke_workflow").links.map((link) => link.context.spanId)).toEqual([request.spanContext().spanId]);
    } finally {
      context.disable();
    }
  });

  it("stay in one trace when the run waits, and goes on in another process", async () => {
    const storage = memoryStorage();
    const agents = {
      A: (_: unknown, ctx: { question?: { input: unknown } }) =>
        ctx.question === undefined ? next.ask("go on?") : "a",
      B: () => "b",
    };
    const open = async () =>
      new OrchestraInstance({
        topology: pair,
        agents,
        stateManager: new StateManager({ storage }),
        observers: [await observer()],
        communicationConfig: { channel: "none" },
      });
    {
      await using first = await open();
      expect((await first.execute({ task: "t", sessionId: "s" })).status).toBe("awaiting_user");
    }
    await using second = await open();
    const result = await second.resumeSession("s", { userResponse: "yes" });
    expect(result.orThrow().finalResponse).toBe("b");
    const stretches = spans().filter(({ name }) => name === "invoke_workflow");
    expect(stretches.map(({ attributes }) => attributes["orchestra.run.status"])).toEqual([
      "awaiting_user",
      "completed",
    ]);
    expect(new Set(spans().map((span) => span.spanContext().traceId)).size).toBe(1);
    expect(parentOf(named("invoke_agent B"))).toBe("invoke_workflow");
  });

  it("are told by the host that owns the session, from the beginning of a run that nobody had", async () => {
    const bus = { ...createLocalBus({ clock: systemClock() }), sessions: memoryStorage() };
    await using host = new OrchestraHost({
      bus,
      agents: { A: () => "a", B: () => "b" },
      observers: [await observer()],
    });
    await host.start();
    await using client = new OrchestraInstance({ topology: pair, bus });
    const result = await client.execute({ task: "t" });
    expect(result.orThrow().finalResponse).toBe("b");
    await host.drain();
    expect(spans().map(({ name }) => name)).toEqual(["invoke_agent A", "invoke_agent B", "invoke_workflow"]);
    expect(named("invoke_workflow").attributes["orchestra.run.began_with"]).toBe("run.started");
    expect(host.status()).toMatchObject({ state: "draining", attempts: { A: { succeeded: 1, failed: 0 } } });
  });

  it("are made of the share of runs that was asked for, the same runs everywhere", async () => {
    const traced = async (sampleShare: number, observers: number): Promise<string[]> => {
      exporter.reset();
      const all = await Promise.all(Array.from({ length: observers }, () => observer({ sampleShare })));
      for (let i = 0; i < 20; i++)
        for (const one of all) one.observe({ seq: 1, at: 1, sessionId: `s${i}`, runId: "r", type: "run.resumed" });
      for (const one of all) one.close();
      return spans().map((span) => span.spanContext().traceId);
    };
    expect(await traced(0, 1)).toEqual([]);
    expect(await traced(1, 1)).toHaveLength(20);
    const half = await traced(0.5, 2);
    // Which runs they are follows from their names.
    expect(half.length).toBeGreaterThan(0);
    expect(half.length).toBeLessThan(40);
    for (const id of half) expect(half.filter((one) => one === id)).toHaveLength(2);
    await expect(createSpanObserver({ sampleShare: 2 })).rejects.toMatchObject({ code: "ORCH_BAD_OPTION" });
  });

  it("of steps that never end are ended with their run, when the step is begun anew, or when the run is restored", async () => {
    const one = await observer();
    const at = 1_700_000_000_000;
    const run = { seq: 1, at, sessionId: "s", runId: "r" };
    const started = (stepId: string) =>
      one.observe({
        ...run,
        type: "step.started",
        stepId,
        node: stepId,
        attempt: 1,
        input: null,
      } as unknown as RunEvent);
    const told = () => spans().map(({ name }) => name);
    one.observe({ ...run, type: "run.resumed" });
    for (const stepId of ["A", "A", "B"]) started(stepId);
    expect(told()).toEqual(["invoke_agent A"]);
    one.observe({ ...run, type: "run.paused" });
    expect(told()).toEqual(["invoke_agent A", "invoke_workflow"]);
    one.observe({ ...run, type: "run.restored" } as unknown as RunEvent);
    expect(told().slice(2)).toEqual(["invoke_agent A", "invoke_agent B"]);
    started("C");
    one.observe({ ...run, at: at + 7, type: "run.cancelled" } as unknown as RunEvent);
    expect(told().slice(4)).toEqual(["invoke_agent C", "invoke_workflow"]);
    expect(spans().map(({ endTime }) => ms(endTime))).toEqual([at, at, at, at, at + 7, at + 7]);
    one.close();
    expect(spans()).toHaveLength(6);
  });
});
