import { describe, expect, it } from "vitest";
import { z } from "zod";

import { OrchestraInstance } from "../../src/runtime/orchestra-instance.ts";
import { defineAgent } from "../../src/agents/define-agent.ts";

const pass = (input: unknown): unknown => input;

describe("defineAgent", () => {
  it("returns plain data that cannot be changed", () => {
    const agent = defineAgent({
      name: "Writer",
      description: "writes",
      timeoutMs: false,
      concurrency: 2,
      allowedPeers: ["Editor"],
      run: pass,
    });
    expect(agent).toMatchObject({
      name: "Writer",
      description: "writes",
      timeoutMs: false,
      concurrency: 2,
      allowedPeers: ["Editor"],
    });
    expect(Object.isFrozen(agent)).toBe(true);
  });

  it("hands over the input as its schema converted it", async () => {
    const agent = defineAgent({ name: "Adder", input: z.object({ n: z.coerce.number() }), run: ({ n }) => n + 1 });
    expect(await agent.parseInput?.({ n: "41" })).toEqual({ n: 41 });
  });

  it("refuses an input that does not fit, naming the agent and the place", async () => {
    const agent = defineAgent({ name: "Adder", input: z.object({ list: z.array(z.number()) }), run: pass });
    await expect(agent.parseInput?.({ list: [1, "two"] })).rejects.toMatchObject({
      code: "ORCH_INVALID_INPUT",
      message: expect.stringMatching(/input of agent "Adder".*list\.1/),
    });
  });

  it("refuses an output that does not fit", async () => {
    const agent = defineAgent({ name: "Adder", output: z.number(), run: () => 1 });
    await expect(agent.parseOutput?.("one")).rejects.toMatchObject({ code: "ORCH_INVALID_OUTPUT" });
  });

  it("takes a Standard Schema of any library", async () => {
    const even = {
      "~standard": {
        version: 1 as const,
        vendor: "mine",
        validate: (value: unknown) =>
          Number(value) % 2 === 0 ? { value: Number(value) } : { issues: [{ message: "odd" }] },
      },
    };
    const agent = defineAgent({ name: "Half", input: even, run: pass });
    expect(await agent.parseInput?.(4)).toBe(4);
    await expect(agent.parseInput?.(3)).rejects.toMatchObject({
      code: "ORCH_INVALID_INPUT",
      message: expect.stringContaining("odd"),
    });
  });

  it("takes the answer to its question as it is, whatever it takes when it begins", async () => {
    const Asker = defineAgent({
      name: "Asker",
      input: z.object({ topic: z.string() }),
      run: (input, ctx) => (ctx.question === undefined ? ctx.ask(`on ${input.topic}?`) : { answered: input }),
    });
    const instance = new OrchestraInstance({ topology: { nodes: ["Asker"], edges: [] }, agents: { Asker } });
    const asked = await instance.execute({ task: { topic: "tea" }, sessionId: "s" });
    expect(asked.status).toBe("awaiting_user");
    const answered = await instance.resumeSession("s", { userResponse: "yes" });
    expect(answered.orThrow().finalResponse).toEqual({ answered: "yes" });
    await instance.close();
  });

  it.each([
    [{ name: "", run: pass }, "name"],
    [{ name: "A", run: "no" }, "run"],
    [{ name: "A", run: pass, timeoutMs: 0 }, "timeoutMs"],
    [{ name: "A", run: pass, concurrency: 1.5 }, "concurrency"],
    [{ name: "A", run: pass, input: {} }, "input"],
    [{ name: "A", run: pass, retry: { transient: { attempts: 3 } } }, "retry.transient.attempts"],
    [null, "defineAgent: expected an object, got null"],
    [{ name: "A", run: pass, colour: "red" }, "colour"],
  ])("refuses %j", (definition, field) => {
    const define = defineAgent as (definition: unknown) => unknown;
    expect(() => define(definition)).toThrowError(
      expect.objectContaining({ code: "ORCH_BAD_OPTION", message: expect.stringContaining(field) }),
    );
  });
});
