import { Edge, Node, type ArrivalValue } from "../../../src/index.ts";

/** Ann's silence is a no, Bob's a failure that Deputy takes over. */
export const teamOf = (timeoutMs: number) => ({
  topology: {
    nodes: [
      "S",
      Node("Ann", { kind: "user", timeoutMs, onTimeout: { answer: "no" } }),
      Node("Bob", { kind: "user", timeoutMs }),
      "Deputy",
      "J",
    ],
    edges: ["S -> Ann", "S -> Bob", "Ann -> J", "Bob -> J", Edge("Bob", "Deputy", { on: "error" }), "Deputy -> J"],
  },
  agents: {
    S: (task: unknown) => task,
    Deputy: () => "deputy's word",
    J: (arrivals: readonly ArrivalValue[]) => arrivals.map(({ from, value }) => `${from}: ${String(value)}`),
  },
});
