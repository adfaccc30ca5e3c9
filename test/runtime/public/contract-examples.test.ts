// The examples the contract lists, as a user would write them.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import {
  AgentPool,
  AgentRegistry,
  callbackChannel,
  defineAgent,
  Edge,
  LevelStorage,
  memoryStorage,
  MetricsCollector,
  next,
  Orchestra,
  OrchestraInstance,
  OrchestraResult,
  PatternConfig,
  StateManager,
  StatusConfig,
} from "orchestra";
import { beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "orchestra-contract-"));
  return () => rmSync(folder, { recursive: true, force: true });
});

describe("the contract's examples", () => {
  it("run in one line", async () => {
    const result = await Orchestra.run({
      task: "Research AI trends and write a report",
      topology: { nodes: ["Researcher", "Writer"], edges: ["Researcher -> Writer"] },
      agents: {
        Researcher: async (input: string, ctx) => ({ topic: input, by: ctx.node }),
        Writer: defineAgent({
          name: "Writer",
          input: z.object({ topic: z.string() }),
          run: ({ topic }) => `Report: ${topic}`,
        }),
      },
    });
    expect(result.orThrow().finalResponse).toBe("Report: Research AI trends and write a report");
    expect(result).toMatchObject({
      success: true,
      status: "completed",
      totalSteps: 2,
      error: null,
      metadata: { durability: "memory", terminalReason: "completed" },
    });
  });

  it("run configured", async () => {
    const lines: string[] = [];
    const agentRegistry = new AgentRegistry({
      Researcher: (task: string) => `notes on ${task}`,
      Writer: (notes: string) => `report from ${notes}`,
    });
    const result = await Orchestra.run({
      task: "AI",
      topology: {
        agents: ["User", "Researcher", "Writer"],
        flows: ["User -> Researcher", "Researcher -> Writer", "Writer -> User"],
        rules: ["timeout(300)", "max_steps(20)"],
      },
      agentRegistry,
      context: { audience: "engineers" },
      maxSteps: 50,
      budget: { tokens: 10_000, costUsd: 1 },
      executionConfig: {
        convergenceTimeoutMs: 60_000,
        branchTimeoutMs: 600_000,
        stepTimeoutMs: 30_000,
        dynamicConvergenceEnabled: true,
        steeringMode: "auto",
        convergencePolicy: { minRatio: 0.5, onInsufficient: "proceed" },
        retry: { transient: { maxAttempts: 2, initialDelayMs: 1 } },
        status: StatusConfig.fromVerbosity(1, { output: { write: (line) => lines.push(line) } }),
      },
    });
    expect(result.orThrow().finalResponse).toBe("report from notes on AI");
    expect(lines.join("")).toMatch(/Researcher ✓.*Writer ✓.*completed/s);
  });

  it("summarise with one node and no edges", async () => {
    const result = await Orchestra.run({
      task: "a long text",
      topology: { nodes: ["Summarizer"], edges: [] },
      agents: { Summarizer: (text: string) => `${text.length} characters` },
    });
    expect(result.getFinalResponseAsText()).toBe("11 characters");
  });

  it("call parallel spokes from a hub, with state and follow-ups", async () => {
    const questions = ["And tomorrow?", ""];
    const asked: unknown[] = [];
    const hub = (
      input: unknown,
      ctx: { replies?: readonly { value?: unknown }[]; session: { transcript: readonly unknown[] } },
    ) =>
      ctx.replies === undefined
        ? input
        : `${ctx.replies.map((reply) => reply.value).join(" + ")} (after ${ctx.session.transcript.length})`;
    const stateManager = new StateManager({ storage: new LevelStorage(join(folder, "state")) });
    const result = await Orchestra.run({
      task: "today",
      topology: PatternConfig.hubAndSpoke({ hub: "Coordinator", spokes: ["Weather", "News"], parallelSpokes: true }),
      agents: { Coordinator: hub, Weather: (day: string) => `sun ${day}`, News: (day: string) => `calm ${day}` },
      stateManager,
      allowFollowUps: true,
      followUpTimeoutMs: 5_000,
      communicationConfig: {
        channel: callbackChannel((question) => {
          asked.push(question.kind);
          return questions.shift();
        }),
      },
    });
    expect(result.orThrow().finalResponse).toBe("sun today + calm today (after 0)");
    expect(result.metadata.durability).toBe("disk");
    expect(asked).toEqual(["follow-up", "follow-up"]);
    expect(result.followUps.map((answer) => answer.finalResponse)).toEqual([
      expect.stringMatching(/^sun And tomorrow\? \+ calm And tomorrow\? \(after [^0]/),
    ]);
  });

  it("pause a three-stage pipeline on needs_review, resume it with added context, and go back to a named checkpoint", async () => {
    const stateManager = new StateManager({ storage: new LevelStorage(join(folder, "state")) });
    await using orchestra = new OrchestraInstance({
      topology: PatternConfig.pipeline({
        stages: [
          { name: "extract", agents: ["Extractor"] },
          { name: "review", agents: ["Reviewer"] },
          { name: "publish", agents: ["Publisher"] },
        ],
      }),
      agents: {
        Extractor: async (text: string, ctx) => {
          if (ctx.context["reviewer"] === undefined) await orchestra.pauseSession(ctx.sessionId, "needs_review");
          return { text, status: "needs_review" };
        },
        Reviewer: ({ text }: { text: string }, ctx) => `${text}, reviewed by ${String(ctx.context["reviewer"])}`,
        Publisher: (text: string) => `published: ${text}`,
      },
      stateManager,
    });
    const paused = await orchestra.execute({ task: "the text", sessionId: "pipeline" });
    expect(paused).toMatchObject({
      status: "paused",
      success: false,
      metadata: { durability: "disk", terminalReason: "paused", pausedReason: "needs_review" },
    });
    expect(() => paused.orThrow()).toThrow("needs_review");

    const checkpoint = await orchestra.createCheckpoint("pipeline", "before-review");
    const done = await orchestra.resumeSession("pipeline", { additionalContext: { reviewer: "Ada" } });
    expect(done.orThrow().finalResponse).toBe("published: the text, reviewed by Ada");
    expect(done.getAgentInvocationCount("Extractor")).toBe(1);

    expect((await orchestra.listCheckpoints("pipeline")).map(({ name }) => name)).toEqual(["before-review"]);
    expect(await orchestra.restoreCheckpoint(checkpoint)).toBe(true);
    const again = await orchestra.resumeSession("pipeline", { additionalContext: { reviewer: "Grace" } });
    expect(again.orThrow().finalResponse).toBe("published: the text, reviewed by Grace");
  });

  it("look into a result: branch statistics and JSON", async () => {
    const result = await Orchestra.run({
      task: "x",
      topology: {
        nodes: ["Split", "Good", "Bad", "Join"],
        edges: ["Split -> Good", "Split -> Bad", "Good -> Join", "Bad -> Join"],
      },
      agents: {
        Split: (task: string) => task,
        Good: () => "good",
        Bad: () => {
          throw new Error("bad luck");
        },
        Join: (arrivals: readonly { from: string; value: unknown }[]) =>
          arrivals.map(({ from, value }) => `${from}=${String(value)}`).join(),
      },
      executionConfig: { convergencePolicy: { minRatio: 0.5, onInsufficient: "proceed" } },
    });
    expect(result.orThrow().finalResponse).toBe("Good=good");
    expect(result.getFailedBranches()).toHaveLength(1);
    expect(result.getFailedBranches()[0]?.error).toMatchObject({ message: expect.stringContaining("bad luck") });
    expect(result.metadata.partial).toBe(true);
    expect([result.wasAgentInvoked("Bad"), result.getAgentInvocationCount("Join")]).toEqual([true, 1]);
    expect(result.getMetrics().branches.failed).toBe(1);

    const file = join(folder, "result.json");
    writeFileSync(file, JSON.stringify(result));
    const back = OrchestraResult.fromJSON(JSON.parse(readFileSync(file, "utf8")));
    expect(back.getMetrics()).toEqual(result.getMetrics());
    expect(back.getExecutionTrace()).toEqual(result.getExecutionTrace());
  });

  it.each([
    [5, "A: 5"],
    [-5, "B: -5"],
  ])("take one of two ways by a condition (%d)", async (n, expected) => {
    const result = await Orchestra.run({
      task: { n },
      topology: {
        nodes: ["Validator", "ProcessorA", "ProcessorB", "Finalizer"],
        edges: [
          Edge("Validator", "ProcessorA", { metadata: { condition: "valid" } }),
          Edge("Validator", "ProcessorB", { metadata: { condition: "invalid" } }),
          "ProcessorA -> Finalizer",
          "ProcessorB -> Finalizer",
        ],
      },
      agents: {
        Validator: (task: { n: number }) => task,
        ProcessorA: (task: { n: number }) => `A: ${task.n}`,
        ProcessorB: (task: { n: number }) => `B: ${task.n}`,
        Finalizer: finalValue,
      },
      conditions: { valid: ({ output }) => output.n > 0, invalid: ({ output }) => output.n <= 0 },
    });
    expect(result.orThrow().finalResponse).toBe(expected);
  });

  it("choose specialists at run time from the context", async () => {
    const topology = {
      nodes: ["Planner", "Legal", "Finance", "Tech"],
      edges: ["Planner <-> Legal", "Planner <-> Finance", "Planner <-> Tech"],
    };
    const specialist = (name: string) => (question: string) => `${name}: ${question}`;
    const result = await Orchestra.run({
      task: "merge?",
      topology,
      context: { experts: ["Legal", "Tech"] },
      agents: {
        Planner: (input: string, ctx) =>
          ctx.replies === undefined
            ? next.parallel((ctx.context["experts"] as string[]).map((agent) => ({ agent, input })))
            : next.final(ctx.replies.map((reply) => reply.value)),
        Legal: specialist("legal"),
        Finance: specialist("finance"),
        Tech: specialist("tech"),
      },
    });
    expect(result.orThrow().finalResponse).toEqual(["legal: merge?", "tech: merge?"]);
    expect(result.wasAgentInvoked("Finance")).toBe(false);
  });

  it("continue one session over three runs, each reading the last", async () => {
    const stateManager = new StateManager({ storage: memoryStorage() });
    const run = (task: string) =>
      Orchestra.run({
        task,
        topology: { nodes: ["Teller"], edges: [] },
        agents: {
          Teller: (input: string, ctx) =>
            [...ctx.session.runs.map((earlier) => String(earlier.finalResponse)).slice(-1), input].join(" → "),
        },
        context: { session_id: "story" },
        stateManager,
      });
    await run("one");
    await run("two");
    expect((await run("three")).orThrow().finalResponse).toBe("one → two → three");
  });

  it("recover from an error by plain strings, with error routing on", async () => {
    const errors: unknown[] = [];
    const result = await Orchestra.run({
      task: "risky",
      topology: {
        nodes: ["User", "MainProcessor", "ErrorHandler", "Fallback"],
        edges: [
          "User -> MainProcessor",
          "MainProcessor -> User",
          "MainProcessor -> ErrorHandler",
          "ErrorHandler -> Fallback",
          "Fallback -> User",
        ],
      },
      agents: {
        MainProcessor: () => {
          throw new Error("main is down");
        },
        ErrorHandler: (input: string, ctx) => {
          errors.push(ctx.error?.message);
          return input;
        },
        Fallback: (input: string) => `fallback for ${input}`,
      },
      errorConfig: { enableErrorRouting: true, preserveErrorContext: true },
    });
    expect(result.orThrow().finalResponse).toBe("fallback for risky");
    expect(errors).toEqual([expect.stringContaining("main is down")]);
  });

  it("manage state: save, list, export, import, verify, delete", async () => {
    const stateManager = new StateManager({
      storage: new LevelStorage(join(folder, "a")),
      autoSaveIntervalMs: 60_000,
      compression: true,
    });
    await using orchestra = new OrchestraInstance({
      topology: { nodes: ["A"] },
      agents: { A: (input: string) => input.toUpperCase() },
      stateManager,
    });
    const result = await orchestra.execute("hello", { sessionId: "s1" });
    expect(result.orThrow().finalResponse).toBe("HELLO");
    expect(await orchestra.listSessions({ status: "completed" })).toMatchObject([{ sessionId: "s1" }]);

    const file = join(folder, "s1.orchestra");
    await stateManager.exportSession("s1", file);
    const other = new StateManager({ storage: memoryStorage() });
    expect(await other.importSession(file)).toBe("s1");
    expect(await other.verify()).toMatchObject({ ok: true, sessions: 1 });
    expect((await stateManager.stats()).sessions).toBe(1);

    expect(await orchestra.deleteSession("s1")).toBe(true);
    expect(await orchestra.getSession("s1")).toBeNull();
  });

  it("measure", async () => {
    const metricsCollector = new MetricsCollector({
      enabled: true,
      exportIntervalMs: 60_000,
      exporters: ["prometheus"],
    });
    await Orchestra.run({
      task: "x",
      topology: { nodes: ["Model"] },
      agents: {
        Model: (_input: unknown, ctx) => {
          ctx.usage({ inputTokens: 100, outputTokens: 20, costUsd: 0.01, model: "m" });
          return "ok";
        },
      },
      metricsCollector,
    });
    expect(metricsCollector.getMetric("api_calls")).toBe(1);
    expect(metricsCollector.getMetric("total_tokens")).toBe(120);
    expect(await metricsCollector.prometheus()).toContain("orchestra_total_tokens_total 120");
    metricsCollector.close();
  });

  it("lease agents from a pool, and clean up", async () => {
    const disposed: number[] = [];
    const pool = new AgentPool({
      name: "Browser",
      size: 2,
      create: (index) => ({ index, run: async (input: string) => (await new Promise(setImmediate), `${input}!`) }),
      dispose: (instance) => void disposed.push(instance.index),
      acquireTimeoutMs: 5_000,
    });
    const result = await Orchestra.run({
      task: ["a", "b", "c", "d"].join(),
      topology: { nodes: ["Fan", "Browser"], edges: ["Fan <-> Browser"] },
      agents: {
        Fan: (input: string, ctx) =>
          ctx.replies === undefined
            ? next.parallel(input.split(",").map((one) => ({ agent: "Browser", input: one })))
            : ctx.replies.map((reply) => reply.value),
        Browser: pool,
      },
    });
    expect(result.orThrow().finalResponse).toEqual(["a!", "b!", "c!", "d!"]);
    expect(pool.statistics()).toMatchObject({ created: 2, peakInUse: 2, leases: 4, inUse: 0 });
    await pool.cleanup();
    expect(disposed.sort()).toEqual([0, 1]);
  });
});

function finalValue(input: unknown): unknown {
  return Array.isArray(input) ? (input[0] as { value: unknown }).value : input;
}
