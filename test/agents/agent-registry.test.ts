import { describe, expect, it } from "vitest";

import { AgentRegistry } from "../../src/agents/agent-registry.ts";
import { defineAgent } from "../../src/agents/define-agent.ts";
import { Orchestra } from "../../src/runtime/orchestra.ts";

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

  it("stands on another: finds what it does not know there, hides it by name, and leaves it alone", async () => {
    const shared = new AgentRegistry({ A: () => "shared A", B: () => "shared B" });
    const own = shared.extend({ A: () => "own A" });
    shared.register("C", () => "late C");
    own.register("D", () => "own D");
    expect(own.names()).toEqual(["A", "B", "C", "D"]);
    expect([own.size, shared.size]).toEqual([4, 3]);
    expect(shared.has("D")).toBe(false);
    const result = await Orchestra.run({ task: "x", topology: { nodes: ["A", "C"], edges: ["A -> C"] }, agents: own });
    expect(result.orThrow().branchResults[0]?.nodes).toEqual(["A", "C"]);
    expect(result.finalResponse).toBe("late C");
    expect(own.unregister("B")).toBe(false);
    expect(own.unregister("A")).toBe(true);
    expect(own.get("A")).toBe(shared.get("A"));
  });

  it("shares nothing with another registry", () => {
    new AgentRegistry({ A: echo });
    expect(new AgentRegistry().names()).toEqual([]);
  });
});
