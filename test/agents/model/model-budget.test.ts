// A run's budget holds inside a step too: set aside before a model is asked, settled by what the answer came to.

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { Orchestra, OrchestraError, type AgentContext } from "orchestra";
import { defineTool, modelAgent, type ModelAgentDefinition } from "orchestra/agents";
import { ScriptedModel } from "orchestra/testing";
import { expect, it } from "vitest";
import { startModelServer } from "../../support/model-server.ts";

type Options = Partial<Omit<ModelAgentDefinition<any, any>, "name" | "model">>;

async function run(model: ScriptedModel, budget: object, options: Options = {}) {
  const M = modelAgent({ name: "M", model, ...options });
  return Orchestra.run({ task: "x".repeat(400), topology: { nodes: ["M"] }, agents: { M }, budget });
}

it("asks nothing that the budget cannot pay", async () => {
  const model = new ScriptedModel(["never"]);
  const result = await run(model, { tokens: 50 });
  expect(result.status).toBe("failed");
  expect(result.metadata).toMatchObject({ terminalReason: "tokens", boundsHit: ["budget.tokens"] });
  expect(result.error).toMatchObject({ code: "ORCH_BUDGET", node: "M" });
  expect(model.calls).toHaveLength(0);
});

it("lets the model answer no longer than the budget pays for, and takes no answer cut off there", async () => {
  const short = new ScriptedModel(["short"]);
  expect((await run(short, { tokens: 500 })).orThrow().finalResponse).toBe("short");
  expect(short.calls[0]?.maxOutputTokens).toBeGreaterThan(300);
  expect(short.calls[0]?.maxOutputTokens).toBeLessThan(400);

  const cut = new ScriptedModel([{ text: "half", finishReason: "length" }]);
  const result = await run(cut, { costUsd: 0.001 }, { price: { input: 1, output: 10 } });
  expect(result.metadata).toMatchObject({ terminalReason: "cost", boundsHit: ["budget.costUsd"] });
  expect(cut.calls[0]?.maxOutputTokens).toBeLessThan(100);
});

it("leaves the settings as they are where the budget is large enough", async () => {
  const model = new ScriptedModel(["ok", "ok"]);
  await run(model, { tokens: 100_000 });
  await run(model, { tokens: 100_000 }, { settings: { maxOutputTokens: 9_000 } });
  expect(model.calls.map(({ maxOutputTokens }) => maxOutputTokens)).toEqual([undefined, 9_000]);
});

it("refuses the next call of a step when the first used the budget up", async () => {
  const model = new ScriptedModel([
    { toolCalls: [{ name: "look", input: {} }], usage: { inputTokens: 300, outputTokens: 150 } },
    "never",
  ]);
  const result = await run(model, { tokens: 500 }, { tools: [defineTool({ name: "look", run: () => "seen" })] });
  expect(result.metadata).toMatchObject({ terminalReason: "tokens", usage: { totalTokens: 450 } });
  expect(model.calls).toHaveLength(1);
});

it("has side-by-side calls wait for each other's share rather than overspend", async () => {
  let inFlight = 0;
  let most = 0;
  let together = 1;
  const waiting = new Set<() => void>();
  await using server = await startModelServer(async () => {
    most = Math.max(most, ++inFlight);
    // Each is answered when as many are asked as are to be side by side.
    if (most >= together) waiting.forEach((go) => go());
    else await new Promise<void>((go) => waiting.add(go));
    // Long enough to be met by another that should have waited.
    if (together === 1) await new Promise((resolve) => setTimeout(resolve, 30));
    inFlight--;
    return { text: "ok", usage: { input: 10, output: 5 } };
  });
  const model = createOpenAICompatible({ name: "test", baseURL: server.url, includeUsage: true })("m");
  const agent = (name: string) => modelAgent({ name, model, settings: { maxOutputTokens: 100 } });
  const team = (tokens: number) =>
    Orchestra.run({
      task: "go",
      topology: { edges: ["Start -> A", "Start -> B", "Start -> C"] },
      agents: { A: agent("A"), B: agent("B"), C: agent("C") },
      budget: { tokens },
    });
  const tight = await team(180);
  expect(tight.orThrow().finalResponse).toEqual(["ok", "ok", "ok"]);
  expect(most).toBe(1);
  together = 3;
  const wide = await team(10_000);
  expect(wide.orThrow().metadata.usage.totalTokens).toBe(45);
  expect(most).toBe(3);
});

it("is open to functions as well", async () => {
  const take = (tokens: number) => async (_: unknown, ctx: AgentContext) => {
    const lefts: (number | false)[] = [];
    const giveBack = await ctx.reserve((left) => {
      lefts.push(left.tokens);
      return left.tokens !== false && left.tokens < tokens
        ? { type: "refuse", budget: "tokens" }
        : { type: "take", share: { tokens, costUsd: 0 } };
    });
    ctx.usage({ inputTokens: 30 });
    giveBack();
    return lefts;
  };
  const topology = { edges: ["A -> B"] };
  const fine = await Orchestra.run({
    task: "t",
    topology,
    agents: { A: take(90), B: take(70) },
    budget: { tokens: 100 },
  });
  expect(fine.orThrow().finalResponse).toEqual([70]);
  const refused = await Orchestra.run({
    task: "t",
    topology: { edges: ["A -> B", { from: "B", to: "H", on: "error" }] },
    agents: { A: take(90), B: take(71), H: () => "handled" },
    budget: { tokens: 100 },
  });
  expect(refused.metadata.terminalReason).toBe("tokens");
});

it("leaves an agent's own ORCH_BUDGET a failure like any other", async () => {
  const result = await Orchestra.run({
    task: "t",
    topology: { nodes: ["A"] },
    agents: {
      A: () => {
        throw new OrchestraError("ORCH_BUDGET", "of another run", { details: { budget: "tokens", runId: "r0" } });
      },
    },
  });
  expect(result.metadata.terminalReason).toBe("failed");
});
