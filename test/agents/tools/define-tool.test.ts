import { describe, expect, it } from "vitest";
import { z } from "zod";

import { callTool, defineTool, withTerms } from "../../../src/agents/index.ts";
import type { Tool } from "../../../src/agents/index.ts";
import { Orchestra, type AgentContext, type Logger } from "../../../src/index.ts";

const run = (input: unknown): unknown => input;

describe("defineTool", () => {
  it("tells a Standard Schema as JSON Schema, and converts by it", async () => {
    const tool = defineTool({
      name: "t",
      input: z.object({ day: z.string().default("today"), n: z.number().int() }),
      run,
    });
    expect(tool.inputJsonSchema).toMatchObject({
      type: "object",
      properties: { day: { type: "string" }, n: { type: "integer" } },
      required: ["n"],
    });
    expect(await tool.parseInput({ n: 1 })).toEqual({ day: "today", n: 1 });
  });

  it("checks by a JSON Schema as well", async () => {
    const input = { type: "object", properties: { n: { type: "integer", minimum: 1 } }, required: ["n"] };
    const tool = defineTool({ name: "t", input, run });
    expect(tool.inputJsonSchema).toEqual(input);
    expect(await tool.parseInput({ n: 1 })).toEqual({ n: 1 });
    await expect(tool.parseInput({ n: 0 })).rejects.toMatchObject({
      code: "ORCH_INVALID_INPUT",
      message: expect.stringMatching(/^input of tool "t" does not fit its schema: n: /),
    });
  });

  it("takes any object, and nothing else, where nothing is said", async () => {
    const tool = defineTool({ name: "t", run });
    expect(tool).toMatchObject({ policy: "allow", idempotent: false, inputJsonSchema: { type: "object" } });
    expect(await tool.parseInput({ a: [1] })).toEqual({ a: [1] });
    await expect(tool.parseInput("text")).rejects.toMatchObject({ code: "ORCH_INVALID_INPUT" });
  });

  const mute = { "~standard": { version: 1 as const, vendor: "mine", validate: (value: unknown) => ({ value }) } };

  it("takes a JSON Schema beside a Standard Schema that cannot tell itself", () => {
    const inputJsonSchema = { type: "object" };
    expect(defineTool({ name: "t", input: mute, inputJsonSchema, run }).inputJsonSchema).toBe(inputJsonSchema);
  });

  it.each<[string, object, RegExp]>([
    ["a name models do not take", { name: "my tool", run }, /name: expected 1 to 64/],
    ["a name too long", { name: "x".repeat(65), run }, /name/],
    ["no function", { name: "t" }, /defineTool\("t"\)\.run/],
    ["an unknown field", { name: "t", run, retries: 3 }, /retries/],
    ["an unknown policy", { name: "t", run, policy: "ask" }, /expected one of allow, approve, block/],
    ["no time", { name: "t", run, timeoutMs: 0 }, /timeoutMs: expected milliseconds above 0, or false/],
    ["no time to approve", { name: "t", run, approvalTimeoutMs: -1 }, /approvalTimeoutMs/],
    ["a maybe", { name: "t", run, idempotent: "yes" }, /idempotent/],
    ["a schema of no object", { name: "t", run, input: z.string() }, /type: "object"/],
    ["a schema that is none", { name: "t", run, input: "string" }, /Standard Schema/],
    ["a schema that cannot tell itself", { name: "t", run, input: mute }, /inputJsonSchema/],
    ["a schema that cannot be checked", { name: "t", run, input: { type: "object", if: {} } }, /checked.*if\/then/],
  ])("refuses %s", (_, definition, message) => {
    expect(() => defineTool(definition as never)).toThrow(
      expect.objectContaining({ code: "ORCH_BAD_OPTION", message: expect.stringMatching(message) }),
    );
  });
});

describe("withTerms", () => {
  const tool = defineTool({ name: "t", run: () => "ran" });

  it("gives the same tool on other terms", async () => {
    const strict = withTerms(tool, { policy: "block" });
    expect(withTerms(strict, { policy: undefined } as never).policy).toBe("block");
    expect(tool.policy).toBe("allow");
    const ran = (one: Tool) => Orchestra.run({ task: {}, topology: { nodes: ["T"] }, agents: { T: one } });
    expect((await ran(tool)).orThrow().finalResponse).toBe("ran");
    expect((await ran(strict)).error).toMatchObject({ code: "ORCH_TOOL_REFUSED" });
  });

  it.each([{ policy: "never" }, { run: () => 1 }, { timeoutMs: 0 }])("refuses %j", (terms) => {
    expect(() => withTerms(tool, terms as never)).toThrow(expect.objectContaining({ code: "ORCH_BAD_OPTION" }));
  });
});

describe("callTool", () => {
  async function inStep<T>(act: (ctx: AgentContext) => Promise<T>): Promise<unknown> {
    const agents = { A: async (_: unknown, ctx: AgentContext) => act(ctx) };
    return (await Orchestra.run({ task: "t", topology: { nodes: ["A"] }, agents })).orThrow().finalResponse;
  }

  it("makes one call of one id, whoever makes it, in whatever order", async () => {
    let calls = 0;
    const tool = defineTool({ name: "t", run: () => ++calls });
    const outcomes = await inStep((ctx) =>
      Promise.all(["a", "a", "b"].map((id) => callTool(tool, { id, input: {} }, ctx))),
    );
    expect(outcomes).toEqual([1, 1, 2].map((value) => ({ type: "value", value })));
  });

  it.each<[string, unknown, string]>([
    ["what cannot be stored", { f: () => 1 }, "ORCH_NOT_SERIALIZABLE"],
    ["what is too large", "x".repeat(100_000), "ORCH_PAYLOAD_TOO_LARGE"],
  ])("fails a call whose output is %s, and does not make it again", async (_, output, code) => {
    let calls = 0;
    const tool = defineTool({ name: "t", run: () => (calls++, output) });
    const outcome = await inStep(async (ctx) => {
      const call = { id: "a", input: {} };
      await callTool(tool, call, ctx, { outputBytesMax: 50_000 });
      return callTool(tool, call, ctx, { outputBytesMax: 50_000 });
    });
    expect(outcome).toMatchObject({ type: "failed", error: { code } });
    expect(calls).toBe(1);
  });

  it("logs neither inputs nor outputs nor what was thrown", async () => {
    const lines: unknown[] = [];
    const write = (fields: object, message: string): void => void lines.push([fields, message]);
    const logger: Logger = { debug: write, info: write, warn: write, error: write, child: () => logger };
    const tools = [
      defineTool({ name: "good", run: ({ key }) => `for ${key}` }),
      defineTool({
        name: "bad",
        run: ({ key }) => {
          throw new Error(`refused ${key}`);
        },
      }),
    ];
    await inStep(async (ctx) => {
      const logging = new Proxy(ctx, { get: (of, key) => (key === "logger" ? logger : Reflect.get(of, key, of)) });
      for (const tool of tools) await callTool(tool, { id: tool.name, input: { key: "sk-secret" } }, logging);
    });
    expect(lines).toHaveLength(2);
    expect(JSON.stringify(lines)).toMatch(/good.*bad/s);
    expect(JSON.stringify(lines)).not.toContain("sk-secret");
  });

  it("hands the tool a key that is the same for each run of a call, and another for another", async () => {
    const keys: string[] = [];
    const tool = defineTool({ name: "t", idempotent: true, run: (_, ctx) => void keys.push(ctx.idempotencyKey) });
    const flaky = { ...tool, run: (input: unknown, ctx: never) => (tool.run(input, ctx), Promise.reject(new Error())) };
    await inStep(async (ctx) => {
      for (const id of ["a", "a", "b"])
        await callTool(flaky, { id, input: {} }, ctx, { failures: "throw" }).catch(() => undefined);
    });
    expect(keys).toHaveLength(3);
    expect(keys[0]).toBe(keys[1]);
    expect(keys[2]).not.toBe(keys[0]);
  });
});
