// A model steered on a real topology: what it is told, what its replies lead to, and how it is corrected.

import {
  memoryStorage,
  next,
  Orchestra,
  OrchestraInstance,
  StateManager,
  type AgentFunction,
  type RunEvent,
} from "orchestra";
import { defineTool, modelAgent, type ModelAgentDefinition } from "orchestra/agents";
import { ScriptedModel, type ScriptedAnswer, type ScriptedReply } from "orchestra/testing";
import { describe, expect, it } from "vitest";
import { z } from "zod";

const said = (next_action: string, action_input: unknown): string => JSON.stringify({ next_action, action_input });
const call = (name: string, input: unknown): ScriptedReply => ({ toolCalls: [{ name, input }] });

const TEAM: Readonly<Record<string, AgentFunction>> = {
  Law: (input) => `law: ${String(input)}`,
  Tax: (input) => `tax: ${String(input)}`,
};
const HUB = { nodes: ["Lead", "Law", "Tax"], edges: ["Lead <-> Law", "Lead <-> Tax"], entryPoint: "Lead" };

/** One run in which a model leads; what it was asked, as text. */
async function lead(
  replies: readonly ScriptedAnswer[],
  options: Partial<ModelAgentDefinition> = {},
  more: Partial<Parameters<typeof Orchestra.run>[0]> = {},
) {
  const model = new ScriptedModel(replies);
  const handle = Orchestra.stream({
    task: "Sell a boat",
    topology: HUB,
    ...more,
    agents: { ...TEAM, Lead: modelAgent({ name: "Lead", model, ...options }), ...(more.agents as object) },
  });
  const corrections: unknown[] = [];
  for await (const event of handle as AsyncIterable<RunEvent>)
    if (event.type === "step.chunk" && (event.chunk as { type?: string }).type === "correction")
      corrections.push((event.chunk as { reason: string }).reason);
  const asked = model.calls.map(({ prompt }) => JSON.stringify(prompt));
  return { result: await handle.result, model, asked, corrections };
}

describe("a model that leads a team", () => {
  it("calls one by a tool call, and hears the reply as its result", async () => {
    const { result, asked } = await lead([call("invoke_agent", { agent: "Law", input: "may we?" }), "You may."]);
    expect(result.orThrow().finalResponse).toBe("You may.");
    expect(asked[1]).toContain("law: may we?");
  });

  it.each([
    [
      "natively",
      { toolCalls: ["Law", "Tax"].map((agent) => ({ name: "invoke_agent", input: { agent, input: "boat" } })) },
    ],
    [
      "by the contract",
      said(
        "parallel_invoke",
        ["Law", "Tax"].map((agent) => ({ agent, input: "boat" })),
      ),
    ],
  ])("calls several at once, %s", async (_how, reply) => {
    const { result, asked } = await lead([reply, "done"]);
    expect(result.orThrow().finalResponse).toBe("done");
    expect([result.getAgentInvocationCount("Law"), result.getAgentInvocationCount("Tax")]).toEqual([1, 1]);
    expect([asked[1]?.includes("law: boat"), asked[1]?.includes("tax: boat")]).toEqual([true, true]);
  });

  it("is told whom it may call and what they are for, and is offered no one else", async () => {
    const Law = { description: "Knows the law of the sea.", run: () => "ok" };
    const { model, asked } = await lead(["done"], {}, { agents: { Law } });
    expect(asked[0]).toContain("- Law (it answers you): Knows the law of the sea.");
    expect(JSON.stringify(model.calls[0]?.tools)).toContain('"enum":["Law","Tax"]');
  });

  it("picks specialists at run time, among those the context names", async () => {
    const mayCall: ModelAgentDefinition["mayCall"] = (agent, { context }) =>
      (context["specialists"] as string[]).includes(agent);
    const { result, asked, corrections } = await lead(
      [call("invoke_agent", { agent: "Law" }), call("invoke_agent", { agent: "Tax", input: "boat" }), "done"],
      { mayCall },
      { context: { specialists: ["Tax"] } },
    );
    expect(asked[0]).not.toContain("- Law");
    expect(corrections).toEqual(['agent "Law" may not be called from here']);
    expect(result.orThrow().finalResponse).toBe("done");
    expect(result.getAgentInvocationCount("Law")).toBe(0);
  });
});

describe("a reply that is not allowed", () => {
  const forbidden = said("invoke_agent", { agent: "Boss", input: "help" });

  it("goes back with the reason and what is allowed, and the next one counts", async () => {
    const { result, asked, corrections } = await lead([forbidden, said("final_response", "sold")]);
    expect(result.orThrow().finalResponse).toBe("sold");
    expect(corrections).toEqual(['agent "Boss" may not be called from here']);
    expect(asked[1]).toContain(String.raw`agent \"Boss\" may not be called from here`);
    for (const allowed of ["Law", "Tax", "invoke_agent", "parallel_invoke", "final_response"])
      expect(asked[1]).toContain(allowed);
  });

  it.each([
    ["of the contract", forbidden],
    ["of a tool call", call("invoke_agent", { agent: "Boss", input: "help" })],
    ["of broken JSON", '{"next_action": "invoke_agent", "action_input": "Boss'],
  ])("is never output: after three corrections the run fails with the reply, %s", async (_of, reply) => {
    const { result, model } = await lead([reply, reply, reply, reply, "too late"]);
    expect([result.status, result.finalResponse, model.left]).toEqual(["failed", null, 1]);
    expect(result.error).toMatchObject({ code: "ORCH_INVALID_OUTPUT", message: expect.stringContaining("Boss") });
    expect(result.getAgentInvocationCount("Law")).toBe(0);
  });
});

describe("the run's steeringMode", () => {
  const star = { ...HUB, nodes: [{ name: "Lead", parallelCalls: true }, "Law", "Tax"] };
  const mode = (steeringMode: "auto" | "always" | "never") => ({ executionConfig: { steeringMode } });

  it("never: the topology alone decides where words go, and nothing is said of it", async () => {
    const { result, model, asked } = await lead(["look into it", "done"], {}, { topology: star, ...mode("never") });
    expect(result.orThrow().finalResponse).toBe("done");
    expect([asked[0]?.includes("system"), model.calls[0]?.tools]).toEqual([false, undefined]);
    expect(asked[1]).toContain("law: look into it");
  });

  it("always: words alone are corrected, also where there is one way on", async () => {
    const topology = { edges: ["Lead -> Law"] };
    const replies = ["draft", said("invoke_agent", { agent: "Law", input: "draft" })];
    const { result, corrections } = await lead(replies, {}, { topology, ...mode("always") });
    expect([result.orThrow().finalResponse, corrections]).toEqual(["law: draft", ["the reply is no action"]]);
    const auto = await lead(["draft"], {}, { topology, ...mode("auto") });
    expect([auto.result.orThrow().finalResponse, auto.asked[0]?.includes("system")]).toEqual(["law: draft", false]);
  });

  it("gives way to the agent's own, and holds in nested runs", async () => {
    const own = await lead(["It is sold."], { steering: "auto" }, mode("always"));
    expect(own.result.orThrow().finalResponse).toBe("It is sold.");
    const result = await Orchestra.run({
      task: "t",
      topology: { nodes: ["Outer"] },
      agents: { Outer: { topology: { nodes: ["Inner"] }, agents: { Inner: (_input, ctx) => ctx.steeringMode } } },
      ...mode("always"),
    });
    expect(result.orThrow().finalResponse).toBe("always");
  });
});

it("a resumed run follows the mode of its instance", async () => {
  const seen: string[] = [];
  await using orchestra = new OrchestraInstance({
    topology: { nodes: ["A"] },
    agents: {
      A: (_input, ctx) => {
        seen.push(ctx.steeringMode);
        return ctx.question === undefined ? next.ask("go on?") : "done";
      },
    },
    stateManager: new StateManager({ storage: memoryStorage() }),
    initialConfig: { steeringMode: "never" },
  });
  await orchestra.execute({ task: "t", sessionId: "s", executionConfig: { steeringMode: "always" } });
  await orchestra.resumeSession("s", { userResponse: "yes" });
  expect(seen).toEqual(["always", "never"]);
});

describe("a model that handles failures", () => {
  const topology = {
    nodes: ["Main", { name: "Lead", role: "error-handler" as const }, "Law"],
    edges: ["Main -> Law", "Main -> Lead", { from: "Lead", to: "Main", maxVisits: 1 }, "Lead -> Law"],
    entryPoint: "Main",
  };
  /** Fails as long as it is asked for a boat. */
  const Main: AgentFunction = (input) => {
    if (String(input).includes("boat")) throw new Error("no boats today");
    return `sold ${String(input)}`;
  };
  const recover = (reply: string | ScriptedReply) => lead([reply], {}, { topology, agents: { Main } });

  it("tries again with something else", async () => {
    const { result, asked } = await recover(call("error_recovery", { action: "retry", input: "a car" }));
    expect(asked[0]).toContain("no boats today");
    expect(result.orThrow().finalResponse).toBe("law: sold a car");
  });

  it("goes on without, or gives up with what had failed", async () => {
    const skipped = await recover(said("error_recovery", { action: "skip", input: "nothing sold" }));
    expect(skipped.result.orThrow().finalResponse).toBe("law: nothing sold");
    const { result } = await recover(said("error_recovery", { action: "abort" }));
    expect([result.status, result.error?.message]).toEqual(["failed", "no boats today"]);
  });
});

describe("a model without tool calls that has tools", () => {
  const look = defineTool({ name: "look", run: () => "seen" });
  const ask = (replies: readonly string[], options: Partial<ModelAgentDefinition<any, any>>, topology: object) => {
    const model = new ScriptedModel(replies);
    const M = modelAgent({ name: "M", model, tools: [look], actions: "json", ...options });
    const agents = { M, B: (input: unknown) => ({ B: input }) };
    return Orchestra.run({ task: "t", topology, agents }).then((result) => ({ result, model }));
  };

  it.each(["auto", "never"] as const)(
    "uses them, and answers with a value of its schema, steering %s",
    async (steering) => {
      const output = z.object({ n: z.number() });
      const { result, model } = await ask(
        [said("call_tool", { tool: "look", input: {} }), said("final_response", { n: "one" }), '{"n": 1}'],
        { steering, output },
        { nodes: ["M"] },
      );
      expect(result.orThrow().finalResponse).toEqual({ n: 1 });
      expect(model.calls[1]?.lastText).toBe("Result of the tool look:\nseen");
      // A provider that is to hold it to the schema of the answer would not let it say that it uses a tool.
      expect(model.calls.map(({ responseFormat }) => responseFormat?.type ?? "text")).toEqual(["text", "text", "text"]);
    },
  );

  it("uses them and decides nothing else where steering is off: what it says goes where the topology sends it", async () => {
    const { result, model } = await ask(
      [said("call_tool", { tool: "look", input: {} }), said("invoke_agent", { agent: "B", input: "x" }), "on with it"],
      { steering: "never" },
      { edges: ["M -> B", "M -> End"] },
    );
    expect(result.orThrow().finalResponse).toEqual({ B: "on with it" });
    expect(model.calls[2]?.lastText).toContain('agent "B" may not be called from here');
    expect(JSON.stringify(model.calls[0]?.prompt)).not.toContain("invoke_agent");
  });
});
