// What a model-backed agent is shown of what was said before.

import { Orchestra, StateManager, memoryStorage } from "orchestra";
import { defineTool, memoryConversations, modelAgent, type ModelAgentDefinition, type Tool } from "orchestra/agents";
import { ScriptedModel } from "orchestra/testing";
import { expect, it } from "vitest";

type Memory = NonNullable<ModelAgentDefinition["memory"]>;

/** What the model was shown in each call, by role and text; calls of tools and their results by name. */
function shown(model: ScriptedModel): string[][] {
  return model.calls.map(({ prompt }) =>
    prompt.map(({ role, content }) => {
      if (typeof content === "string") return `${role}: ${content}`;
      const parts = content.map((part) =>
        part.type === "text" ? part.text : "toolName" in part ? `${part.type} ${part.toolName}` : part.type,
      );
      return `${role}: ${parts.join(" ")}`;
    }),
  );
}

async function twoRuns(memory: Memory, model: ScriptedModel, tools: readonly Tool[] = []): Promise<string[][]> {
  const stateManager = new StateManager({ storage: memoryStorage() });
  const agents = { A: modelAgent({ name: "A", model, instructions: "Be kind.", memory, tools }) };
  for (const task of ["one", "two"]) {
    const result = await Orchestra.run({ task, topology: { nodes: ["A"] }, agents, sessionId: "s", stateManager });
    result.orThrow();
  }
  return shown(model);
}

it("is nothing of earlier runs by itself, and all of the session where it is told to", async () => {
  const alone = ["system: Be kind.", "user: two"];
  expect((await twoRuns(false, new ScriptedModel(["1", "2"])))[1]).toEqual(alone);
  expect((await twoRuns({}, new ScriptedModel(["1", "2"])))[1]).toEqual(alone);
  expect((await twoRuns({ retention: "session" }, new ScriptedModel(["1", "2"])))[1]).toEqual([
    "system: Be kind.",
    "user: one",
    "assistant: 1",
    "user: two",
  ]);
});

it("is as much as fits beside the instructions and the tools", async () => {
  const newest = ["system: Be kind.", "user: two"];
  const asked = async (tokensMax: number, tools?: readonly Tool[]) => {
    const memory = { retention: "session", tokensMax, countTokens: () => 1 } as const;
    return (await twoRuns(memory, new ScriptedModel(["1", "2"]), tools))[1];
  };
  expect(await asked(3)).toEqual(newest);
  expect(await asked(4)).toHaveLength(4);
  expect(await asked(4, [defineTool({ name: "look", run: () => "seen" })])).toEqual(newest);
});

it("goes on over sessions in one conversation", async () => {
  const model = new ScriptedModel(["1", "2", "3"]);
  const memory: Memory = {
    retention: "persistent",
    store: memoryConversations(),
    id: (ctx) => String(ctx.context["who"]),
  };
  const agents = { A: modelAgent({ name: "A", model, memory }) };
  for (const [task, who] of [
    ["I am Ann", "ann"],
    ["I am Bob", "bob"],
    ["Who am I?", "ann"],
  ] as const)
    (await Orchestra.run({ task, context: { who }, topology: { nodes: ["A"] }, agents })).orThrow();
  expect(shown(model)[1]).toEqual(["user: I am Bob"]);
  expect(shown(model)[2]).toEqual(["user: I am Ann", "assistant: 1", "user: Who am I?"]);
});

it("is the conversation an agent is in, which goes on without any setting", async () => {
  const model = new ScriptedModel([
    "ask me",
    "hm",
    { toolCalls: [{ name: "final_response", input: { response: "yes" } }] },
  ]);
  const agents = {
    Host: modelAgent({ name: "Host", model }),
    Guest: (input: unknown) => `guest heard ${String(input)}`,
  };
  const result = await Orchestra.run({ task: "begin", topology: { edges: ["Host <~> Guest"] }, agents });
  expect(result.orThrow().finalResponse).toBe("yes");
  expect(shown(model)[2]?.slice(1)).toEqual([
    "user: begin",
    "assistant: ask me",
    "user: guest heard ask me",
    "assistant: hm",
    "user: guest heard hm",
  ]);
});

it("holds the call that ended a step together with its end", async () => {
  const model = new ScriptedModel([
    { toolCalls: [{ name: "final_response", input: { response: "1" } }] },
    { toolCalls: [{ name: "final_response", input: { response: "2" } }] },
  ]);
  const stateManager = new StateManager({ storage: memoryStorage() });
  const agents = {
    A: modelAgent({ name: "A", model, memory: { retention: "session" } }),
    B: () => "b",
  };
  for (const task of ["one", "two"])
    (await Orchestra.run({ task, topology: { edges: ["A <-> B"] }, agents, sessionId: "s", stateManager })).orThrow();
  expect(shown(model)[1]?.slice(1)).toEqual([
    "user: one",
    "assistant: tool-call final_response",
    "tool: tool-result final_response",
    "user: two",
  ]);
});

it("refuses memory that cannot be when the agent is made", () => {
  const model = new ScriptedModel([]);
  expect(() => modelAgent({ name: "A", model, memory: { retention: "persistent" } })).toThrow(
    'modelAgent("A").memory.store: expected a conversation store',
  );
});
