// A search that remembers local moves finds what one does that has the reducer make every move.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Exploration, type Explored } from "../../src/actors/check/explore.ts";
import { limitsOf } from "../../src/actors/check/check.ts";
import { Retrace } from "../../src/actors/check/retrace.ts";
import type { Plan } from "../../src/topology/plan.ts";
import { compilePlan } from "../../src/topology/compile.ts";
import { readTopology } from "../../src/topology/read.ts";
import { startable, worldArbitrary } from "./random-worlds.ts";

/** All of it, with the runs that show what was seen and those that lead to every fortieth state. */
function told(plan: Plan, found: Explored): unknown {
  const retrace = new Retrace(plan, found);
  const made: number[][] = [];
  found.moves.forEach((...move) => made.push(move));
  return {
    made,
    complete: found.complete,
    states: found.states.map(({ by: _by, fingerprint: _fingerprint, ...state }, i) =>
      i % 40 === 39 ? { ...state, way: retrace.to(i) } : state,
    ),
    seen: Object.entries(found.seen).map(([what, sights]) =>
      [...sights].map(([name, seen]) => ({ ...seen, what, name, by: retrace.through(seen) })),
    ),
  };
}

/** `rememberFrom`: states until then are looked at by the reducer alone. */
function expectSame(input: unknown, maxStates: number, rememberFrom: number): void {
  const { data } = readTopology(input);
  const plan = compilePlan(data, { errorRouting: true });
  const explore = (from: number): unknown =>
    told(plan, new Exploration(data, plan, limitsOf(true), { maxStates, rememberFrom: from }).run());
  expect(explore(rememberFrom)).toEqual(explore(Infinity));
}

const when = (from: string, to: string, condition: string, more = {}) => ({
  from,
  to,
  metadata: { condition },
  ...more,
});

describe("remembering local moves changes nothing that a search finds", () => {
  it.each([
    [1, 0],
    [3, 0],
    [3, 60],
  ])("of arms that go round on their own, by %i steps, remembered from %i states on", (length, rememberFrom) => {
    const arms = [0, 1, 2];
    const nodes = ["F", ...arms.flatMap((a) => Array.from({ length }, (_, s) => `A${a}S${s}`)), "J"];
    const edges = arms.flatMap((a) => [
      `F -> A${a}S0`,
      ...Array.from({ length: length - 1 }, (_, s) => `A${a}S${s} -> A${a}S${s + 1}`),
      ...(length > 1 ? [when(`A${a}S${length - 1}`, `A${a}S0`, `again${a}`, { back: true })] : []),
      when(`A${a}S${length - 1}`, "J", `done${a}`),
    ]);
    expectSame({ nodes, edges }, 160, rememberFrom);
  });

  it("of random topologies", () => {
    const kinds = ["->", "->", "->", "error", "notify", "<->", "<=>", "<~>", "<|>"];
    fc.assert(
      fc.property(worldArbitrary(false, kinds, ["yes", "maybe"]), (world) => {
        if (startable(world))
          expectSame({ nodes: world.nodes, edges: world.edges, entryPoint: "N0" }, 100, world.seed % 2 === 0 ? 0 : 30);
      }),
      { numRuns: 10 },
    );
  });
});
