import { describe, expectTypeOf, it } from "vitest";
import { Edge, Node } from "../../src/topology/edge.ts";
import { PatternConfig } from "../../src/topology/patterns.ts";
import type { TopologyInput } from "../../src/topology/read.ts";
import { Topology } from "../../src/runtime/topology.ts";

describe("what may be written as a topology", () => {
  it("is any of its forms", () => {
    expectTypeOf<{ nodes: ["A", "B"]; edges: ["A -> B", ["A", "B"]] }>().toExtend<TopologyInput>();
    expectTypeOf<{ nodes: string[]; edges: string[] }>().toExtend<TopologyInput>();
    expectTypeOf<{ agents: Record<string, () => number>; flows: [string, string][] }>().toExtend<TopologyInput>();
    expectTypeOf<{ name: string; allowedPeers: string[]; run: () => void }[]>().toExtend<TopologyInput>();
    expectTypeOf(
      PatternConfig.hubAndSpoke({ hub: "A", spokes: ["B"], parallelSpokes: true }),
    ).toExtend<TopologyInput>();
    expectTypeOf(Topology.from({ nodes: ["A"] })).toExtend<TopologyInput>();
    expectTypeOf(Topology.from({ nodes: ["A"] }).toJSON()).toExtend<TopologyInput>();
    Topology.from({
      nodes: ["A", Node("B", { convergencePolicy: "any" })],
      edges: ["A -> B", ["A", "B", "<->"], Edge("A", "B", { metadata: { condition: "valid" }, else: false })],
      rules: ["max_steps(5)", { type: "parallel", agents: ["A", "B"] }],
    });
  });

  it("has no misspelt options", () => {
    // @ts-expect-error the option is called parallelSpokes
    PatternConfig.hubAndSpoke({ hub: "A", spokes: ["B"], parallelSpoke: true });
    // @ts-expect-error a hub is needed
    PatternConfig.hubAndSpoke({ spokes: ["B"] });
    // @ts-expect-error a tree, or a root with levels
    PatternConfig.hierarchical({ tree: { A: ["B"] }, root: "A", levels: [] });
    // @ts-expect-error there is no such type of edge
    Edge("A", "B", { type: "call" });
    // @ts-expect-error there is no such kind of node
    Node("A", { kind: "robot" });
    // @ts-expect-error the rule is called max_steps
    Topology.from({ nodes: ["A"], rules: [{ type: "maxSteps", value: 5 }] });
  });
});
