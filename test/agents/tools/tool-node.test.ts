import { describe, expect, it } from "vitest";
import { z } from "zod";

import { callTool, defineTool } from "../../../src/agents/index.ts";
import type { Tool } from "../../../src/agents/index.ts";
import {
  AgentRegistry,
  callbackChannel,
  Orchestra,
  OrchestraInstance,
  StateManager,
  memoryStorage,
} from "../../../src/index.ts";

const add = defineTool({
  name: "add",
  input: z.object({ a: z.number(), b: z.number() }),
  idempotent: true,
  run: ({ a, b }) => a + b,
});

const ofTool = { nodes: [{ name: "Sum", kind: "tool", uses: "add" }], edges: [] } as const;

describe("a tool node", () => {
  it("runs its tool with the value that reached it", async () => {
    const result = await Orchestra.run({
      task: { a: 1, b: 2 },
      topology: { nodes: ["Double", { name: "Sum", kind: "tool", uses: "add" }], edges: ["Double -> Sum"] },
      agents: { Double: ({ a, b }) => ({ a: 2 * a, b: 2 * b }), add },
    });
    expect(result.orThrow().finalResponse).toBe(6);
  });

  it("takes its tool from a registry, under the tool's own name", async () => {
    const result = await Orchestra.run({
      task: { a: 1, b: 2 },
      topology: ofTool,
      agents: new AgentRegistry([add]),
    });
    expect(result.orThrow().finalResponse).toBe(3);
  });

  it("fails with what does not fit the tool's schema", async () => {
    const result = await Orchestra.run({ task: { a: "one" }, topology: ofTool, agents: { add } });
    expect(result.error).toMatchObject({
      code: "ORCH_INVALID_INPUT",
      node: "Sum",
      message: expect.stringMatching(/a:/),
    });
  });

  it("refuses a blocked tool, also where the policy was changed by copying it", async () => {
    const calls: unknown[] = [];
    const tool = defineTool({ name: "add", run: (input) => void calls.push(input) });
    const blocked: Tool = { ...tool, policy: "block" };
    const result = await Orchestra.run({ task: {}, topology: ofTool, agents: { add: blocked } });
    expect(result.error).toMatchObject({ code: "ORCH_TOOL_REFUSED", node: "Sum" });
    expect(calls).toEqual([]);
  });

  const flaky = (idempotent: boolean): { tool: Tool; calls: () => number } => {
    let calls = 0;
    const run = (): string => {
      if (++calls < 3) throw Object.assign(new Error("busy"), { status: 503 });
      return "done";
    };
    return { tool: defineTool({ name: "add", idempotent, run }), calls: () => calls };
  };

  it("tries an idempotent tool again by the retry policy", async () => {
    const { tool, calls } = flaky(true);
    const retry = { transient: { initialDelayMs: 1 } };
    const options = { task: {}, topology: ofTool, agents: { add: tool }, executionConfig: { retry } };
    expect((await Orchestra.run(options)).orThrow().finalResponse).toBe("done");
    expect(calls()).toBe(3);
  });

  it("tries no other tool again", async () => {
    const { tool, calls } = flaky(false);
    const result = await Orchestra.run({ task: {}, topology: ofTool, agents: { add: tool } });
    expect(result.error).toMatchObject({ code: "ORCH_TOOL_FAILED", message: "busy" });
    expect(calls()).toBe(1);
  });

  it("ends a tool that takes too long, and tells it so", async () => {
    let aborted = false;
    const run = (_: unknown, { signal }: { signal: AbortSignal }): Promise<never> =>
      new Promise(() => signal.addEventListener("abort", () => (aborted = true)));
    const slow = defineTool({ name: "add", timeoutMs: 20, run });
    const result = await Orchestra.run({ task: {}, topology: ofTool, agents: { add: slow } });
    expect(result.error).toMatchObject({ code: "ORCH_TIMEOUT", message: 'tool "add" took longer than 20 ms' });
    expect(aborted).toBe(true);
  });

  it("is told when its run is cancelled", async () => {
    const controller = new AbortController();
    let reason: unknown;
    const run = (_: unknown, { signal }: { signal: AbortSignal }): Promise<never> => {
      queueMicrotask(() => controller.abort());
      return new Promise(() => signal.addEventListener("abort", () => (reason = signal.reason)));
    };
    const tool = defineTool({ name: "add", timeoutMs: false, run });
    const { signal } = controller;
    const result = await Orchestra.run({ task: {}, topology: ofTool, agents: { add: tool }, signal });
    expect(result.status).toBe("cancelled");
    expect(reason).toMatchObject({ code: "ORCH_CANCELLED" });
  });

  it("shows its progress to observers", async () => {
    const tool = defineTool({ name: "add", run: (_, ctx) => ctx.emit({ part: 1 }) });
    const chunks: unknown[] = [];
    for await (const event of Orchestra.stream({ task: {}, topology: ofTool, agents: { add: tool } }))
      if (event.type === "step.chunk") chunks.push(event.chunk);
    expect(chunks).toEqual([
      { type: "tool-progress", tool: "add", toolCallId: expect.any(String), chunk: { part: 1 } },
    ]);
  });
});

describe("an approval", () => {
  const topology = { nodes: ["Planner", { name: "Pay", kind: "tool" }], edges: ["Planner -> Pay"] } as const;

  function desk(): { instance: OrchestraInstance; paid: unknown[] } {
    const paid: unknown[] = [];
    const Pay = defineTool({
      name: "Pay",
      input: z.object({ amount: z.number().max(100) }),
      policy: "approve",
      run: ({ amount }) => {
        paid.push(amount);
        return `paid ${amount}`;
      },
    });
    const instance = new OrchestraInstance({
      topology,
      agents: { Planner: () => ({ amount: 90 }), Pay },
      stateManager: new StateManager({ storage: memoryStorage() }),
      communicationConfig: { channel: "none" },
    });
    return { instance, paid };
  }

  it("pauses the run with a question that says what is to be approved", async () => {
    const { instance, paid } = desk();
    const result = await instance.execute({ task: "t", sessionId: "s" });
    expect(result.status).toBe("awaiting_user");
    expect(result.metadata.questions).toMatchObject([
      {
        node: "Pay",
        prompt: { kind: "approval", tool: "Pay", input: { amount: 90 }, toolCallId: expect.any(String), why: "policy" },
      },
    ]);
    expect(paid).toEqual([]);
    await instance.close();
  });

  it.each([
    ["approve", "paid 90", [90]],
    [true, "paid 90", [90]],
    [{ approved: true, reason: "fine" }, "paid 90", [90]],
    [{ approved: true, input: { amount: 5 } }, "paid 5", [5]],
  ])("is given by %j", async (userResponse, finalResponse, expected) => {
    const { instance, paid } = desk();
    await instance.execute({ task: "t", sessionId: "s" });
    const result = await instance.resumeSession("s", { userResponse });
    expect(result.orThrow().finalResponse).toBe(finalResponse);
    expect(paid).toEqual(expected);
    await instance.close();
  });

  it.each([
    ["reject", /rejected/],
    [{ approved: false, reason: "too much" }, /too much/],
  ])("is refused by %j", async (userResponse, message) => {
    const { instance, paid } = desk();
    await instance.execute({ task: "t", sessionId: "s" });
    const result = await instance.resumeSession("s", { userResponse });
    expect(result.error).toMatchObject({ code: "ORCH_TOOL_REFUSED", message: expect.stringMatching(message) });
    expect(paid).toEqual([]);
    await instance.close();
  });

  it.each([
    "maybe",
    "",
    null,
    7,
    ["approve"],
    { approved: "yes" },
    { approved: true, amount: 7 },
    { reason: "fine" },
    { approved: true, reason: 7 },
  ])("is not given by %j, and still waited for", async (userResponse) => {
    const { instance, paid } = desk();
    await instance.execute({ task: "t", sessionId: "s" });
    await expect(instance.resumeSession("s", { userResponse })).rejects.toMatchObject({ code: "ORCH_ANSWER_INVALID" });
    expect(paid).toEqual([]);
    const result = await instance.resumeSession("s", { userResponse: "approve" });
    expect(result.orThrow().finalResponse).toBe("paid 90");
    await instance.close();
  });

  it("that nobody gives in time is refused", async () => {
    const tool = defineTool({ name: "Pay", policy: "approve", approvalTimeoutMs: 30, run: () => "paid" });
    const result = await Orchestra.run({
      task: {},
      topology: { nodes: [{ name: "Pay", kind: "tool" }] },
      agents: { Pay: tool },
      communicationConfig: { channel: callbackChannel(() => new Promise(() => undefined)) },
    });
    expect(result.error).toMatchObject({
      code: "ORCH_TOOL_REFUSED",
      message: 'the call of the tool "Pay" was rejected: nobody approved it within 30 ms',
    });
  });

  it("is asked for again when it was given for an input the tool does not take", async () => {
    const { instance, paid } = desk();
    await instance.execute({ task: "t", sessionId: "s" });
    const userResponse = { approved: true, input: { amount: 1000 } };
    const again = await instance.resumeSession("s", { userResponse });
    expect(again.metadata.questions).toMatchObject([
      { prompt: { kind: "approval", input: { amount: 90 }, message: expect.stringMatching(/amount/) } },
    ]);
    expect(paid).toEqual([]);
    const result = await instance.resumeSession("s", { userResponse: "approve" });
    expect(result.orThrow().finalResponse).toBe("paid 90");
    await instance.close();
  });
});

describe("callTool", () => {
  it("keeps what a loop carries over an approval, one for each branch that asks", async () => {
    const { approvalReply, carryOver, takeCarried } = await import("../../../src/agents/index.ts");
    const tool = defineTool({ name: "send", policy: "approve", run: ({ to }) => `sent to ${to}` });
    const Writer = async (input: any, ctx: any): Promise<unknown> => {
      const approval = approvalReply(ctx, input);
      const seen = takeCarried<string[]>(ctx) ?? [`asked by ${input}`];
      const outcome = await callTool(tool, { id: "1", input: { to: input } }, ctx, { approval });
      if (outcome.type !== "approval") return [...seen, outcome];
      carryOver(ctx, [...seen, "waited"]);
      return outcome.ask;
    };
    const instance = new OrchestraInstance({
      topology: {
        nodes: ["Ann", "Bob", { name: "Writer", convergence: false }],
        edges: ["Start -> Ann", "Start -> Bob", "Ann -> Writer", "Bob -> Writer"],
      },
      agents: { Ann: () => "Ann", Bob: () => "Bob", Writer },
      communicationConfig: { channel: "none" },
    });
    const first = await instance.execute({ task: "t", sessionId: "s" });
    const answers = Object.fromEntries(first.metadata.questions.map(({ questionId }) => [questionId, "approve"]));
    const { finalResponse } = (await instance.resumeSession("s", { userResponse: answers })).orThrow();
    expect(finalResponse).toEqual([
      ["asked by Ann", "waited", { type: "value", value: "sent to Ann" }],
      ["asked by Bob", "waited", { type: "value", value: "sent to Bob" }],
    ]);
    await instance.close();
  });
});
