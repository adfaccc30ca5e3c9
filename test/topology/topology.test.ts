import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Edge, Node } from "../../src/topology/edge.ts";
import { PatternConfig } from "../../src/topology/patterns.ts";
import { readTopology } from "../../src/topology/read.ts";
import { TopologyValidationError } from "../../src/topology/problems.ts";
import { Topology } from "../../src/runtime/topology.ts";

const DIAMOND = { nodes: ["F", "A", "B", "N"], edges: ["F -> A", "F -> B", "A -> N", "B -> N"] };

/** Random descriptions whose edges all name declared nodes. */
const descriptions = fc.integer({ min: 1, max: 6 }).chain((count) => {
  const names = Array.from({ length: count }, (_, i) => ['A"q', "B#2", "C|c", "Dé d", "E\\e", "User"][i] ?? "X");
  const name = fc.constantFrom(...names);
  const edge = fc.record(
    {
      from: name,
      to: name,
      pattern: fc.constantFrom("->", "<->", "<~>", "<|>") as fc.Arbitrary<"->" | "<->" | "<~>" | "<|>">,
      maxVisits: fc.nat(3),
      timeoutMs: fc.integer({ min: 1, max: 9 }),
      metadata: fc.dictionary(fc.constantFrom("a", "b", "c"), fc.jsonValue({ maxDepth: 2 })),
    },
    { requiredKeys: ["from", "to"] },
  );
  return fc.record(
    {
      nodes: fc.constant(names),
      edges: fc.array(edge, { maxLength: 8 }),
      entryPoint: name,
      exitPoints: fc.array(name, { maxLength: 2 }),
      metadata: fc.dictionary(fc.constantFrom("x", "y"), fc.jsonValue()),
    },
    { requiredKeys: ["nodes", "edges"] },
  );
});

function reversedKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversedKeys);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, item]) => [key, reversedKeys(item)]),
  );
}

describe("a topology as JSON", () => {
  it("comes back as it was", () => {
    fc.assert(
      fc.property(descriptions, (description) => {
        const { data } = readTopology(description);
        const topology = Topology.fromJSON(JSON.stringify(data));
        expect(topology.toJSON()).toEqual(data);
        expect(topology.hash).toBe(Topology.fromJSON(data).hash);
      }),
    );
  });

  it.each(["{", "[]", "7", { nodes: ["A"], edges: ["A -> Z"] }, null])("is refused when it is none: %j", (json) => {
    expect(() => Topology.fromJSON(json)).toThrow(TopologyValidationError);
  });
});

describe("the hash", () => {
  it("does not depend on the order of keys", () => {
    fc.assert(
      fc.property(descriptions, (description) => {
        const { data } = readTopology(description);
        expect(Topology.fromJSON(reversedKeys(data)).hash).toBe(Topology.fromJSON(data).hash);
      }),
    );
  });

  it("is 64 hex digits and the same for every form of the same topology", () => {
    const { hash } = Topology.from(DIAMOND);
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
    expect(
      Topology.from({
        agents: DIAMOND.nodes,
        flows: DIAMOND.edges.map((edge) => edge.split(" -> ") as [string, string]),
      }).hash,
    ).toBe(hash);
  });

  // It stands in the logs of every session: a change of it would orphan them.
  it("stays the same from release to release", () => {
    expect(Topology.from(DIAMOND).hash).toBe("98c24b4b443e79214e52172f54008fb5b282c924ae7ac3d57e92da03a1d760a9");
  });

  it("follows the effect of a rule, not its wording", () => {
    const limited = Topology.from({ ...DIAMOND, limits: { maxSteps: 5 } });
    expect(Topology.from({ ...DIAMOND, rules: ["max_steps(5)"] }).hash).toBe(limited.hash);
    expect(Topology.from({ ...DIAMOND, rules: ["max_steps(6)"] }).hash).not.toBe(limited.hash);
  });

  it.each<[string, object]>([
    ["a node", { nodes: [...DIAMOND.nodes, "Z"] }],
    ["an edge", { edges: DIAMOND.edges.slice(1) }],
    ["the order of edges", { edges: DIAMOND.edges.toReversed() }],
    ["a condition", { edges: [...DIAMOND.edges.slice(1), Edge("F", "A", { condition: "x" })] }],
    ["the entry", { entryPoint: "F" }],
    ["metadata", { metadata: { a: 1 } }],
  ])("tells apart topologies that differ in %s", (_, change) => {
    expect(Topology.from({ ...DIAMOND, ...change }).hash).not.toBe(Topology.from(DIAMOND).hash);
  });
});

describe("analysis", () => {
  it("finds entry, exits, the fork and its join", () => {
    expect(Topology.from(DIAMOND).analyze()).toEqual({
      entries: ["F"],
      exits: ["N"],
      divergencePoints: ["F"],
      convergencePoints: ["N"],
      rendezvous: [{ node: "N", returning: false, forks: ["F"] }],
      backEdges: [],
      cycles: [],
      reachable: ["F", "A", "B", "N"],
      unreachable: [],
    });
  });

  it("finds cycles, their back edges, and arms that join where they loop back", () => {
    const edges = [
      "S -> W",
      "W -> R1",
      "W -> R2",
      Edge("R1", "W", { condition: "again" }),
      Edge("R2", "W", { condition: "again" }),
      "R1 -> End",
      "R2 -> End",
    ];
    const analysis = Topology.from({ edges }).analyze();
    expect(analysis.backEdges).toEqual([
      { from: "R1", to: "W", kind: "natural" },
      { from: "R2", to: "W", kind: "natural" },
    ]);
    expect(analysis.cycles).toEqual([["W", "R1", "R2"]]);
    expect(analysis.rendezvous).toEqual([{ node: "W", returning: true, forks: ["W"] }]);
    expect(analysis.exits).toEqual(["R1", "R2"]);
  });

  it("does not take a callee for an exit", () => {
    const analysis = Topology.from(PatternConfig.hubAndSpoke({ hub: "H", spokes: ["A", "B"] })).analyze();
    expect(analysis).toMatchObject({ exits: ["H"], reachable: ["H", "A", "B"] });
  });

  it("tells what no run reaches, and what can be reached from where", () => {
    const topology = Topology.from({ nodes: ["A", "B", "C"], edges: ["A -> B"], entryPoint: "A" });
    expect(topology.analyze().unreachable).toEqual(["C"]);
    expect(topology.reachableFrom("A")).toEqual(["B"]);
    expect(topology.reachableFrom("B")).toEqual([]);
  });

  it("refuses a topology that could not be read whole", () => {
    expect(() => Topology.from({ nodes: ["A"], edges: ["A -> Z"] }).analyze()).toThrow(TopologyValidationError);
  });
});

describe("drawings", () => {
  it("show every node and every edge, whatever they are called", () => {
    fc.assert(
      fc.property(descriptions, (description) => {
        const topology = Topology.from(description);
        const mermaid = topology.toMermaid().split("\n");
        const dot = topology.toDot();
        for (const [i, node] of topology.nodes.entries()) {
          expect(mermaid.filter((line) => new RegExp(`^  n${i}[\\[(]`).test(line))).toHaveLength(1);
          expect(dot).toContain(`  ${JSON.stringify(node.name)} [shape=`);
        }
        expect(mermaid.filter((line) => /^ {2}n\d+ .*n\d+$/.test(line))).toHaveLength(topology.edges.length);
        expect(dot.split("\n").filter((line) => line.includes('" -> "'))).toHaveLength(topology.edges.length);
      }),
    );
  });

  it("write Mermaid", () => {
    const topology = Topology.from({
      edges: [
        "User -> A",
        Edge("A", "B", { condition: 'output == "x"' }),
        "A <-> C",
        Edge("A", "H", { on: "error" }),
        "B -> User",
      ],
      exitPoints: ["C"],
    });
    expect(topology.toMermaid()).toBe(
      [
        "flowchart TD",
        '  n0(["User"])',
        '  n1["A"]',
        '  n2["B"]',
        '  n3["C"]',
        '  n4["H"]',
        "  n0 --> n1",
        '  n1 -->|"output == #34;x#34;"| n2',
        "  n1 <--> n3",
        '  n1 -.->|"on error"| n4',
        "  n2 --> n0",
        "  classDef exit stroke-dasharray:4",
        "  class n3 exit",
        "",
      ].join("\n"),
    );
  });

  it("write DOT", () => {
    const topology = Topology.from({
      edges: ["A <~> B", Edge("A", "End", { else: true, maxVisits: 2 })],
      entryPoint: "A",
    });
    expect(topology.toDot()).toBe(
      [
        "digraph topology {",
        '  "A" [shape=box, penwidth=3];',
        '  "B" [shape=box];',
        '  "End" [shape=doublecircle];',
        '  "A" -> "B" [dir=both, style=dashed];',
        '  "A" -> "End" [label="else, at most 2×"];',
        "}",
        "",
      ].join("\n"),
    );
  });
});

describe("changing a topology", () => {
  const base = Topology.from({ ...DIAMOND, entryPoint: "F", exitPoints: ["N"], rules: ["max_steps(9)"] });

  it("gives a new one and leaves the old as it was", () => {
    const before = JSON.stringify(base);
    const grown = base
      .addNode(Node("Z", { timeoutMs: 5 }))
      .addEdge("N -> Z")
      .addEdge(["Z", "A", { maxVisits: 1 }]);
    expect(JSON.stringify(base)).toBe(before);
    expect(grown.node("Z")).toEqual({ name: "Z", kind: "agent", timeoutMs: 5 });
    expect(grown.edges.slice(-2)).toMatchObject([
      { from: "N", to: "Z" },
      { from: "Z", to: "A", maxVisits: 1 },
    ]);
  });

  it("removes a node with its edges and its part as entry and exit", () => {
    const smaller = base.removeNode("N").removeNode("F");
    expect(smaller.data).toMatchObject({ nodes: [{ name: "A" }, { name: "B" }], edges: [], limits: { maxSteps: 9 } });
    expect(smaller.data).not.toHaveProperty("entryPoint");
    expect(smaller.data).not.toHaveProperty("exitPoints");
  });

  it("removes edges, all between two nodes or those of one pattern", () => {
    const two = base.addEdge("F <-> A");
    expect(two.removeEdge("F", "A").edges).toHaveLength(3);
    expect(two.removeEdge("F", "A", "call").edges).toEqual(base.edges);
  });

  it("undoes itself", () => {
    expect(base.addNode("Z").addEdge("A -> Z").removeNode("Z").hash).toBe(base.hash);
    expect(base.updateNode("A", { role: "critic" }).updateNode("A", { role: undefined }).hash).toBe(base.hash);
  });

  it("changes nodes, entry, exits and metadata", () => {
    const changed = base
      .updateNode("A", { parallelCalls: true })
      .withEntryPoint(undefined)
      .withExitPoints(["A", "B"])
      .withMetadata({ team: "x" });
    expect(changed.node("A")).toMatchObject({ parallelCalls: true });
    expect(changed.data).toMatchObject({ exitPoints: ["A", "B"], metadata: { team: "x" } });
    expect(changed.analyze().exits).toEqual(["A", "B", "N"]);
  });

  it("adds a rule with its effect, beside those there are", () => {
    const ruled = base.addRule("agent_timeout(A:2)");
    expect(ruled.node("A")?.timeoutMs).toBe(2000);
    expect(ruled.data).toMatchObject({ limits: { maxSteps: 9 }, rules: ["max_steps(9)", "agent_timeout(A:2)"] });
    expect(() => base.addRule("max_steps(8)")).toThrow(/limits.maxSteps is 9 already/);
  });

  it.each<[string, () => Topology]>([
    ["a node that is there", () => base.addNode("A")],
    ["an edge to nowhere", () => base.addEdge("A -> Zz")],
    ["the removal of a node that is not there", () => base.removeNode("Zz")],
    ["the removal of an edge that is not there", () => base.removeEdge("A", "F")],
    ["an option that does not exist", () => base.updateNode("A", { colour: "red" } as never)],
  ])("refuses %s", (_, change) => {
    expect(change).toThrow(TopologyValidationError);
  });

  it("says which edge it could not remove", () => {
    expect(() => base.removeEdge("F", "A", "call")).toThrow(
      expect.objectContaining({
        problems: [expect.objectContaining({ code: "unknown_edge", message: 'there is no call edge from "F" to "A"' })],
      }),
    );
  });

  it("keeps what was wrong with it", () => {
    const broken = Topology.from({ nodes: ["A"], edges: ["A -> Z"] });
    expect(broken.addNode("B").validate()).toMatchObject([{ code: "unknown_node", path: "edges[0]" }]);
  });
});
