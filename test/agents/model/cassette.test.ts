import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText } from "ai";
import { Orchestra } from "orchestra";
import { defineTool, modelAgent, recordModel, replayModel, type LanguageModel } from "orchestra/agents";
import { ScriptedModel } from "orchestra/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { startModelServer } from "../../support/model-server.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "orchestra-cassette-"));
});
afterEach(() => {
  vi.unstubAllGlobals();
  rmSync(folder, { recursive: true, force: true });
});
const cassette = () => join(folder, "nested/calls.jsonl");

const add = defineTool({
  name: "add",
  input: z.object({ a: z.number(), b: z.number() }),
  run: ({ a, b }: { a: number; b: number }) => a + b,
});

const runTwice = async (model: LanguageModel, tasks: readonly unknown[], instructions = "Reckon.\nBe exact.") => {
  const M = modelAgent({ name: "M", model, instructions, tools: [add] });
  const results = [];
  for (const task of tasks)
    results.push(await Orchestra.run({ task: task as string, topology: { nodes: ["M"] }, agents: { M } }));
  return results;
};

const tasks = ["1 + 2?", { photo: { type: "image", image: Uint8Array.from([1, 2]), mediaType: "image/png" } }];

async function record(): Promise<void> {
  await using server = await startModelServer([
    { reasoning: "hm", toolCalls: [{ id: "c", name: "add", input: { a: 1, b: 2 } }] },
    { text: ["it is ", "3"], usage: { input: 30, output: 4 } },
    "a photo",
  ]);
  const provider = createOpenAICompatible({
    name: "test",
    baseURL: server.url,
    apiKey: "sk-secret",
    includeUsage: true,
  });
  const [sum, photo] = await runTwice(recordModel(provider("m"), cassette()), tasks);
  expect(sum?.orThrow().finalResponse).toBe("it is 3");
  expect(photo?.orThrow().finalResponse).toBe("a photo");
}

describe("a cassette", () => {
  it("answers what was recorded, with the same usage, and in any order", async () => {
    await record();
    const [photo, sum] = await runTwice(replayModel(cassette()), tasks.toReversed());
    expect(sum?.orThrow().finalResponse).toBe("it is 3");
    expect(sum?.metadata.usage).toMatchObject({ inputTokens: 40, outputTokens: 9, apiCalls: 2 });
    expect(photo?.orThrow().finalResponse).toBe("a photo");
  });

  it("holds one call a line, and no key", async () => {
    await record();
    const text = readFileSync(cassette(), "utf8");
    expect(text.trim().split("\n")).toHaveLength(3);
    expect(text).not.toMatch(/sk-secret|authorization/i);
  });

  it("shows where a request differs from the one recorded", async () => {
    await record();
    const [result] = await runTwice(replayModel(cassette()), ["1 + 2?"], "Reckon.\nBe quick.");
    expect(result?.error?.code).toBe("ORCH_CASSETTE");
    const lines = (result?.error?.message ?? "").split("\n").slice(1);
    expect(lines.filter((line) => /^[-+] /.test(line))).toEqual([
      expect.stringMatching(/^- *Be exact\./),
      expect.stringMatching(/^\+ *Be quick\./),
    ]);
  });

  it("gives no answer more often than it was recorded", async () => {
    await record();
    const model = replayModel(cassette());
    const [first, second] = await runTwice(model, ["1 + 2?", "1 + 2?"]);
    expect(first?.success).toBe(true);
    expect(JSON.stringify(second?.error)).toMatch(/1 answer to this request, and all are given/);
  });

  it("records calls made at once as well", async () => {
    await using server = await startModelServer(["whole"]);
    const provider = createOpenAICompatible({ name: "test", baseURL: server.url });
    await generateText({ model: recordModel(provider("m"), cassette()), prompt: "hi" });
    expect((await generateText({ model: replayModel(cassette()), prompt: "hi" })).text).toBe("whole");
  });

  it("says of the model what it says itself, so that the same is asked", async () => {
    const scripted = new ScriptedModel(['{"n": 1}']);
    const supportedUrls = { "image/*": [/^https:\/\/pictures\./i] };
    const model = Object.assign(scripted, { supportsStructuredOutputs: true, supportedUrls });
    const ask = (asked: LanguageModel) => {
      const M = modelAgent({ name: "M", model: asked, output: z.object({ n: z.number() }) });
      const image = { type: "image", image: new URL("https://pictures.example/otter.png"), mediaType: "image/png" };
      return Orchestra.run({
        task: "t",
        topology: { nodes: ["M"] },
        agents: { M: { ...M, run: (_, ctx) => M.run(image, ctx) } },
      });
    };
    expect((await ask(recordModel(model, cassette()))).orThrow().finalResponse).toEqual({ n: 1 });
    // A schema that the provider holds to is not told in words, and an address that it takes is not fetched.
    expect(JSON.stringify(scripted.calls[0]?.prompt)).not.toContain("JSON Schema");
    const replaying = replayModel(cassette());
    expect((await ask(replaying)).orThrow().finalResponse).toEqual({ n: 1 });
    expect(await replaying.supportedUrls).toEqual(supportedUrls);
  });

  it("keeps what a model of the interface before gives, with its usage", async () => {
    vi.stubGlobal("AI_SDK_LOG_WARNINGS", false);
    const parts = [
      { type: "text-start", id: "0" },
      { type: "text-delta", id: "0", delta: "old" },
      { type: "text-end", id: "0" },
      { type: "finish", finishReason: "stop", usage: { inputTokens: 7, outputTokens: 3, totalTokens: 10 } },
    ];
    const older = {
      specificationVersion: "v2",
      provider: "test",
      modelId: "m",
      supportedUrls: {},
      doGenerate: () => Promise.reject(new Error("not asked")),
      doStream: async () => ({ stream: ReadableStream.from(parts) }),
    } as unknown as LanguageModel;
    for (const model of [() => recordModel(older, cassette()), () => replayModel(cassette())]) {
      const [result] = await runTwice(model(), ["t"]);
      expect(result?.orThrow().finalResponse).toBe("old");
      expect(result?.metadata.usage).toMatchObject({ inputTokens: 7, outputTokens: 3 });
    }
  });

  it("keeps no call that failed", async () => {
    await using server = await startModelServer([{ text: ["a", "b", "c"], cutAfter: 2 }, "whole"]);
    const provider = createOpenAICompatible({ name: "test", baseURL: server.url });
    const M = modelAgent({
      name: "M",
      model: recordModel(provider("m"), cassette()),
      retry: { initialDelayMs: 1 },
    });
    const run = () => Orchestra.run({ task: "x", topology: { nodes: ["M"] }, agents: { M } });
    expect((await run()).orThrow().finalResponse).toBe("whole");
    expect(readFileSync(cassette(), "utf8").trim().split("\n")).toHaveLength(1);
  });

  it.each([
    ["", /is empty/],
    ["{}\n", /line 1 .* no recorded call/],
    ["nonsense\n", /line 1/],
  ])("is refused when it reads %j", (text, message) => {
    const file = join(folder, "bad.jsonl");
    writeFileSync(file, text);
    expect(() => replayModel(file)).toThrow(message);
  });

  it("is refused when it is missing", () => {
    expect(() => replayModel(join(folder, "none.jsonl"))).toThrow(/cannot be read; record it with recordModel/);
  });
});
