import { describe, expect, it } from "vitest";
import { serveAgent } from "../../../src/agents/index.ts";
import { call, httpServer } from "./servers.ts";

describe("an agent that is served", () => {
  it("is called like one of this process: chunks, value and usage arrive", async () => {
    const handler = serveAgent(
      (input: { topic: string }, ctx) => {
        ctx.emit("Did you ");
        ctx.emit({ text: "know?", index: 1 });
        ctx.usage({ inputTokens: 7, outputTokens: 3, costUsd: 0.25 });
        return { title: input.topic, at: new Date(0), seen: new Set([1]) };
      },
      { name: "Writer" },
    );
    const { result, chunks } = await call(await httpServer(handler), {}, { task: { topic: "otters" } });
    expect(result.error).toBe(null);
    expect(result.finalResponse).toEqual({ title: "otters", at: new Date(0), seen: new Set([1]) });
    expect(chunks).toEqual(["Did you ", { text: "know?", index: 1 }]);
    expect(result.metadata.usage).toMatchObject({ inputTokens: 7, outputTokens: 3, costUsd: 0.25 });
    await handler.close();
  });
});
