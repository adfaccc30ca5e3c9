// A run's budget holds inside a step too: set aside before a model is asked, settled by what the answer came to.

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Orchestra, OrchestraError, OrchestraInstance, type AgentContext, type BudgetLeft } from "orchestra";
import { defineTool, modelAgent, type ModelAgentDefinition } from "orchestra/agents";
import { ScriptedModel } from "orchestra/testing";
import { describe, expect, it } from "vitest";
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

it("counts the tools it offers, and an image as one", async () => {
  const description = "y".repeat(4_000);
  const tools = [defineTool({ name: "look", description, run: () => "seen" })];
  const offering = new ScriptedModel(["ok"]);
  await run(offering, { tokens: 1_500 }, { tools });
  expect(offering.calls[0]?.maxOutputTokens).toBeLessThan(400);

  const looking = new ScriptedModel(["ok"]);
  const prompt = () => [{ type: "image", image: new Uint8Array(50_000) }];
  await run(looking, { tokens: 1_500 }, { prompt });
  expect(looking.calls[0]?.maxOutputTokens).toBeGreaterThan(400);
  expect(looking.calls[0]?.maxOutputTokens).toBeLessThan(500);
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

describe("steps that hold a part and want another", () => {
  const topology = { edges: ["Start -> A", "Start -> B"] };
  const share = (tokens: number) => (left: BudgetLeft, mayGrow: boolean) =>
    left.tokens !== false && left.tokens < (mayGrow ? tokens : 1)
      ? ({ type: "refuse", budget: "tokens" } as const)
      : ({ type: "take", share: { tokens: Math.min(tokens, Number(left.tokens)), costUsd: 0 } } as const);

  /** Both hold half of the budget before either wants more. */
  const run = (first: number, then: (ctx: AgentContext) => Promise<unknown>) => {
    let holding = 0;
    let both = (): void => undefined;
    const bothHold = new Promise<void>((resolve) => (both = resolve));
    const agent = async (_: unknown, ctx: AgentContext): Promise<unknown> => {
      await ctx.reserve(share(first));
      if (++holding === 2) both();
      await bothHold;
      return then(ctx);
    };
    return Orchestra.run({ task: "t", topology, agents: { A: agent, B: agent }, budget: { tokens: 100 } });
  };

  it("do not wait for each other for ever: the last one is refused", async () => {
    const result = await run(50, (ctx) => ctx.reserve(share(10)));
    expect(result.metadata).toMatchObject({ terminalReason: "tokens", boundsHit: ["budget.tokens"] });
    expect(result.error?.message).toContain("the run's budget has 0 tokens left");
  });

  it("do not wait for each other for ever: the last one takes what there is, and the other what it gives back", async () => {
    const taken: string[] = [];
    const result = await run(45, async (ctx) => {
      await ctx.reserve((left, mayGrow) => {
        const decision = share(50)(left, mayGrow);
        if (decision.type === "take") taken.push(`${decision.share.tokens}`);
        return decision;
      });
      return "done";
    });
    expect(result.orThrow().finalResponse).toEqual(["done", "done"]);
    // What is left is 10; the one that ends gives back 45 and those 10.
    expect(taken).toEqual(["10", "50"]);
  });
});

it("takes back what a step holds that has ended without giving it back", async () => {
  const held: number[] = [];
  let ended = (): void => undefined;
  const dropped = new Promise<void>((resolve) => (ended = resolve));
  const all = (left: BudgetLeft) =>
    left.tokens !== false && left.tokens < 100
      ? ({ type: "refuse", budget: "tokens" } as const)
      : ({ type: "take", share: { tokens: 100, costUsd: 0 } } as const);
  const result = await Orchestra.run({
    task: "t",
    topology: { edges: ["Start -> A", "Start -> B"] },
    agents: {
      A: async (_: unknown, ctx: AgentContext) => {
        await ctx.reserve(all);
        ended();
        return "forgets to give it back";
      },
      B: async (_: unknown, ctx: AgentContext) => {
        await dropped;
        await ctx.reserve(all);
        held.push(100);
        return "has it all";
      },
    },
    budget: { tokens: 100 },
  });
  expect(result.orThrow().finalResponse).toEqual(["forgets to give it back", "has it all"]);
  expect(held).toEqual([100]);
});

it("sets nothing aside for a step that was stopped", async () => {
  const asked: string[] = [];
  let late: Promise<unknown> | undefined;
  const result = await Orchestra.run({
    task: "t",
    topology: { nodes: ["A"] },
    agents: {
      A: (_: unknown, ctx: AgentContext) => {
        late = Promise.resolve().then(async () => {
          await new Promise((resolve) => setImmediate(resolve));
          return ctx.reserve(() => {
            asked.push(ctx.stepId);
            return { type: "take", share: { tokens: 1, costUsd: 0 } };
          });
        });
        late.catch(() => undefined);
        return "ends first";
      },
    },
    budget: { tokens: 100 },
  });
  expect(result.finalResponse).toBe("ends first");
  await expect(late).rejects.toMatchObject({ code: "ORCH_CLOSED" });
  expect(asked).toEqual([]);
});

it("keeps nothing of steps whose session is over", async () => {
  // Without it the collector runs when it likes.
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as () => void;
  const contexts: WeakRef<AgentContext>[] = [];
  const agent = async (_: unknown, ctx: AgentContext): Promise<string> => {
    contexts.push(new WeakRef(ctx));
    const giveBack = await ctx.reserve(() => ({ type: "take", share: { tokens: 1, costUsd: 0 } }));
    giveBack();
    return "done";
  };
  const instance = new OrchestraInstance({ topology: { edges: ["A -> B"] }, agents: { A: agent, B: agent } });
  for (let i = 0; i < 5; i++) await instance.execute({ task: "t", budget: { tokens: 100 } });
  const isKept = (): boolean => {
    gc();
    return contexts.some((ref) => ref.deref() !== undefined);
  };
  await expect.poll(isKept).toBe(false);
  await instance.close();
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
