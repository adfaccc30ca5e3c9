import { Orchestra } from "orchestra";
import { modelAgent } from "orchestra/agents";
import { hang, ScriptedModel } from "orchestra/testing";
import { generateText, streamText } from "ai";
import { expect, it } from "vitest";

const run = (model: ScriptedModel, options: object = {}) =>
  Orchestra.run({
    task: "go",
    topology: { nodes: ["M"] },
    agents: { M: modelAgent({ name: "M", model, ...options }) },
  });

it("gives its replies in order, by stream and at once, and remembers what it was asked", async () => {
  const model = new ScriptedModel([
    { text: ["a", "b"], reasoning: "r", usage: { inputTokens: 3, outputTokens: 2 } },
    ({ lastText }) => `you said ${lastText}`,
    { toolCalls: [{ name: "add", input: { a: 1 } }] },
  ]);
  const pieces: string[] = [];
  for await (const piece of streamText({ model, prompt: "one" }).textStream) pieces.push(piece);
  expect(pieces).toEqual(["a", "b"]);
  expect((await generateText({ model, prompt: "two" })).text).toBe("you said two");
  expect(model.left).toBe(1);
  expect((await generateText({ model, prompt: "three" })).finishReason).toBe("tool-calls");
  expect(model.calls.map(({ lastText }) => lastText)).toEqual(["one", "two", "three"]);
  expect(model.calls[0]?.prompt).toMatchObject([{ role: "user", content: [{ type: "text", text: "one" }] }]);
});

it("fails for good when it is called more often than it has replies, naming the call", async () => {
  const model = new ScriptedModel([]);
  const result = await run(model);
  expect(result.error?.message).toMatch(/call 0 \(from 0\) was not expected; the script has 0 replies/);
  expect(model.calls).toHaveLength(1);
});

it("throws errors, which are tried again as a provider's would be", async () => {
  const model = new ScriptedModel([new Error("socket hang up"), "ok"]);
  const result = await run(model, { retry: { initialDelayMs: 1 } });
  expect(result.orThrow().finalResponse).toBe("ok");
});

it("hangs until it is aborted", async () => {
  const result = await run(new ScriptedModel([hang]), { timeoutMs: 50 });
  expect(result.error?.code).toBe("ORCH_TIMEOUT");
});
