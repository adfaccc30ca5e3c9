import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compilePlan } from "../../../src/topology/compile.ts";
import {
  dominance,
  components,
  depthFirst,
  immediateDominators,
  reachableFrom,
  hasBit,
} from "../../../src/topology/graph.ts";
import { findPlanProblems } from "../../../src/topology/plan-problems.ts";
import type { Plan } from "../../../src/topology/plan.ts";
import type { EdgeData, TopologyData } from "../../../src/topology/types.ts";
import { BruteForce } from "./brute-force.ts";

const RUNS = { numRuns: 400 };

/** Random graphs of a few nodes, entered at N0, with loops, errors, exits, calls and nodes that never join. */
const topologies: fc.Arbitrary<TopologyData> = fc.integer({ min: 1, max: 7 }).chain((size) => {
  const node = fc.integer({ min: 0, max: size - 1 });
  // Mostly forward, so that forks and joins are common.
  const ordered = fc
    .tuple(node, node)
    .map(([a, b]): [number, number] => [Math.min(a, b), Math.max(a, b)])
    .filter(([a, b]) => a !== b);
  const pair = fc.oneof(
    { weight: size > 1 ? 4 : 0, arbitrary: size > 1 ? ordered : fc.tuple(node, node) },
    { weight: 1, arbitrary: fc.tuple(node, node) },
  );
  const flavour = fc.constantFrom("plain", "plain", "plain", "condition", "else", "error", "back", "exit", "call");
  const edges = fc.uniqueArray(fc.tuple(pair, flavour), {
    maxLength: 16,
    selector: ([[a, b], f]) => `${a} ${b} ${f === "error"}`,
  });
  return fc.tuple(edges, fc.uniqueArray(node, { maxLength: 1 })).map(([drawn, merging]): TopologyData => {
    const nodes = Array.from({ length: size }, (_, i) => ({
      name: `N${i}`,
      kind: "agent" as const,
      ...(merging.includes(i) ? { merge: true } : {}),
    }));
    return {
      v: 1,
      nodes: [...nodes, { name: "End", kind: "end" }],
      edges: drawn.map(([[a, b], f]): EdgeData => ({
        from: `N${a}`,
        to: f === "exit" ? "End" : `N${b}`,
        pattern: f === "call" ? "call" : "flow",
        type: "invoke",
        ...(f === "condition" ? { condition: "yes" } : {}),
        ...(f === "else" ? { else: true } : {}),
        ...(f === "error" ? { on: "error" as const } : {}),
        ...(f === "back" ? { back: true } : {}),
      })),
      entryPoint: "N0",
    };
  });
});

function forAllPlans(check: (plan: Plan, brute: BruteForce) => void, runs = RUNS): void {
  fc.assert(
    fc.property(topologies, (data) => {
      const plan = compilePlan(data, { errorRouting: true });
      check(plan, new BruteForce(plan));
    }),
    runs,
  );
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

describe("on any graph", () => {
  it("forward edges are acyclic, and natural back edges lead to a node that every way from the entry passes", () => {
    forAllPlans((plan, brute) => {
      const forward = range(brute.size).map((n) =>
        brute.moving.filter((e) => e.from === n && e.back === "none").map((e) => e.to),
      );
      expect(depthFirst(forward, range(brute.size)).retreating).toEqual([]);
      // Ways that edges taken as marked would open do not count (B2 and B3).
      const unmarked = brute.moving.filter((e) => e.back !== "marked" && e.data.back !== true);
      const without = (gone: number): Uint32Array =>
        reachableFrom(
          range(brute.size).map((n) =>
            n === gone ? [] : unmarked.filter((e) => e.from === n && e.to !== gone).map((e) => e.to),
          ),
          plan.entry,
        );
      const fromEntry = without(-1);
      for (const edge of brute.moving) {
        if (edge.from !== plan.entry && !hasBit(fromEntry, edge.from)) continue;
        if (edge.back !== "natural" || edge.to === edge.from || edge.to === plan.entry) continue;
        expect(edge.from !== plan.entry && !hasBit(without(edge.to), edge.from)).toBe(true);
      }
    });
  });

  it("no mark is asked for in vain: with all of them the topology is accepted and means the same", () => {
    fc.assert(
      fc.property(topologies, (data) => {
        const asked = findPlanProblems(data)
          .filter((problem) => problem.code === "unmarked_back_edge")
          .map((problem) => problem.path);
        const edges = data.edges.map((edge, i) => (asked.includes(`edges[${i}]`) ? { ...edge, back: true } : edge));
        const marked: TopologyData = { ...data, edges };
        expect(findPlanProblems(marked).filter((problem) => problem.code === "unmarked_back_edge")).toEqual([]);
        const kinds = (of: TopologyData): string[] => compilePlan(of, { errorRouting: true }).edges.map((e) => e.back);
        expect(kinds(marked)).toEqual(kinds(data));
      }),
      RUNS,
    );
  });

  it("a fork owns an end when two paths to it share only their ends", () => {
    forAllPlans((plan, brute) => {
      for (const fork of range(brute.size)) {
        for (const end of range(2 * brute.size))
          expect([fork, end, plan.owns(fork, end)]).toEqual([fork, end, brute.owns(fork, end)]);
      }
    });
  });

  it("an end is a rendezvous when some fork owns it", () => {
    forAllPlans((plan, brute) => {
      for (const node of plan.nodes) {
        const owned = (end: number): boolean => range(brute.size).some((fork) => brute.owns(fork, end));
        expect([node.rendezvous, node.returnRendezvous]).toEqual([owned(node.id), owned(plan.returnOf(node.id))]);
      }
    });
  });

  it("the elements of a command own an end when paths of two of them share only it", () => {
    fc.assert(
      fc.property(topologies, fc.array(fc.nat(), { minLength: 1, maxLength: 4 }), (data, picks) => {
        const plan = compilePlan(data, { errorRouting: true });
        const brute = new BruteForce(plan);
        const targets = picks.map((pick) => pick % brute.size);
        for (const end of range(2 * brute.size)) {
          expect([targets, end, plan.ownsParallel(0, targets, end)]).toEqual([
            targets,
            end,
            brute.ownsParallel(targets, end),
          ]);
        }
      }),
      RUNS,
    );
  });

  it("one end is before another when a path leads from it to the other", () => {
    forAllPlans((plan, brute) => {
      for (const a of range(2 * brute.size)) {
        for (const b of range(2 * brute.size)) expect(plan.before(a, b)).toBe(brute.before(a, b));
      }
    });
  });

  it("a branch reaches what forward edges and back edges that stay lead to", () => {
    forAllPlans(
      (plan, brute) => {
        for (const fork of range(brute.size)) {
          const ways = brute.ways(fork);
          for (const from of range(2 * brute.size)) {
            for (const end of range(2 * brute.size)) {
              expect([fork, from, end, plan.reaches(fork, from, end)]).toEqual([
                fork,
                from,
                end,
                brute.reaches(fork, from, end, ways),
              ]);
            }
          }
        }
      },
      { numRuns: 150 },
    );
  });

  it("a branch must reach an end when nothing on the way lets it do otherwise", () => {
    forAllPlans((plan, brute) => {
      for (const from of range(2 * brute.size)) {
        for (const end of range(2 * brute.size)) {
          expect([from, end, plan.mustReach(from, end)]).toEqual([from, end, brute.mustReach(from, end)]);
        }
      }
    });
  });

  it("a branch may fork before an end when a node on a way there has two ways there", () => {
    fc.assert(
      fc.property(topologies, fc.option(fc.nat(), { nil: undefined }), (data, pick) => {
        const plan = compilePlan(data, { errorRouting: true });
        const brute = new BruteForce(plan);
        const fork = pick === undefined ? undefined : pick % brute.size;
        for (const from of range(2 * brute.size)) {
          for (const end of range(2 * brute.size)) {
            expect([from, end, plan.mayFork(from, end, fork)]).toEqual([from, end, brute.mayFork(from, end, fork)]);
          }
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe("on any directed graph", () => {
  const graphs = fc.integer({ min: 1, max: 9 }).chain((size) => {
    const vertex = fc.integer({ min: 0, max: size - 1 });
    return fc.array(fc.array(vertex, { maxLength: 3 }), { minLength: size, maxLength: size });
  });

  it("one vertex dominates another when no path from the root avoids it", () => {
    fc.assert(
      fc.property(graphs, (succ) => {
        const dominates = dominance(immediateDominators(succ, 0), 0);
        const reached = (gone: number): number[] => {
          const bits = reachableFrom(
            succ.map((targets, v) => (v === gone ? [] : targets.filter((w) => w !== gone))),
            0,
          );
          return range(succ.length).filter((v) => v !== gone && (v === 0 || hasBit(bits, v)));
        };
        for (const a of range(succ.length)) {
          for (const b of range(succ.length)) {
            const both = reached(-1).includes(a) && reached(-1).includes(b);
            expect(dominates(a, b)).toBe(both && (a === b || a === 0 || !reached(a).includes(b)));
          }
        }
      }),
      { numRuns: 1000 },
    );
  });

  it("two vertices are in one component when each leads to the other", () => {
    fc.assert(
      fc.property(graphs, (succ) => {
        const found = components(succ);
        expect(found.flat().toSorted((a, b) => a - b)).toEqual(range(succ.length));
        const reach = succ.map((_, v) => reachableFrom(succ, v));
        for (const a of range(succ.length)) {
          for (const b of range(succ.length)) {
            const together = found.some((c) => c.includes(a) && c.includes(b));
            expect(together).toBe(a === b || (hasBit(reach[a]!, b) && hasBit(reach[b]!, a)));
          }
        }
      }),
      { numRuns: 1000 },
    );
  });
});
