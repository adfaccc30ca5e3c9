// A refusal ended the run at once, in the middle of handing out several steps; what was left of the move then
// met branches that were gone.

import { expect, it } from "vitest";
import { parallel, play } from "./play.ts";

it.each([
  [
    "a fork",
    { nodes: ["F", "A", "B", "C", "J"], edges: ["F -> A", "F -> B", "F -> C", "A -> J", "B -> J", "C -> J"] },
    {},
  ],
  [
    "parallel calls",
    { nodes: [{ name: "F", parallelCalls: true }, "A", "B", "C"], edges: ["F <-> A", "F <-> B", "F <-> C"] },
    {},
  ],
  [
    "a parallel command",
    { nodes: ["F", "A", "J"], edges: ["F -> A", "A -> J"] },
    { F: () => parallel(["A", 1], ["A", 2], ["A", 3]) },
  ],
  [
    "notifications",
    {
      nodes: ["F", "A", "B", "C"],
      edges: [{ from: "F", to: "A", type: "notify" }, { from: "F", to: "B", type: "notify" }, "F -> C"],
    },
    {},
  ],
])("a run whose bound falls into %s ends by that name", (_, topology, script) => {
  for (const maxSteps of [1, 2, 3]) {
    const run = play(topology, script, { limits: { maxSteps } }).run();
    expect(run.state.run!.end).toMatchObject({ status: "failed", terminalReason: "max_steps" });
    expect(run.state.run!.branches.size).toBe(0);
    expect(run.events.filter((e) => e.type === "rule.refused")).toHaveLength(1);
  }
});
