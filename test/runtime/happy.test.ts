import { describe, expect, it } from "vitest";
import { run, topology, world } from "./world.ts";

describe("a run on an engine", () => {
  it("takes a value through a pipeline", async () => {
    const { engine } = world();
    const outcome = await run(engine, "a", topology("A -> B -> C"), {
      A: (x) => `${x}b`,
      B: async (x) => `${x}c`,
      C: (x) => ({ text: `${x}d` }),
    });
    expect(outcome.status).toBe("completed");
    expect(outcome.finalResponse).toEqual({ text: "abcd" });
    expect(outcome.trace.map((step) => step.node)).toEqual(["A", "B", "C"]);
    expect(outcome.branches).toHaveLength(1);
    await engine.close();
  });
});
