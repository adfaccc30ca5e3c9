// What a model-backed agent does beside answering: it uses tools, calls other agents, asks people, and goes on with the
// same talk when the answer is there, in another process too.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { LevelStorage, Orchestra, OrchestraInstance, StateManager, type RunOptions } from "orchestra";
import { defineTool, modelAgent, type ModelAgentDefinition } from "orchestra/agents";
import { afterEach, expect, it } from "vitest";
import { z } from "zod";
import { startModelServer, type ModelAnswer, type ModelServer } from "../../support/model-server.ts";

const folders: string[] = [];
afterEach(() => folders.splice(0).forEach((folder) => rmSync(folder, { recursive: true, force: true })));
const newFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "orchestra-model-"));
  folders.push(folder);
  return folder;
};

type Options = Partial<Omit<ModelAgentDefinition<any, any>, "name" | "model">>;
const agentOf = (server: ModelServer, options: Options = {}) =>
  modelAgent({
    name: "M",
    model: createOpenAICompatible({ name: "test", baseURL: server.url, includeUsage: true })("m"),
    ...options,
  });

const last = (server: ModelServer, count: number) => server.requests.at(-1)?.body.messages.slice(-count);

function adder() {
  const calls: unknown[] = [];
  const tool = defineTool({
    name: "add",
    description: "Adds two numbers.",
    input: z.object({ a: z.number(), b: z.number() }),
    run: (input: { a: number; b: number }) => {
      calls.push(input);
      return { sum: input.a + input.b };
    },
  });
  return { tool, calls };
}

async function runSolo(answers: readonly ModelAnswer[], options: Options, more: Partial<RunOptions> = {}) {
  const server = await startModelServer(answers);
  const result = await Orchestra.run({
    task: "work",
    topology: { nodes: ["M"] },
    agents: { M: agentOf(server, options) },
    ...more,
  });
  await server.close();
  return { result, server };
}

it("makes the tool calls of the model and tells it the results", async () => {
  const { tool, calls } = adder();
  const { result, server } = await runSolo(
    [
      {
        toolCalls: [
          { id: "c1", name: "add", input: { a: 1, b: 2 } },
          { id: "c2", name: "add", input: { a: "x", b: 2 } },
        ],
      },
      "3 it is",
    ],
    { tools: [tool] },
  );
  expect(result.orThrow().finalResponse).toBe("3 it is");
  expect(calls).toEqual([{ a: 1, b: 2 }]);
  expect(server.requests[0]?.body.tools).toMatchObject([
    { type: "function", function: { name: "add", description: "Adds two numbers.", parameters: { type: "object" } } },
  ]);
  expect(last(server, 3)).toMatchObject([
    { role: "assistant", tool_calls: [{ id: "c1" }, { id: "c2" }] },
    { role: "tool", tool_call_id: "c1", content: JSON.stringify({ sum: 3 }, undefined, 2) },
    { role: "tool", tool_call_id: "c2", content: expect.stringContaining("ORCH_INVALID_INPUT") },
  ]);
  expect(result.metadata.usage.apiCalls).toBe(2);
});

it("tells the model of a call that cannot be read, or of no tool, and lets it try again", async () => {
  const { tool, calls } = adder();
  const { result, server } = await runSolo(
    [
      { toolCalls: [{ id: "c1", name: "add", input: '{"a": 1, "b"' }] },
      { toolCalls: [{ id: "c2", name: "subtract", input: {} }] },
      { toolCalls: [{ id: "c3", name: "add", input: { a: 1, b: 1 } }] },
      "2",
    ],
    { tools: [tool] },
  );
  expect(result.orThrow().finalResponse).toBe("2");
  expect(calls).toEqual([{ a: 1, b: 1 }]);
  const told = (index: number) => JSON.stringify(server.requests[index]?.body.messages.slice(-2));
  expect(told(1)).toMatch(/cannot be read|Invalid input/);
  expect(told(2)).toMatch(/subtract/);
});

it("uses tools by the JSON contract where the model has no tool calls", async () => {
  const { tool, calls } = adder();
  const { result, server } = await runSolo(
    ['{"next_action": "call_tool", "action_input": {"tool": "add", "input": {"a": 4, "b": 4}}}', "eight"],
    { tools: [tool], actions: "json" },
  );
  expect(result.orThrow().finalResponse).toBe("eight");
  expect(calls).toEqual([{ a: 4, b: 4 }]);
  expect(server.requests[0]?.body).not.toHaveProperty("tools");
  expect(server.requests[0]?.body.messages[0]).toMatchObject({ role: "system" });
  expect(server.requests[0]?.body.messages[0]?.content).toMatch(/add: Adds two numbers[^]*call_tool/);
  expect(last(server, 1)).toEqual([{ role: "user", content: expect.stringMatching(/Result of the tool add:[^]*8/) }]);
});

it("waits for a person to approve a call, and goes on with the same talk in another process", async () => {
  const folder = newFolder();
  const calls: unknown[] = [];
  const tools = [
    defineTool({ name: "look", run: () => "looked" }),
    defineTool({ name: "send", policy: "approve", run: (input) => calls.push(input) && "sent" }),
  ];
  await using server = await startModelServer([
    {
      toolCalls: [
        { id: "c1", name: "look", input: {} },
        { id: "c2", name: "send", input: { to: "Ann" } },
      ],
    },
    "done",
  ]);
  const open = () =>
    new OrchestraInstance({
      topology: { nodes: ["M"] },
      agents: { M: agentOf(server, { tools }) },
      stateManager: new StateManager({ storage: new LevelStorage(folder) }),
    });
  {
    await using first = open();
    const waiting = await first.execute({ task: "send it", sessionId: "s" });
    expect(waiting.status).toBe("awaiting_user");
    expect(waiting.metadata.questions?.[0]?.prompt).toMatchObject({ kind: "approval", tool: "send" });
    expect(calls).toEqual([]);
  }
  await using second = open();
  const result = await second.resumeSession("s", { userResponse: "approve" });
  expect(result.orThrow().finalResponse).toBe("done");
  expect(calls).toEqual([{ to: "Ann" }]);
  expect(server.requests).toHaveLength(2);
  expect(last(server, 4)).toMatchObject([
    { role: "user", content: "send it" },
    { role: "assistant", tool_calls: [{ id: "c1" }, { id: "c2" }] },
    { role: "tool", tool_call_id: "c1", content: "looked" },
    { role: "tool", tool_call_id: "c2", content: "sent" },
  ]);
});

it("takes no two tools of one name, since one could hide the policy of the other", async () => {
  const tool = defineTool({ name: "send", policy: "block", run: () => "sent" });
  const { result, server } = await runSolo([], {
    tools: [tool, { tools: async () => [{ ...tool, policy: "allow" }] }],
  });
  expect(result.error).toMatchObject({ code: "ORCH_BAD_OPTION", message: expect.stringMatching(/two tools.*"send"/) });
  expect(server.requests).toEqual([]);
});

it("calls agents of its team and hears their replies as what its calls came to", async () => {
  await using server = await startModelServer([
    {
      toolCalls: [
        { id: "c1", name: "invoke_agent", input: { agent: "B", input: "for B" } },
        { id: "c2", name: "invoke_agent", input: { agent: "A", input: "for A" } },
      ],
    },
    { toolCalls: [{ id: "c3", name: "final_response", input: { response: "all done" } }] },
  ]);
  const result = await Orchestra.run({
    task: "lead",
    topology: { edges: ["M <-> A", "M <-> B"] },
    agents: { M: agentOf(server), A: (input) => `A got ${input}`, B: (input) => `B got ${input}` },
  });
  expect(result.orThrow().finalResponse).toBe("all done");
  expect(server.requests[0]?.body.tools?.map((tool: any) => tool.function.name)).toContain("invoke_agent");
  expect(last(server, 4)).toMatchObject([
    { role: "user", content: "lead" },
    { role: "assistant" },
    { role: "tool", tool_call_id: "c1", content: "B got for B" },
    { role: "tool", tool_call_id: "c2", content: "A got for A" },
  ]);
});

it("does the same by the JSON contract", async () => {
  await using server = await startModelServer([
    '```json\n{"thought": "ask A", "next_action": "invoke_agent", "action_input": {"agent": "A", "input": "for A"}}\n```',
    '{"next_action": "final_response", "action_input": "fine"}',
  ]);
  const result = await Orchestra.run({
    task: "lead",
    topology: { edges: ["M <-> A"] },
    agents: { M: agentOf(server, { actions: "json" }), A: (input) => `A got ${input}` },
  });
  expect(result.orThrow().finalResponse).toBe("fine");
  expect(last(server, 1)).toEqual([{ role: "user", content: "From A:\nA got for A" }]);
});

it("corrects a call that the topology does not allow, and fails with it quoted when it is not mended", async () => {
  const wrong = { toolCalls: [{ id: "c1", name: "invoke_agent", input: { agent: "Nobody", input: "x" } }] };
  const run = async (answers: readonly ModelAnswer[]) => {
    const server = await startModelServer(answers);
    const result = await Orchestra.run({
      task: "lead",
      topology: { edges: ["M <-> A"] },
      agents: { M: agentOf(server), A: () => "ok" },
    });
    await server.close();
    return { result, server };
  };
  const mended = await run([wrong, { toolCalls: [{ id: "c2", name: "final_response", input: { response: "good" } }] }]);
  expect(mended.result.orThrow().finalResponse).toBe("good");
  expect(last(mended.server, 1)).toMatchObject([{ role: "tool", tool_call_id: "c1" }]);
  expect(last(mended.server, 1)?.[0]?.content).toMatch(
    /"Nobody" may not be called from here[^]*You may call these agents:\n- A/,
  );

  const stubborn = await run([wrong, wrong, wrong, wrong]);
  expect(stubborn.result.error).toMatchObject({ code: "ORCH_INVALID_OUTPUT" });
  expect(stubborn.result.error?.message).toMatch(/asked 4 times.*may not be called.*Nobody/);
});

it("asks a person and goes on with the answer", async () => {
  await using server = await startModelServer([
    { toolCalls: [{ id: "q", name: "ask_user", input: { question: "Which colour?" } }] },
    { toolCalls: [{ id: "f", name: "final_response", input: { response: "painted blue" } }] },
  ]);
  await using instance = new OrchestraInstance({
    topology: { edges: ["User -> M", "M -> User"] },
    agents: { M: agentOf(server) },
    communicationConfig: { channel: "none" },
  });
  const waiting = await instance.execute({ task: "paint", sessionId: "s" });
  expect(waiting.metadata.questions?.[0]?.prompt).toBe("Which colour?");
  const result = await instance.resumeSession("s", { userResponse: "blue" });
  expect(result.orThrow().finalResponse).toBe("painted blue");
  expect(last(server, 2)).toMatchObject([{ role: "assistant" }, { role: "tool", tool_call_id: "q", content: "blue" }]);
});

it("holds a final response to the schema too", async () => {
  const final = (response: unknown) => ({ toolCalls: [{ name: "final_response", input: { response } }] });
  await using server = await startModelServer([final("seven"), final({ n: 7 })]);
  const result = await Orchestra.run({
    task: "lead",
    topology: { edges: ["M <-> A"] },
    agents: { M: agentOf(server, { output: z.object({ n: z.number() }) }), A: () => "ok" },
  });
  expect(result.orThrow().finalResponse).toEqual({ n: 7 });
});

it("keeps nothing of a talk once it is over", async () => {
  await using server = await startModelServer([
    { toolCalls: [{ name: "invoke_agent", input: { agent: "A", input: "x" } }] },
    { toolCalls: [{ name: "final_response", input: { response: "1" } }] },
  ]);
  const keys: string[][] = [];
  const inner = agentOf(server);
  const watched = {
    ...inner,
    run: async (input: unknown, ctx: any) => {
      const outcome = await inner.run(input, ctx);
      keys.push(ctx.state.keys());
      return outcome;
    },
  };
  const result = await Orchestra.run({
    task: "t",
    topology: { edges: ["M <-> A"] },
    agents: { M: watched, A: () => "ok" },
  });
  expect(result.orThrow().finalResponse).toBe("1");
  expect(keys).toEqual([[expect.stringMatching(/^talk\//)], []]);
});

it("remembers what was said in its session, where it is told to", async () => {
  const { tool } = adder();
  await using server = await startModelServer([
    { toolCalls: [{ id: "c1", name: "add", input: { a: 1, b: 2 } }] },
    "three",
    "as I said, three",
  ]);
  await using instance = new OrchestraInstance({
    topology: { nodes: ["M"] },
    agents: { M: agentOf(server, { tools: [tool], memory: { retention: "session" }, instructions: "Be kind." }) },
  });
  await instance.execute({ task: "1 and 2?", sessionId: "s" });
  const result = await instance.execute({ task: "and again?", sessionId: "s" });
  expect(result.orThrow().finalResponse).toBe("as I said, three");
  expect(server.requests[2]?.body.messages).toMatchObject([
    { role: "system", content: "Be kind." },
    { role: "user", content: "1 and 2?" },
    { role: "assistant", tool_calls: [{ id: "c1" }] },
    { role: "tool", tool_call_id: "c1" },
    { role: "assistant", content: "three" },
    { role: "user", content: "and again?" },
  ]);
});
