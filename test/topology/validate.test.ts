import { describe, expect, it } from "vitest";
import { Edge } from "../../src/topology/edge.ts";
import { PatternConfig } from "../../src/topology/patterns.ts";
import { TopologyValidationError, type READ_PROBLEM_CODES } from "../../src/topology/problems.ts";
import { Topology } from "../../src/runtime/topology.ts";
import { validateTopology } from "../../src/topology/validate.ts";

const codes = (input: unknown, options = {}): string[] =>
  validateTopology(input, options).map((problem) => problem.code);

/** For each code, a topology that has this problem. Only removing an edge can find it unknown. */
const EXAMPLES: Record<Exclude<(typeof READ_PROBLEM_CODES)[number], "unknown_edge">, unknown> = {
  bad_arrow: { nodes: ["A", "B"], edges: ["A > B"] },
  bad_condition: { edges: [Edge("A", "B", { condition: "output.x ==" })] },
  bad_edge: { nodes: ["A"], edges: [1] },
  bad_metadata: { nodes: ["A"], metadata: { at: new Date(0) } },
  bad_name: { nodes: ["A", " "] },
  bad_node: { nodes: ["A", null] },
  bad_pattern: PatternConfig.mesh({ agents: [] }),
  bad_rule: { nodes: ["A"], rules: ["faster"] },
  bad_topology: "A -> B",
  bad_value: { nodes: ["A"], limits: { maxSteps: -1 } },
  condition_near_function: { edges: [Edge("A", "B", { condition: "isgood" })] },
  conflicting_options: { edges: [Edge("A", "B", { else: true, condition: "x" }), Edge("A", "C", { condition: "y" })] },
  duplicate_edge: { edges: ["A -> B", "A -> B"] },
  duplicate_node: { nodes: ["A", "A"] },
  edge_from_end: { edges: ["A -> End", "End <|> A"] },
  edge_into_start: { edges: ["Start -> A", "A <|> Start"] },
  empty_topology: { nodes: [] },
  rule_conflict: { nodes: ["A"], limits: { maxSteps: 2 }, rules: ["max_steps(3)"] },
  rule_without_effect: { edges: ["A -> B -> C"], rules: ["parallel(B, C)"] },
  self_edge: { nodes: ["A"], edges: ["A <=> A"] },
  unknown_agent: { nodes: ["Wirter"] },
  unknown_key: { nodes: ["A"], nodse: [] },
  unknown_node: { nodes: ["A"], edges: ["A -> Z"] },
  unknown_rule: { nodes: ["A"], rules: ["hurry(3)"] },
};

describe("validation", () => {
  it.each(Object.entries(EXAMPLES))("finds %s", (code, input) => {
    const options = { agents: ["Writer"], functions: { isGood: () => true } };
    expect(codes(input, code === "unknown_agent" || code === "condition_near_function" ? options : {})).toContain(code);
  });

  it.each<[string, unknown, string]>([
    ["entry_ambiguous", { nodes: ["A", "B"] }, "error"],
    ["unreachable_node", { nodes: ["A", "B", "C"], edges: ["A -> B"], entryPoint: "A" }, "error"],
    ["unmarked_back_edge", { edges: ["A -> B", "A -> C", "B -> C", "C -> B"] }, "error"],
    [
      "shadowed_exit",
      { edges: ["User -> A", "A -> B", Edge("A", "User", { condition: "done" }), "B -> User"] },
      "warning",
    ],
    ["flow_after_reply", { edges: ["A <-> B", "B -> C"] }, "warning"],
    ["cycle_without_exit", { edges: ["S -> A", "A -> B", "B -> A"] }, "warning"],
  ])("finds what only the graph shows: %s", (code, input, severity) => {
    expect(validateTopology(input)).toContainEqual(expect.objectContaining({ code, severity }));
  });

  it("has nothing against a sound topology", () => {
    const edges = [
      "User -> Validator",
      Edge("Validator", "A", { metadata: { condition: "valid" } }),
      Edge("Validator", "B", { else: true }),
      "A -> F",
      "B -> F",
      "F -> User",
    ];
    expect(validateTopology({ edges })).toEqual([]);
  });

  it("says where in the input a condition does not parse, and at which character", () => {
    const problems = validateTopology({
      edges: ["A -> B -> C", Edge("B", "D", { metadata: { condition: "outptu.x > 1" } })],
    });
    expect(problems).toMatchObject([
      {
        code: "bad_condition",
        path: "edges[1].condition",
        message: expect.stringContaining("at character 1"),
        hint: 'did you mean "output"?',
      },
    ]);
  });

  it("takes a registered function for what its name says, whatever its name", () => {
    const input = { edges: ["A -> C", Edge("A", "B", { condition: "is it good?" })] };
    expect(codes(input)).toEqual(["bad_condition"]);
    expect(codes(input, { functions: { "is it good?": () => true } })).toEqual([]);
  });

  it("warns of a label that is one slip from a registered function, and of no other", () => {
    const about = (condition: string) =>
      validateTopology({ edges: [Edge("A", "B", { condition })] }, { functions: { isGood: () => true } });
    for (const slip of ["isgood", "isGod", "isGoood"])
      expect(about(slip)).toMatchObject([
        { severity: "warning", path: "edges[0].condition", hint: 'did you mean "isGood"?' },
      ]);
    for (const other of ["isGood", "good", "approved"]) expect(about(other)).toEqual([]);
  });

  it("checks agents, tools and functions by the name a node uses, and no people", () => {
    const nodes = ["A", { name: "B", uses: "Coder" }, { name: "C", kind: "tool" }, "User", "End"];
    const problems = validateTopology({ nodes, edges: ["User -> A -> B -> C -> End"] }, { agents: ["A", "Codar"] });
    expect(problems).toMatchObject([
      { code: "unknown_agent", path: "nodes[1]", message: 'no agent is called "Coder"', hint: 'did you mean "Codar"?' },
      { code: "unknown_agent", path: "nodes[2]", message: 'no tool is called "C"' },
    ]);
  });

  it("collects problems of the text and of the graph in one list", () => {
    const edges = ["A -> B", "A -> C", "B -> C", "C -> B", Edge("C", "D", { condition: "1 +" })];
    expect(codes({ edges, rules: ["max_steps(0)"] }, { agents: ["A", "B", "C"] })).toEqual([
      "bad_value",
      "bad_condition",
      "unknown_agent",
      "unmarked_back_edge",
    ]);
  });

  it("says nothing of the graph where a part of it could not be read", () => {
    expect(codes({ nodes: ["A", "B"], edges: ["A => B"] })).toEqual(["bad_arrow"]);
  });
});

describe("refusing a topology", () => {
  it("names every error with place and hint, and keeps all problems", () => {
    const topology = Topology.from({
      nodes: ["Writer", "B"],
      edges: ["Wirter -> B", "Writer -> B"],
      rules: ["parallel(Writer, B)"],
    });
    const refused = (() => {
      try {
        topology.assertValid();
      } catch (error) {
        return error;
      }
    })();
    expect(refused).toBeInstanceOf(TopologyValidationError);
    expect(refused).toMatchObject({ code: "ORCH_TOPOLOGY_INVALID", problems: topology.validate() });
    expect((refused as Error).message).toBe(
      'the topology has 1 error\n  edges[0]: no node is called "Wirter" (did you mean "Writer"?)',
    );
  });

  it("lets warnings pass", () => {
    const topology = Topology.from({ edges: ["S -> A", "A -> B", "B -> A"] });
    expect(topology.assertValid()).toBe(topology);
  });
});

describe("the topologies of the guide", () => {
  it.each<[string, object, string[], string[]]>([
    ["one node", { nodes: ["Summarizer"], edges: [] }, ["Summarizer"], ["Summarizer"]],
    [
      "conditional execution",
      {
        nodes: ["Validator", "ProcessorA", "ProcessorB", "Finalizer"],
        edges: [
          Edge("Validator", "ProcessorA", { metadata: { condition: "valid" } }),
          Edge("Validator", "ProcessorB", { metadata: { condition: "invalid" } }),
          "ProcessorA -> Finalizer",
          "ProcessorB -> Finalizer",
        ],
      },
      ["Validator"],
      ["Finalizer"],
    ],
    [
      "a coordinator behind a person",
      {
        agents: ["User", "Coordinator", "W1", "W2"],
        flows: ["User <-> Coordinator", "Coordinator <-> W1", "Coordinator <-> W2"],
        rules: ["timeout(300)", "max_steps(20)", "parallel(W1, W2)"],
      },
      ["User"],
      ["Coordinator"],
    ],
    [
      "error recovery",
      {
        agents: ["User", "MainProcessor", "ErrorHandler", "Fallback"],
        flows: [
          "User -> MainProcessor",
          "MainProcessor -> ErrorHandler",
          "ErrorHandler -> Fallback",
          "MainProcessor -> User",
          "Fallback -> User",
        ],
      },
      ["User"],
      ["MainProcessor", "Fallback"],
    ],
  ])("validate without a word: %s", (_, input, entries, exits) => {
    const topology = Topology.from(input);
    expect(topology.validate()).toEqual([]);
    expect(topology.analyze()).toMatchObject({ entries, exits });
  });
});
