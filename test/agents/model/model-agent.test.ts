// A model-backed agent on a topology, against a real server: what it asks, what comes of the answer, what is shown and
// counted.

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { Orchestra, OrchestraInstance, type RunEvent } from "orchestra";
import { modelAgent, type ModelAgentDefinition } from "orchestra/agents";
import { expect, it } from "vitest";
import { z } from "zod";
import { startModelServer, type ModelAnswer, type ModelServer } from "../../support/model-server.ts";

type Options = Partial<Omit<ModelAgentDefinition<any, any>, "name" | "model">>;

function agentOf(server: ModelServer, options: Options = {}) {
  const model = createOpenAICompatible({ name: "test", baseURL: server.url, includeUsage: true })("m1");
  return modelAgent({ name: "Writer", model, ...options });
}

async function runOne(answers: readonly ModelAnswer[], options: Options = {}, task: any = "Write", more: object = {}) {
  await using server = await startModelServer(answers);
  const result = await Orchestra.run({
    task,
    topology: { nodes: ["Writer"] },
    agents: { Writer: agentOf(server, options) },
    ...more,
  });
  return { result, requests: server.requests.map(({ body }) => body), left: server.left };
}

const events = async (handle: AsyncIterable<RunEvent>): Promise<RunEvent[]> => {
  const all: RunEvent[] = [];
  for await (const event of handle) all.push(event);
  return all;
};

it("answers a task with what the model says, and hands it on", async () => {
  await using server = await startModelServer(["draft", "final"]);
  const result = await Orchestra.run({
    task: "Write about tea",
    topology: { edges: ["Writer -> Editor"] },
    agents: {
      Writer: agentOf(server, { instructions: "You write." }),
      Editor: agentOf(server, { instructions: ({ node, task }) => `${node} edits: ${String(task)}` }),
    },
  });
  expect(result.orThrow().finalResponse).toBe("final");
  expect(server.requests.map(({ body }) => body.messages)).toEqual([
    [
      { role: "system", content: "You write." },
      { role: "user", content: "Write about tea" },
    ],
    [
      { role: "system", content: "Editor edits: Write about tea" },
      { role: "user", content: "draft" },
    ],
  ]);
});

it("shows the answer piece by piece while it comes", async () => {
  let release = (): void => undefined;
  const gate = new Promise<void>((resolve) => (release = resolve));
  await using server = await startModelServer([
    { reasoning: "hm", text: ["Once ", "upon ", "a time"], betweenMs: 5, when: gate },
  ]);
  const handle = Orchestra.stream({
    task: "tell",
    topology: { nodes: ["Writer"] },
    agents: { Writer: agentOf(server) },
  });
  release();
  const all = await events(handle);
  const chunks = all.flatMap((event) => (event.type === "step.chunk" ? [event.chunk] : []));
  expect(chunks).toEqual([{ type: "reasoning", text: "hm" }, "Once ", "upon ", "a time"]);
  const types = all.map(({ type }) => type);
  expect(types.indexOf("step.chunk")).toBeLessThan(types.indexOf("step.succeeded"));
});

it("counts tokens and cost per step and in the result", async () => {
  const { result } = await runOne([{ text: "ok", usage: { input: 1_000, output: 200, cached: 400 } }], {
    price: { input: 2, output: 10, cachedInput: 0.5 },
  });
  const costUsd = (600 * 2 + 400 * 0.5 + 200 * 10) / 1_000_000;
  expect(result.metadata.usage).toEqual({
    inputTokens: 1_000,
    outputTokens: 200,
    totalTokens: 1_200,
    costUsd,
    apiCalls: 1,
  });
  expect(result.getExecutionTrace()[0]?.usage).toMatchObject({ inputTokens: 1_000, outputTokens: 200, costUsd });
});

it("counts a guess where the provider does not say what was used", async () => {
  const { result } = await runOne([{ text: "12345678", usage: false }]);
  expect(result.metadata.usage.outputTokens).toBeGreaterThanOrEqual(2);
  expect(result.metadata.usage.inputTokens).toBeGreaterThan(0);
});

it("passes settings on", async () => {
  const { requests } = await runOne(["ok"], { settings: { temperature: 0.5, maxOutputTokens: 77 } });
  expect(requests[0]).toMatchObject({ model: "m1", stream: true, temperature: 0.5, max_tokens: 77 });
});

it("passes images and files through, wherever in the input they stand", async () => {
  const png = Uint8Array.from([137, 80, 78, 71]);
  const { requests } = await runOne(
    ["a tree"],
    {},
    {
      question: "What is this?",
      picture: { type: "image", image: png, mediaType: "image/png" },
    },
  );
  expect(requests[0]?.messages).toEqual([
    {
      role: "user",
      content: [
        { type: "text", text: JSON.stringify({ question: "What is this?", picture: "[image 1]" }, undefined, 2) },
        { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw==" } },
      ],
    },
  ]);
});

it("names the senders of what meets at a join", async () => {
  await using server = await startModelServer(({ body }) => `said ${body.messages.at(-1)?.content}`);
  const result = await Orchestra.run({
    task: "x",
    topology: { edges: ["Start -> A", "Start -> B", "A -> Writer", "B -> Writer"] },
    agents: { A: () => "one", B: () => ({ two: 2 }), Writer: agentOf(server) },
  });
  expect(result.orThrow().finalResponse).toBe('said From A:\none\n\nFrom B:\n{\n  "two": 2\n}');
});

const verdict = z.object({ verdict: z.enum(["accept", "revise"]), score: z.number() });

it("gives what fits the schema, bare or fenced", async () => {
  const fenced = 'Here it is:\n```json\n{ "verdict": "accept", "score": 2 }\n```';
  for (const text of ['{"verdict":"accept","score":2}', fenced]) {
    const { result, requests } = await runOne([text], { output: verdict, instructions: "Judge." });
    expect(result.orThrow().finalResponse).toEqual({ verdict: "accept", score: 2 });
    expect(requests[0]?.messages[0]?.content).toMatch(
      /^Judge\.\n\nAnswer with one JSON value[^]*"enum":\["accept","revise"\]/,
    );
  }
});

it("has a provider that can hold the model to the schema do so, without saying it in words", async () => {
  await using server = await startModelServer(['{"verdict":"revise","score":0}']);
  const provider = createOpenAICompatible({ name: "test", baseURL: server.url, supportsStructuredOutputs: true });
  const result = await Orchestra.run({
    task: "x",
    topology: { nodes: ["Judge"] },
    agents: { Judge: modelAgent({ name: "Judge", model: provider("m"), output: verdict }) },
  });
  expect(result.orThrow().finalResponse).toEqual({ verdict: "revise", score: 0 });
  const body = server.requests[0]?.body;
  expect(body?.["response_format"]).toMatchObject({ type: "json_schema", json_schema: { schema: { type: "object" } } });
  expect(body?.messages).toEqual([{ role: "user", content: "x" }]);
});

it("says what is wrong with an answer that does not fit, and takes the next that does", async () => {
  const { result, requests } = await runOne(
    ['{"verdict":"maybe","score":1}', "no json", '{"verdict":"accept","score":1}'],
    {
      output: verdict,
    },
  );
  expect(result.orThrow().finalResponse).toEqual({ verdict: "accept", score: 1 });
  expect(requests[1]?.messages.at(-2)).toMatchObject({ role: "assistant", content: '{"verdict":"maybe","score":1}' });
  expect(requests[1]?.messages.at(-1)?.content).toMatch(/does not fit the schema: verdict:/);
  expect(requests[2]?.messages.at(-1)?.content).toMatch(/it is not JSON/);
  expect(result.metadata.usage.apiCalls).toBe(3);
});

it("fails with the answer quoted after three corrections", async () => {
  const { result, left } = await runOne(["a", "b", "c", "d", "e"], { output: verdict });
  expect(result.error).toMatchObject({ code: "ORCH_INVALID_OUTPUT", node: "Writer" });
  expect(result.error?.message).toMatch(/asked 4 times.*not JSON: "d"/);
  expect(left).toBe(1);
});

it("takes no answer that was cut off", async () => {
  const { result, requests } = await runOne([{ text: "half a sen", finishReason: "length" }, "whole"]);
  expect(result.orThrow().finalResponse).toBe("whole");
  expect(requests[1]?.messages.at(-1)?.content).toMatch(/cut off/);
});

it("gives up after maxTurns", async () => {
  const { result } = await runOne(["a", "b", "c"], { output: verdict, maxTurns: 2 });
  expect(result.error).toMatchObject({ code: "ORCH_MODEL_FAILED" });
  expect(result.error?.message).toMatch(/called 2 times/);
});

it("stops asking when its session is cancelled, and the server sees the connection go", async () => {
  await using server = await startModelServer([{ text: ["one ", "two"], betweenMs: 60_000 }]);
  await using instance = new OrchestraInstance({
    topology: { nodes: ["Writer"] },
    agents: { Writer: agentOf(server) },
  });
  const handle = instance.stream({ task: "x", sessionId: "s1" });
  for await (const event of handle) if (event.type === "step.chunk") await instance.cancelSession("s1", "enough");
  expect((await handle.result).status).toBe("cancelled");
  await expect.poll(() => server.requests[0]?.aborted).toBe(true);
});

it("stops asking when its time is over", async () => {
  await using server = await startModelServer([{ hang: true }]);
  const result = await Orchestra.run({
    task: "x",
    topology: { nodes: ["Writer"] },
    agents: { Writer: agentOf(server, { timeoutMs: 150 }) },
  });
  expect(result.error?.code).toBe("ORCH_TIMEOUT");
  await expect.poll(() => server.requests[0]?.aborted).toBe(true);
});

it.each([
  [{ name: "" }, /name: expected a non-empty string/],
  [{ model: "gpt-5" }, /^modelAgent\("A"\)\.model: expected a model of the AI SDK/],
  [{ instructions: 3 }, /instructions: expected a text/],
  [{ output: {} }, /output: expected a Standard Schema/],
  [{ maxTurns: 0 }, /maxTurns: expected a whole number from 1/],
  [{ price: { input: 1 } }, /price\.output: expected US dollars per million tokens, 0 or more, got undefined/],
  [{ price: null }, /price: expected an object, got null/],
  [{ price: 5 }, /price: expected an object, got 5/],
  [{ memory: null }, /memory: expected options of a conversation, or false, got null/],
  [{ memory: 5 }, /memory: expected options of a conversation, or false, got 5/],
  [{ memory: { tokensMx: 5 } }, /memory\.tokensMx: unknown option; did you mean "tokensMax"/],
  [{ settings: { temprature: 1 } }, /settings\.temprature: unknown option; did you mean "temperature"/],
  [{ settings: { maxOutputTokens: "9" } }, /settings\.maxOutputTokens: expected a whole number from 1, got "9"/],
  [{ tools: [5] }, /tools\.0: expected a tool/],
  [{ retry: { maxAttempts: 0 } }, /retry\.maxAttempts: expected a whole number from 1, got 0/],
  [{ price: { input: 1, output: -1 } }, /price\.output: expected US dollars/],
  [{ temprature: 1 }, /temprature: unknown option/],
])("refuses %j", async (wrong, message) => {
  const model = createOpenAICompatible({ name: "test", baseURL: "http://127.0.0.1:1" })("m");
  expect(() => modelAgent({ name: "A", model, ...wrong } as never)).toThrow(
    expect.objectContaining({ code: "ORCH_BAD_OPTION", message: expect.stringMatching(message) }),
  );
});
