import { describe, expect, it } from "vitest";

import { AgentRegistry } from "../../src/agents/agent-registry.ts";
import { defineAgent } from "../../src/agents/define-agent.ts";

const echo = (input: unknown): unknown => input;

describe("AgentRegistry", () => {
  it("keeps agents by name, in the order they came", () => {
    const writer = defineAgent({ name: "Writer", run: echo });
    const registry = new AgentRegistry({ Reader: echo })
      .register(writer)
      .register("Nested", { nodes: ["Reader"], edges: [] });
    expect(registry.names()).toEqual(["Reader", "Writer", "Nested"]);
    expect(registry.get("Writer")).toBe(writer);
    expect([registry.has("Reader"), registry.size]).toEqual([true, 3]);
  });

  it("takes a list of agents", () => {
    expect(
      new AgentRegistry([defineAgent({ name: "A", run: echo }), defineAgent({ name: "B", run: echo })]).names(),
    ).toEqual(["A", "B"]);
  });

  it("refuses a second agent of the same name unless told to replace", () => {
    const registry = new AgentRegistry({ A: echo });
    expect(() => registry.register("A", echo)).toThrowError(
      expect.objectContaining({ code: "ORCH_BAD_OPTION", message: expect.stringContaining('"A"') }),
    );
    const other = (): string => "other";
    expect(registry.register("A", other, { replace: true }).get("A")).toBe(other);
  });

  it("refuses what is no agent", () => {
    const register = (value: unknown): unknown => new AgentRegistry().register("A", value as () => unknown);
    expect(() => register(undefined)).toThrowError(expect.objectContaining({ code: "ORCH_BAD_OPTION" }));
    expect(() => register("text")).toThrowError(expect.objectContaining({ code: "ORCH_BAD_OPTION" }));
  });

  it("forgets an agent, and says whether there was one", () => {
    const registry = new AgentRegistry({ A: echo });
    expect([registry.unregister("A"), registry.unregister("A"), registry.get("A")]).toEqual([true, false, undefined]);
  });

  it("shares nothing with another registry", () => {
    new AgentRegistry({ A: echo });
    expect(new AgentRegistry().names()).toEqual([]);
  });
});
