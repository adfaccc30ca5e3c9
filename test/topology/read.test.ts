import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Edge, Node } from "../../src/topology/edge.ts";
import { PatternConfig } from "../../src/topology/patterns.ts";
import { readTopology } from "../../src/topology/read.ts";
import { Topology } from "../../src/runtime/topology.ts";

function clean(input: unknown) {
  const { data, problems } = readTopology(input);
  expect(problems).toEqual([]);
  return data;
}

function found(input: unknown): [code: string, path: string][] {
  return readTopology(input).problems.map(({ code, path }) => [code, path]);
}

describe("what a topology may be declared as", () => {
  const plain = {
    v: 1,
    nodes: [
      { name: "A", kind: "agent" },
      { name: "B", kind: "agent" },
    ],
    edges: [{ from: "A", to: "B", pattern: "flow", type: "invoke" }],
  };

  it.each<[string, unknown]>([
    ["nodes and edges", { nodes: ["A", "B"], edges: ["A -> B"] }],
    ["agents and flows", { agents: ["A", "B"], flows: ["A -> B"] }],
    ["edges alone", { edges: ["A -> B"] }],
    ["tuples", { nodes: ["A", "B"], edges: [["A", "B"]] }],
    ["tuples with an arrow", { nodes: ["A", "B"], edges: [["A", "B", "->"]] }],
    ["tuples with options", { nodes: ["A", "B"], edges: [["A", "B", { pattern: "flow" }]] }],
    ["objects", { nodes: [{ name: "A" }, { name: "B" }], edges: [{ from: "A", to: "B" }] }],
    ["values", { nodes: [Node("A"), Node("B")], edges: [Edge("A", "B")] }],
    ["agents by name", { agents: { A: () => 1, B: () => 2 }, edges: ["A -> B"] }],
    [
      "agents with peers",
      [
        { name: "A", allowedPeers: ["B"], run: () => 1 },
        { name: "B", run: () => 2 },
      ],
    ],
    ["a pattern", PatternConfig.custom({ nodes: ["A", "B"], edges: ["A -> B"] })],
    ["a topology", Topology.from({ nodes: ["A", "B"], edges: ["A -> B"] })],
    ["its own data", plain],
  ])("reads %s", (_, input) => {
    expect(clean(input)).toMatchObject(plain);
  });

  it("mixes strings, tuples, objects and values", () => {
    const data = clean({
      nodes: ["A", { name: "B" }, Node("C", { parallelCalls: true })],
      edges: ["A -> B -> C", ["A", "C"], { from: "B", to: "A", maxVisits: 2 }, Edge("C", "A", { pattern: "<->" })],
    });
    expect(data.edges.map((edge) => `${edge.from}${edge.pattern}${edge.to}`)).toEqual([
      "AflowB",
      "BflowC",
      "AflowC",
      "BflowA",
      "CcallA",
    ]);
  });

  it("needs no edges for a single node", () => {
    expect(clean({ nodes: ["Summarizer"] }).edges).toEqual([]);
  });

  it.each([
    ["User", "user"],
    ["START", "start"],
    ["end", "end"],
    ["Ender", "agent"],
  ])("gives the name %s the kind %s", (name, kind) => {
    expect(clean({ nodes: [name] }).nodes).toEqual([{ name, kind }]);
  });

  it("finds User, Start and End in any case, and makes them when only edges name them", () => {
    const data = clean({ nodes: ["user", "A"], edges: ["USER -> A", "A -> End", "User -> end"] });
    expect(data.nodes.map((node) => node.name)).toEqual(["user", "A", "End"]);
    expect(data.edges.map(({ from, to }) => [from, to])).toEqual([
      ["user", "A"],
      ["A", "End"],
      ["user", "End"],
    ]);
  });

  it.each(["agent", "user", "start", "end", "tool", "system"])("takes the kind %s as said", (kind) => {
    expect(clean({ nodes: [{ name: "X", kind }] }).nodes[0]?.kind).toBe(kind);
  });

  it("keeps every option of a node", () => {
    const options = {
      kind: "tool" as const,
      convergence: true,
      merge: false,
      convergencePolicy: { minRatio: 0.5, quorum: 2, onInsufficient: "proceed" as const },
      convergenceTimeoutMs: false as const,
      parallelCalls: true,
      role: "error-handler",
      input: "values" as const,
      timeoutMs: 10,
      uses: "other",
      metadata: { a: [1] },
    };
    expect(clean({ nodes: [Node("X", options)] }).nodes[0]).toEqual({ name: "X", ...options });
  });

  it("reads the short forms of a convergence policy", () => {
    const data = clean({
      nodes: [
        { name: "A", convergencePolicy: "any" },
        { name: "B", convergencePolicy: "all" },
      ],
    });
    expect(data.nodes.map((node) => node.convergencePolicy)).toEqual([{ quorum: 1 }, { minRatio: 1 }]);
  });

  it.each(["invoke", "query", "notify", "stream"] as const)("takes an edge of type %s", (type) => {
    expect(clean({ edges: [Edge("A", "B", { type })] }).edges[0]?.type).toBe(type);
  });

  it("keeps every option of an edge, lifting condition and maxTurns out of the metadata", () => {
    const data = clean({
      edges: [
        Edge("A", "B", { metadata: { condition: "valid", colour: "red" }, maxVisits: 0, timeoutMs: 5, back: true }),
        Edge("A", "C", { else: true }),
        Edge("A", "D", { on: "error" }),
        Edge("A", "E", { pattern: "conversation", metadata: { maxTurns: 4 } }),
      ],
    });
    expect(data.edges.map(({ from: _f, to: _t, ...rest }) => rest)).toEqual([
      {
        pattern: "flow",
        type: "invoke",
        condition: "valid",
        maxVisits: 0,
        timeoutMs: 5,
        back: true,
        metadata: { colour: "red" },
      },
      { pattern: "flow", type: "invoke", else: true },
      { pattern: "flow", type: "invoke", on: "error" },
      { pattern: "conversation", type: "invoke", maxTurns: 4 },
    ]);
  });

  it("keeps entry, exits, limits and metadata", () => {
    const rest = {
      entryPoint: "A",
      exitPoints: ["B"],
      limits: { maxSteps: 3, durationMs: 4, maxAgents: 5, agentTimeoutMs: 6 },
      metadata: { team: "x" },
    };
    expect(clean({ edges: ["A -> B"], ...rest })).toMatchObject(rest);
  });

  it("gives frozen data that shares nothing with the input", () => {
    const input = { nodes: ["A"], metadata: { list: [1] } };
    const data = clean(input);
    input.metadata.list.push(2);
    expect(data.metadata).toEqual({ list: [1] });
    expect(Object.isFrozen(data.metadata?.["list"])).toBe(true);
  });
});

describe("agents with allowedPeers", () => {
  it("lead to those they name; two that name each other are peers", () => {
    const agents = [
      { name: "Lead", allowedPeers: ["Writer", "Critic"] },
      { name: "Writer", allowedPeers: ["Critic"] },
      { name: "Critic", allowedPeers: ["Writer"] },
    ];
    const topology = Topology.from(agents);
    expect(topology.edges.map((edge) => `${edge.from} ${edge.pattern} ${edge.to}`)).toEqual([
      "Lead flow Writer",
      "Lead flow Critic",
      "Writer peers Critic",
    ]);
    expect(topology.validate()).toEqual([]);
    expect(topology.analyze().entries).toEqual(["Lead"]);
  });

  it("begin with the first where none is free of edges", () => {
    const agents = { A: { allowedPeers: ["B"] }, B: { allowedPeers: ["A"] } };
    expect(clean({ agents }).entryPoint).toBe("A");
  });

  it("leave an edge that is written out as it is", () => {
    const data = clean({ agents: [{ name: "A", allowedPeers: ["B"] }, "B"], edges: ["A <-> B"] });
    expect(data.edges.map((edge) => edge.pattern)).toEqual(["call"]);
  });

  it("must name agents that are there", () => {
    expect(readTopology([{ name: "Lead", allowedPeers: ["Wirter"] }, { name: "Writer" }]).problems).toMatchObject([
      { code: "unknown_node", path: "agents[0].allowedPeers[0]", hint: 'did you mean "Writer"?' },
    ]);
    expect(found([{ name: "A", allowedPeers: "B" }])).toEqual([["bad_value", "agents[0].allowedPeers"]]);
  });
});

describe("what is wrong with a declaration", () => {
  it.each<[string, unknown, [string, string][]]>([
    ["no object", 42, [["bad_topology", ""]]],
    ["null", null, [["bad_topology", ""]]],
    ["nothing declared", {}, [["empty_topology", ""]]],
    ["no nodes", { nodes: [] }, [["empty_topology", ""]]],
    ["a misspelt key", { nodes: ["A"], egdes: [] }, [["unknown_key", "egdes"]]],
    ["two names of one thing", { nodes: ["A"], agents: ["B"] }, [["conflicting_options", "agents"]]],
    ["nodes that are no list", { nodes: "A" }, [["bad_value", "nodes"]]],
    ["another version", { v: 2, nodes: ["A"] }, [["bad_value", "v"]]],
    ["a node of no kind", { nodes: [{ name: "A", kind: "robot" }] }, [["bad_value", "nodes[0].kind"]]],
    ["a node that is a number", { nodes: ["A", 5] }, [["bad_node", "nodes[1]"]]],
    ["a node without a name", { nodes: ["A", {}] }, [["bad_node", "nodes[1]"]]],
    ["an arrow in a name", { nodes: ["A", "B->C"] }, [["bad_name", "nodes[1]"]]],
    ["a name of spaces", { nodes: ["A", "  "] }, [["bad_name", "nodes[1]"]]],
    ["a node twice", { nodes: ["A", { name: "A" }] }, [["duplicate_node", "nodes[1]"]]],
    ["two users", { nodes: ["A", "User", "user"] }, [["duplicate_node", "nodes[2]"]]],
    [
      "an unknown option of a node",
      { nodes: [{ name: "A", paralelCalls: true }] },
      [["unknown_key", "nodes[0].paralelCalls"]],
    ],
    ["a time limit of 0", { nodes: [{ name: "A", timeoutMs: 0 }] }, [["bad_value", "nodes[0].timeoutMs"]]],
    [
      "a negative time limit",
      { edges: [{ from: "A", to: "B", timeoutMs: -1 }] },
      [["bad_value", "edges[0].timeoutMs"]],
    ],
    [
      "a policy out of range",
      { nodes: [{ name: "A", convergencePolicy: { minRatio: 2, quorum: 0 } }] },
      [
        ["bad_value", "nodes[0].convergencePolicy.minRatio"],
        ["bad_value", "nodes[0].convergencePolicy.quorum"],
      ],
    ],
    [
      "a function in metadata",
      { nodes: [{ name: "A", metadata: { f: () => 1 } }] },
      [["bad_metadata", "nodes[0].metadata.f"]],
    ],
    ["an arrow nobody knows", { nodes: ["A", "B"], edges: ["A => B"] }, [["bad_arrow", "edges[0]"]]],
    ["a tuple of one", { nodes: ["A", "B"], edges: [["A"]] }, [["bad_edge", "edges[0]"]]],
    ["an edge that is a number", { nodes: ["A", "B"], edges: [7] }, [["bad_edge", "edges[0]"]]],
    ["an edge without an end", { nodes: ["A", "B"], edges: [{ from: "A" }] }, [["bad_edge", "edges[0].to"]]],
    ["an edge to nowhere", { nodes: ["Writer"], edges: ["Writer -> Writter"] }, [["unknown_node", "edges[0]"]]],
    ["the same edge twice", { nodes: ["A", "B"], edges: ["A -> B", ["A", "B"]] }, [["duplicate_edge", "edges[1]"]]],
    [
      "the same peers turned round",
      { nodes: ["A", "B"], edges: ["A <|> B", "B <|> A"] },
      [["duplicate_edge", "edges[1]"]],
    ],
    ["a call to oneself", { nodes: ["A"], edges: ["A <-> A"] }, [["self_edge", "edges[0]"]]],
    [
      "a pattern nobody knows",
      { edges: [{ from: "A", to: "B", pattern: "cal" }] },
      [["bad_value", "edges[0].pattern"]],
    ],
    [
      "a query with two sides",
      { edges: [Edge("A", "B", { type: "query", pattern: "<->" })] },
      [["conflicting_options", "edges[0]"]],
    ],
    [
      "a notified error",
      { edges: [Edge("A", "B", { type: "notify", on: "error" })] },
      [["conflicting_options", "edges[0]"]],
    ],
    [
      "turns without a conversation",
      { edges: [Edge("A", "B", { maxTurns: 3 })] },
      [["conflicting_options", "edges[0]"]],
    ],
    [
      "else with a condition",
      { edges: [Edge("A", "B", { else: true, condition: "x" })] },
      [["conflicting_options", "edges[0]"]],
    ],
    [
      "two conditions",
      { edges: [Edge("A", "B", { condition: "x", metadata: { condition: "y" } })] },
      [["conflicting_options", "edges[0].metadata.condition"]],
    ],
    [
      "a condition between peers",
      { edges: [Edge("A", "B", { pattern: "peers", condition: "x" })] },
      [["conflicting_options", "edges[0]"]],
    ],
    ["half a visit", { edges: [Edge("A", "B", { maxVisits: 0.5 })] }, [["bad_value", "edges[0].maxVisits"]]],
    ["an entry that is not there", { nodes: ["A"], entryPoint: "B" }, [["unknown_node", "entryPoint"]]],
    [
      "exits that are not there",
      { nodes: ["A"], exitPoints: ["A", "B", 3] },
      [
        ["unknown_node", "exitPoints[1]"],
        ["bad_value", "exitPoints[2]"],
      ],
    ],
    [
      "limits of 0",
      { nodes: ["A"], limits: { maxSteps: 0, durationMs: -5, maxAgent: 3 } },
      [
        ["bad_value", "limits.maxSteps"],
        ["bad_value", "limits.durationMs"],
        ["unknown_key", "limits.maxAgent"],
      ],
    ],
  ])("is told with its place: %s", (_, input, expected) => {
    expect(found(input)).toEqual(expected);
  });

  it("is told all at once", () => {
    const input = { nodes: ["A", 1, "A"], edges: ["A => B", "A -> C"], rules: ["max_stps(4)"], exitPoint: "A" };
    expect(found(input).map(([code]) => code)).toEqual([
      "bad_arrow",
      "bad_node",
      "duplicate_node",
      "unknown_node",
      "unknown_rule",
      "unknown_key",
    ]);
  });

  it("suggests the name that was meant", () => {
    const { problems } = readTopology({
      nodes: ["Researcher"],
      edges: [{ source: "Researcher", to: "Reseacher" }],
      egdes: [],
    });
    expect(problems.map((problem) => problem.hint)).toEqual([
      undefined,
      'did you mean "from"?',
      'did you mean "edges"?',
    ]);
  });
});

describe("reading", () => {
  it("never throws, and gives data or a problem, whatever it is handed", () => {
    const odd = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withNullPrototype: true,
    });
    const word = fc.constantFrom("A", "B", "A -> B", "A <~> B", "User", "max_steps(3)", "parallel(A, B)", "__proto__");
    const item = fc.oneof(
      word,
      odd,
      fc.record({ name: word, from: word, to: word, metadata: odd, pattern: odd }, { requiredKeys: [] }),
    );
    const list = fc.oneof(fc.array(item, { maxLength: 5 }), odd);
    const input = fc.oneof(
      odd,
      list,
      fc.record(
        {
          nodes: list,
          edges: list,
          rules: list,
          limits: odd,
          metadata: odd,
          entryPoint: item,
          exitPoints: list,
          v: odd,
        },
        { requiredKeys: [] },
      ),
    );
    fc.assert(
      fc.property(input, (given) => {
        const { data, problems } = readTopology(given);
        expect(data.nodes.length + problems.length).toBeGreaterThan(0);
        expect(JSON.parse(JSON.stringify(data))).toEqual(data);
        expect(Topology.from(given as never).validate().length).toBeGreaterThanOrEqual(problems.length);
      }),
      { numRuns: 1000 },
    );
  });
});
