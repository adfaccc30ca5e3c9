// What providers do wrong, and what comes of it: another attempt after the pause they ask for, or a failure that says why.

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { Orchestra, type Clock, type ModelCalled, type RunEvent } from "orchestra";
import { modelAgent } from "orchestra/agents";
import { SimClock } from "orchestra/testing";
import { expect, it } from "vitest";
import { z } from "zod";
import { retryAfterMs } from "../../../src/agents/model/model-errors.ts";
import { startModelServer, type ModelAnswer } from "../../support/model-server.ts";

const FAST = { transient: { maxAttempts: 2, initialDelayMs: 1, maxDelayMs: 1 } };

interface World {
  readonly clock?: Clock;
  readonly onRetry?: (event: Extract<RunEvent, { type: "step.retrying" }>) => void;
}

async function run(answers: readonly ModelAnswer[], options: object = {}, { clock, onRetry }: World = {}) {
  await using server = await startModelServer(answers);
  const model = createOpenAICompatible({ name: "test", baseURL: server.url, includeUsage: true })("m");
  const handle = Orchestra.stream({
    task: "x",
    topology: { nodes: ["M"] },
    agents: { M: modelAgent({ name: "M", model, retry: FAST, ...options }) },
    ...(clock !== undefined && { clock }),
  });
  const retrying: Extract<RunEvent, { type: "step.retrying" }>[] = [];
  const calls: ModelCalled[] = [];
  for await (const event of handle) {
    if (event.type === "step.called" && event.call.type === "model.called") calls.push(event.call);
    if (event.type !== "step.retrying") continue;
    retrying.push(event);
    onRetry?.(event);
  }
  return { result: await handle.result, retrying, calls, requests: server.requests };
}

it.each([
  ["a 429", { status: 429 }],
  ["a 500", { status: 500 }],
  ["a 503", { status: 503 }],
  ["a stream cut in the middle", { text: ["one ", "two ", "three"], cutAfter: 2 }],
  ["invalid JSON in the stream", { text: ["one ", "two"], invalidJson: true }],
] as const)("tries again after %s, once for each attempt of the step", async (_name, fault) => {
  const good = await run([fault, "whole"]);
  expect(good.result.orThrow().finalResponse).toBe("whole");
  expect(good.retrying).toHaveLength(1);

  const bad = await run([fault, fault, "never asked"]);
  expect(bad.result.error).toMatchObject({ code: "ORCH_MODEL_FAILED", node: "M" });
  expect(bad.requests).toHaveLength(2);
});

it.each([
  [400, { status: 400, message: "no such parameter" }, /status 400: no such parameter/],
  [401, { status: 401, message: "bad key" }, /status 401: bad key/],
  [404, { status: 404, message: "no such model" }, /status 404: no such model/],
])("does not try again after a %i", async (status, fault, message) => {
  const { result, requests } = await run([fault, "never asked"]);
  expect(result.error?.message).toMatch(message);
  expect(result.error).toMatchObject({ code: "ORCH_MODEL_FAILED", data: { status, model: "m" } });
  expect(requests).toHaveLength(1);
});

it("tells observers of each request: whose answer it was, and when that began to come", async () => {
  const { calls } = await run([{ status: 500 }, { text: ["one ", "two"], cutAfter: 1 }, "whole"], {
    retry: { transient: { maxAttempts: 3, initialDelayMs: 1, maxDelayMs: 1 } },
  });
  const [refused, cut, whole] = calls;
  expect(refused).not.toHaveProperty("firstTokenMs");
  expect(cut).toMatchObject({ error: { code: "ORCH_MODEL_FAILED" }, firstTokenMs: expect.any(Number) });
  expect(whole).toMatchObject({ responseId: "chatcmpl-2", firstTokenMs: expect.any(Number) });
  expect(whole?.firstTokenMs).toBeLessThanOrEqual(whole?.tookMs ?? 0);
});

it("waits as long as the provider asks for", async () => {
  const clock = new SimClock();
  let due = (_event: Extract<RunEvent, { type: "step.retrying" }>): void => undefined;
  const retrying = new Promise<Extract<RunEvent, { type: "step.retrying" }>>((resolve) => (due = resolve));
  const running = run([{ status: 429, retryAfter: 30 }, "ok"], {}, { clock, onRetry: (event) => due(event) });
  const { retryAtMs } = await retrying;
  expect(retryAtMs - clock.nowMs()).toBe(30_000);
  await clock.advance(30_000);
  let isOver = false;
  void running.finally(() => (isOver = true));
  while (!isOver) {
    // The timer may be armed only now.
    await clock.advance(0);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect((await running).result.orThrow().finalResponse).toBe("ok");
});

it.each([
  [{ "retry-after": "2" }, 2_000],
  [{ "retry-after-ms": "150", "retry-after": "2" }, 150],
  [{ "retry-after": "Wed, 21 Oct 2015 07:28:05 GMT", date: "Wed, 21 Oct 2015 07:28:00 GMT" }, 5_000],
  [{ "retry-after": "Wed, 21 Oct 2015 07:27:00 GMT", date: "Wed, 21 Oct 2015 07:28:00 GMT" }, 0],
  [{ "retry-after": "soon" }, undefined],
  [{}, undefined],
])("reads %j as %j ms", (headers, expected) => {
  expect(retryAfterMs(headers as Record<string, string>)).toBe(expected);
});

it("tries again when nobody is there", async () => {
  const gone = await startModelServer();
  await gone.close();
  const model = createOpenAICompatible({ name: "test", baseURL: gone.url })("m");
  const result = await Orchestra.run({
    task: "x",
    topology: { nodes: ["M"] },
    agents: { M: modelAgent({ name: "M", model, retry: FAST }) },
  });
  expect(result.error?.message).toMatch(/could not be reached/);
  expect(result.getExecutionTrace().at(-1)?.attempt).toBe(2);
});

it("does not try again what a content filter stopped", async () => {
  const { result, requests } = await run([{ text: "half", finishReason: "content_filter" }, "never asked"]);
  expect(result.error?.message).toMatch(/content filter/);
  expect(requests).toHaveLength(1);
});

it("takes what was answered before the failure from the journal, and counts it once", async () => {
  const usage = { input: 100, output: 10 };
  const { result, requests } = await run([{ text: "not json", usage }, { status: 500 }, { text: '{"n":1}', usage }], {
    output: z.object({ n: z.number() }),
  });
  expect(result.orThrow().finalResponse).toEqual({ n: 1 });
  expect(requests).toHaveLength(3);
  expect(requests[2]?.body.messages).toEqual(requests[1]?.body.messages);
  expect(result.metadata.usage).toMatchObject({ inputTokens: 200, outputTokens: 20, apiCalls: 2 });
});

it("waits for a slow first token as long as the step may take", async () => {
  const { result } = await run([{ text: "late", firstTokenAfterMs: 200 }], { timeoutMs: 5_000 });
  expect(result.orThrow().finalResponse).toBe("late");
});
