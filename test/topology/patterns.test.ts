import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PatternConfig } from "../../src/topology/patterns.ts";
import { Topology } from "../../src/runtime/topology.ts";

const AGENTS = ["A", "B", "C", "D", "E", "F"];

function arrows(pattern: PatternConfig): string[] {
  const signs = { flow: "->", call: "<->", reflexive: "<=>", conversation: "<~>", peers: "<|>" };
  return Topology.from(pattern).edges.map((edge) => {
    const bound = edge.maxVisits === undefined ? "" : ` x${edge.maxVisits}`;
    return `${edge.from} ${signs[edge.pattern]} ${edge.to}${bound}`;
  });
}

describe("the shapes of patterns", () => {
  it("runs the members of a stage one after another", () => {
    const stages = [{ name: "one", agents: ["A", "B"] }, { agents: ["C"] }];
    const pattern = PatternConfig.pipeline({ stages });
    expect(arrows(pattern)).toEqual(["A -> B", "B -> C"]);
    expect(Topology.from(pattern).data.entryPoint).toBe("A");
  });

  it("runs the members of a stage side by side, starting a parallel first stage at Start", () => {
    const pattern = PatternConfig.pipeline({
      stages: [{ agents: ["A", "B"] }, { agents: ["C", "D"] }],
      parallelWithinStage: true,
    });
    expect(arrows(pattern)).toEqual(["Start -> A", "Start -> B", "A -> C", "A -> D", "B -> C", "B -> D"]);
    expect(Topology.from(pattern).node("Start")?.kind).toBe("start");
  });

  it("calls spokes in order unless they are parallel", () => {
    const options = { hub: "A", spokes: ["B", "C"] };
    expect(arrows(PatternConfig.hubAndSpoke(options))).toEqual(["A <-> B", "A <-> C"]);
    expect(Topology.from(PatternConfig.hubAndSpoke(options)).node("A")?.parallelCalls).toBeUndefined();
    expect(
      Topology.from(PatternConfig.hubAndSpoke({ ...options, parallelSpokes: true })).node("A")?.parallelCalls,
    ).toBe(true);
  });

  it("calls in parallel at every level of a tree", () => {
    const pattern = PatternConfig.hierarchical({ tree: { A: ["B", "C"], B: ["D"], D: [] } });
    expect(arrows(pattern)).toEqual(["A <-> B", "A <-> C", "B <-> D"]);
    expect(
      Topology.from(pattern)
        .nodes.filter((node) => node.parallelCalls)
        .map((node) => node.name),
    ).toEqual(["A", "B"]);
  });

  it("deals each level round-robin to the one above", () => {
    const pattern = PatternConfig.hierarchical({
      root: "A",
      levels: [
        ["B", "C"],
        ["D", "E", "F"],
      ],
    });
    expect(arrows(pattern)).toEqual(["A <-> B", "A <-> C", "B <-> D", "B <-> F", "C <-> E"]);
  });

  it("lets all of a mesh address one another, or neighbours only", () => {
    expect(arrows(PatternConfig.mesh({ agents: ["A", "B", "C"] }))).toEqual(["A <|> B", "A <|> C", "B <|> C"]);
    expect(arrows(PatternConfig.mesh({ agents: ["A", "B", "C"], fullyConnected: false }))).toEqual([
      "A <|> B",
      "B <|> C",
    ]);
    expect(Topology.from(PatternConfig.mesh({ agents: ["A", "B"], entryPoint: "B" })).data.entryPoint).toBe("B");
  });

  it("calls the points of a star in parallel, or moves on to them", () => {
    const options = { center: "A", points: ["B", "C"] };
    expect(arrows(PatternConfig.star(options))).toEqual(["A <-> B", "A <-> C"]);
    expect(Topology.from(PatternConfig.star(options)).node("A")?.parallelCalls).toBe(true);
    expect(arrows(PatternConfig.star({ ...options, bidirectional: false }))).toEqual(["A -> B", "A -> C"]);
  });

  it("closes a ring with an edge that is spent after its laps, and exits there", () => {
    const topology = Topology.from(PatternConfig.ring({ agents: ["A", "B", "C"], entryPoint: "B", laps: 3 }));
    expect(topology.edges.map(({ from, to, maxVisits }) => [from, to, maxVisits])).toEqual([
      ["B", "C", undefined],
      ["C", "A", undefined],
      ["A", "B", 2],
    ]);
    expect(topology.data).toMatchObject({ entryPoint: "B", exitPoints: ["A"] });
  });

  it("goes once round a ring by default, and lets neighbours talk backwards when bidirectional", () => {
    const pattern = PatternConfig.ring({ agents: ["A", "B", "C"], bidirectional: true });
    expect(arrows(pattern)).toEqual(["A -> B", "B -> C", "C -> A x0", "B <|> A", "C <|> B", "A <|> C"]);
  });

  it("broadcasts by flow, or by parallel calls when replies are wanted", () => {
    const options = { broadcaster: "A", receivers: ["B", "C"] };
    expect(arrows(PatternConfig.broadcast(options))).toEqual(["A -> B", "A -> C"]);
    const replying = Topology.from(PatternConfig.broadcast({ ...options, allowReplies: true }));
    expect(replying.edges.map((edge) => edge.pattern)).toEqual(["call", "call"]);
    expect(replying.node("A")?.parallelCalls).toBe(true);
  });

  it("adds a person as entry and exit", () => {
    const pattern = PatternConfig.broadcast({ broadcaster: "A", receivers: ["B", "C"], user: true });
    expect(arrows(pattern)).toEqual(["User -> A", "A -> B", "A -> C", "B -> User", "C -> User"]);
    expect(Topology.from(pattern).analyze()).toMatchObject({ entries: ["User"], exits: ["B", "C"] });
  });

  it("lets a person stand at both ends of a pipeline", () => {
    const stages = [{ agents: ["User"] }, { agents: ["A", "B"] }, { agents: ["User"] }];
    for (const parallelWithinStage of [false, true]) {
      const topology = Topology.from(PatternConfig.pipeline({ stages, parallelWithinStage }));
      expect(topology.validate()).toEqual([]);
      expect(topology.analyze()).toMatchObject({ entries: ["User"], exits: parallelWithinStage ? ["A", "B"] : ["B"] });
    }
  });

  it("takes a time limit in milliseconds, rules and metadata", () => {
    const pattern = PatternConfig.star({
      center: "A",
      points: ["B"],
      timeoutMs: 5000,
      rules: ["max_steps(7)"],
      metadata: { team: "x" },
    });
    expect(pattern.toJSON()).toMatchObject({ limits: { durationMs: 5000, maxSteps: 7 }, metadata: { team: "x" } });
  });

  it("takes nodes and edges as they are", () => {
    expect(arrows(PatternConfig.custom({ nodes: ["A", "B"], edges: ["A <~> B"] }))).toEqual(["A <~> B"]);
  });
});

describe("wrong options of patterns", () => {
  it.each<[string, unknown, (options: never) => PatternConfig, string[]]>([
    ["a hub that is no name", { hub: 1, spokes: ["B", 2] }, PatternConfig.hubAndSpoke, ["bad_value", "bad_pattern"]],
    ["nothing at all", {}, PatternConfig.star, ["bad_pattern", "bad_pattern"]],
    ["an unknown key", { agents: ["A", "B"], lap: 2 }, PatternConfig.ring, ["unknown_key"]],
    ["no laps", { agents: ["A", "B"], laps: 0 }, PatternConfig.ring, ["bad_value"]],
    ["a name twice", { agents: ["A", "B", "A"] }, PatternConfig.mesh, ["duplicate_node"]],
    ["a circle for a tree", { tree: { A: ["B"], B: ["A"] } }, PatternConfig.hierarchical, ["bad_pattern"]],
    ["a foreign entry", { agents: ["A", "B"], entryPoint: "Z" }, PatternConfig.mesh, ["unknown_node"]],
    ["a time limit of 0", { agents: ["A", "B"], timeoutMs: 0 }, PatternConfig.mesh, ["bad_value"]],
    ["empty stages", { stages: [] }, PatternConfig.pipeline, ["bad_pattern"]],
    ["tree and levels", { tree: { A: ["B"] }, root: "A" }, PatternConfig.hierarchical, ["conflicting_options"]],
  ])("are problems, not exceptions: %s", (_, options, make, codes) => {
    expect(
      Topology.from(make(options as never))
        .validate()
        .map((problem) => problem.code),
    ).toEqual(codes);
  });
});

describe("every pattern", () => {
  const names = fc.shuffledSubarray(AGENTS, { minLength: 1 });
  const several = fc.shuffledSubarray(AGENTS, { minLength: 2 });
  const user = fc.boolean();
  const patterns = fc.oneof(
    fc
      .record({ all: several, cut: fc.nat(5), parallelWithinStage: fc.boolean(), user })
      .map(({ all, cut, ...rest }) => {
        const at = Math.min(cut, all.length - 1);
        const stages = [all.slice(0, at), all.slice(at)]
          .filter((agents) => agents.length > 0)
          .map((agents) => ({ agents }));
        return PatternConfig.pipeline({ stages, ...rest });
      }),
    fc
      .record({ all: several, flag: fc.boolean(), user })
      .chain(({ all: [first = "", ...others], flag, user: person }) =>
        fc.constantFrom(
          PatternConfig.hubAndSpoke({ hub: first, spokes: others, parallelSpokes: flag, user: person }),
          PatternConfig.star({ center: first, points: others, bidirectional: flag, user: person }),
          PatternConfig.broadcast({ broadcaster: first, receivers: others, allowReplies: flag, user: person }),
          PatternConfig.hierarchical({
            root: first,
            levels: [others.slice(0, 2), others.slice(2)].filter((level) => level.length > 0),
            user: person,
          }),
          PatternConfig.hierarchical({ tree: { [first]: others }, user: person }),
        ),
      ),
    fc.record({ agents: names, fullyConnected: fc.boolean(), user }).map((options) => PatternConfig.mesh(options)),
    fc
      .record({
        agents: names,
        bidirectional: fc.boolean(),
        laps: fc.integer({ min: 1, max: 4 }),
        user,
        entry: fc.nat(5),
      })
      .map(({ entry, ...options }) =>
        PatternConfig.ring({ ...options, entryPoint: options.agents[entry % options.agents.length] ?? "A" }),
      ),
  );

  it("validates with nothing to complain about, has an entry and an exit, and reaches everyone", () => {
    fc.assert(
      fc.property(patterns, (pattern) => {
        const topology = Topology.from(pattern);
        expect(topology.validate().filter((problem) => problem.severity !== "info")).toEqual([]);
        const { entries, exits, unreachable } = topology.analyze();
        expect(entries).toHaveLength(1);
        expect(exits.length).toBeGreaterThan(0);
        expect(unreachable).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});
