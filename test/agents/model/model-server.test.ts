// The server of these tests, asked by a provider as a user would install it.

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";
import { expect, it } from "vitest";
import { startModelServer } from "../../support/model-server.ts";

it("is a model server to the AI SDK, streamed and at once, with tool calls and usage", async () => {
  await using server = await startModelServer([
    { text: ["Hel", "lo"], usage: { input: 7, output: 2 } },
    { toolCalls: [{ name: "add", input: { a: 1 } }] },
    { status: 429, retryAfter: 3, message: "slow down" },
  ]);
  const model = createOpenAICompatible({ name: "test", baseURL: server.url })("m");
  const streamed = streamText({ model, prompt: "hi", maxRetries: 0 });
  const pieces: string[] = [];
  for await (const piece of streamed.textStream) pieces.push(piece);
  expect(pieces).toEqual(["Hel", "lo"]);
  const called = await generateText({ model, prompt: "1 and 2?", maxRetries: 0 });
  expect(called.toolCalls).toMatchObject([{ toolName: "add", input: { a: 1 } }]);
  await expect(generateText({ model, prompt: "more", maxRetries: 0 })).rejects.toMatchObject({ statusCode: 429 });
  await expect(generateText({ model, prompt: "more", maxRetries: 0 })).rejects.toThrow(/request 3 \(from 0\)/);
  expect(server.requests.map(({ body }) => body.messages.at(-1)?.content)).toEqual(["hi", "1 and 2?", "more", "more"]);
});
