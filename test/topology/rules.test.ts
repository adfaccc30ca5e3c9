import { describe, expect, it } from "vitest";
import { readTopology } from "../../src/topology/read.ts";

const BASE = { nodes: ["A", "B", "C"], edges: ["A <-> B", "A <-> C", "B <~> C"] };

function withRules(...rules: unknown[]) {
  return readTopology({ ...BASE, rules });
}

describe("rules", () => {
  it.each<[string, unknown, object]>([
    ["timeout(1.5)", { type: "timeout", value: 1.5 }, { durationMs: 1500 }],
    ["max_agents(4)", { type: "max_agents", value: 4 }, { maxAgents: 4 }],
    [" max_steps( 5 ) ", { type: "max_steps", value: 5 }, { maxSteps: 5 }],
    ["agent_timeout(default:90)", { type: "agent_timeout", default: 90 }, { agentTimeoutMs: 90_000 }],
  ])("write a limit, as text or as an object: %s", (text, object, limits) => {
    for (const rule of [text, object]) {
      const { data, problems } = withRules(rule);
      expect(problems).toEqual([]);
      expect(data.limits).toEqual(limits);
      expect(data.rules).toEqual([rule]);
    }
  });

  it.each(["parallel(B, C)", { type: "parallel", agents: ["C", "B"] }])(
    "let the callers of all of these call in parallel: %j",
    (rule) => {
      const { data, problems } = withRules(rule);
      expect(problems).toEqual([]);
      expect(data.nodes.map((node) => node.parallelCalls)).toEqual([true, undefined, undefined]);
    },
  );

  it("change nothing for flow successors, which run side by side anyway", () => {
    const plain = { edges: ["A -> B", "A -> C"] };
    const { data, problems } = readTopology({ ...plain, rules: ["parallel(B, C)"] });
    expect(problems).toEqual([]);
    expect(data.nodes).toEqual(readTopology(plain).data.nodes);
  });

  it("warn when they have no effect", () => {
    expect(withRules("parallel(A, B)").problems).toMatchObject([
      { code: "rule_without_effect", severity: "warning", path: "rules[0]" },
    ]);
  });

  it.each(["convergence_point(C)", { type: "convergence_point", node: "C" }])(
    "mark a convergence point: %j",
    (rule) => {
      expect(withRules(rule).data.nodes[2]).toMatchObject({ name: "C", convergence: true });
    },
  );

  it.each(["max_turns(B <~> C, 3)", "max_turns(C <~> B, 3)", { type: "max_turns", edge: "B <~> C", value: 3 }])(
    "bound a conversation: %j",
    (rule) => {
      const { data, problems } = withRules(rule);
      expect(problems).toEqual([]);
      expect(data.edges[2]?.maxTurns).toBe(3);
    },
  );

  it.each([
    "agent_timeout(A:120, B: 0.5, default:90)",
    { type: "agent_timeout", agents: { A: 120, B: 0.5 }, default: 90 },
  ])("limit agents: %j", (rule) => {
    const { data, problems } = withRules(rule);
    expect(problems).toEqual([]);
    expect(data.nodes.map((node) => node.timeoutMs)).toEqual([120_000, 500, undefined]);
    expect(data.limits).toEqual({ agentTimeoutMs: 90_000 });
  });

  it("are not applied again to data that holds their effect", () => {
    const { data } = withRules("parallel(B, C)", "max_steps(5)");
    const again = readTopology({ ...data, nodes: data.nodes.map(({ name, kind }) => ({ name, kind })) });
    expect(again.problems).toEqual([]);
    expect(again.data.nodes[0]?.parallelCalls).toBeUndefined();
    expect(again.data.rules).toEqual(data.rules);
  });

  it.each<[unknown, string, string]>([
    ["max_step(5)", "unknown_rule", 'did you mean "max_steps"?'],
    [{ type: "retry", value: 1 }, "unknown_rule", "known: timeout"],
    ["max_steps", "bad_rule", "max_steps(5)"],
    ["max_steps(1, 2)", "bad_rule", "one number"],
    ["max_steps()", "bad_rule", "one number"],
    ["max_steps(0)", "bad_value", ""],
    ["max_steps(many)", "bad_value", ""],
    ["max_agents(1.5)", "bad_value", ""],
    ["timeout(0)", "bad_value", ""],
    ["timeout(-3)", "bad_value", ""],
    [{ type: "timeout" }, "bad_rule", ""],
    [{ type: "timeout", value: 3, valeu: 4 }, "unknown_key", 'did you mean "value"?'],
    ["parallel(A)", "bad_rule", ""],
    ["parallel(B, Cc)", "unknown_node", 'did you mean "C"?'],
    ["convergence_point(Z)", "unknown_node", ""],
    ["max_turns(A <~> B, 3)", "bad_rule", "add the edge"],
    ["max_turns(B -> C, 3)", "bad_rule", ""],
    ["max_turns(B <~> C, 0)", "bad_value", ""],
    ["agent_timeout()", "bad_rule", "A:120"],
    ["agent_timeout(A:1, A:2)", "bad_rule", ""],
    ["agent_timeout(A:0)", "bad_value", ""],
    ["agent_timeout(Z:1)", "unknown_node", ""],
    [{ type: "agent_timeout" }, "bad_rule", ""],
    [7, "bad_rule", ""],
  ])("that cannot be read or followed are errors: %j", (rule, code, hint) => {
    const { problems } = withRules(rule);
    expect(problems).toMatchObject([{ code, severity: "error", path: expect.stringMatching(/^rules\[0\]/) }]);
    if (hint !== "") expect(problems[0]?.hint).toContain(hint);
  });

  it.each<[string, object, unknown[]]>([
    ["two of a kind", {}, ["max_steps(3)", "max_steps(4)"]],
    ["a limit", { limits: { maxSteps: 9 } }, ["max_steps(3)"]],
    ["a node's own time limit", { nodes: [{ name: "A", timeoutMs: 5 }, "B", "C"] }, ["agent_timeout(A:1)"]],
    ["a node that never joins", { nodes: ["A", "B", { name: "C", convergence: false }] }, ["convergence_point(C)"]],
    ["a node that calls in order", { nodes: [{ name: "A", parallelCalls: false }, "B", "C"] }, ["parallel(B, C)"]],
    [
      "an edge's own turns",
      { edges: [{ from: "A", to: "B", pattern: "<~>", maxTurns: 2 }] },
      ["max_turns(A <~> B, 3)"],
    ],
  ])("that contradict %s are errors", (_, change, rules) => {
    expect(readTopology({ ...BASE, ...change, rules }).problems).toMatchObject([
      { code: "rule_conflict", severity: "error" },
    ]);
  });
});
