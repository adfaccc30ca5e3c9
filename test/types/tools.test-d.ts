import { describe, expectTypeOf, it } from "vitest";
import { z } from "zod";

import { McpServers, defineTool, withTerms } from "../../src/agents/index.ts";
import type { Tool } from "../../src/agents/index.ts";
import { AgentRegistry, Orchestra } from "../../src/index.ts";

const add = defineTool({
  name: "add",
  input: z.object({ a: z.number(), b: z.string().transform(Number) }),
  run: (input) => {
    expectTypeOf(input).toEqualTypeOf<{ a: number; b: number }>();
    return input.a + input.b;
  },
});

describe("a tool", () => {
  it("stands where an agent stands", () => {
    expectTypeOf(add).toEqualTypeOf<Tool>();
    void Orchestra.run({ task: {}, topology: { nodes: ["add"] }, agents: { add } });
    void Orchestra.run({
      task: {},
      topology: { nodes: ["add"] },
      agents: { add: withTerms(add, { policy: "block" }) },
    });
    new AgentRegistry([add]).register("sum", add);
  });

  it("takes no unknown policy, and no change of what it does", () => {
    // @ts-expect-error: no such policy
    defineTool({ name: "t", policy: "ask", run: () => 1 });
    // @ts-expect-error: what it does is no term
    withTerms(add, { run: () => 1 });
  });
});

describe("an MCP server", () => {
  it("is a process or an address", () => {
    new McpServers({ a: { command: "node", args: ["a.js"] }, b: { url: "https://b.example.com/mcp", headers: {} } });
    // @ts-expect-error: neither a program nor an address
    new McpServers({ a: {} });
  });
});
