// Laws of migration, on random topologies, agents and schedules.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decideMigration, type Migration, type MigrationVerdict } from "../../src/actors/migration.ts";
import { encodeState } from "../../src/actors/view.ts";
import { initialState, reduce } from "../../src/actors/reduce.ts";
import { seededRandom } from "../../src/base/random.ts";
import { readTopology } from "../../src/topology/read.ts";
import { play, type Play, type Script } from "../actors/play.ts";
import { script, startable, worldArbitrary, type World } from "../actors/random-worlds.ts";

const KINDS = ["->", "->", "->", "error", "notify", "<->", "<=>", "<~>", "<|>"];
const ENDED = ["completed", "failed", "cancelled"];

function describeWorld({ nodes, edges }: Pick<World, "nodes" | "edges">): unknown {
  return { nodes, edges, entryPoint: "N0" };
}

/** Ends `steps` steps, asks `at` what to do, and runs on to the end. */
function playWith(world: World, agents: Script, schedule: number, steps: number, at: (run: Play) => void): Play {
  const random = seededRandom(schedule);
  const pick = (ids: string[]): string => ids[Math.floor(random.next() * ids.length)]!;
  const run = play(describeWorld(world), agents);
  for (let i = 0; i < steps && run.out.size > 0; i++) run.step(pick([...run.out.keys()]));
  at(run);
  return run.run(pick);
}

function migrationTo(topology: unknown, nodes: Record<string, string> = {}): Migration {
  return { topology: readTopology(topology).data, topologyHash: "moved", nodes };
}

function decide({ state }: Play, migration: Migration): MigrationVerdict {
  return decideMigration(state, state.run!, migration);
}

/** Sorted as the old name is. */
const other = (name: string): string => name.replace(/^N(\d)$/, "N$1x");
const plainly = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? null).replaceAll(/N(\d)x/g, "N$1"));

/** The same graph under other names and numbers: nodes and edges of no use stand before and between. */
function disguised({ nodes, edges }: World): { topology: unknown; renames: Record<string, string> } {
  const named = nodes.map((node) => node as unknown as { readonly name: string });
  const renamed = named.map((node) => ({ ...node, name: other(node.name) }));
  const padding = Array.from({ length: 3 }, (_, i) => ({ name: `P${i}` }));
  return {
    topology: {
      nodes: [padding[0], ...renamed.flatMap((node, i) => (i === 0 ? [node, padding[1]] : [node])), padding[2]],
      edges: [
        { from: "P0", to: "P1" },
        ...edges.map((edge) => {
          const { from, to, ...rest } = edge as { from: string; to: string };
          return { from: other(from), to: other(to), ...rest };
        }),
        { from: "P1", to: "P2" },
      ],
      entryPoint: "N0x",
    },
    renames: Object.fromEntries(named.map(({ name }) => [name, other(name)])),
  };
}

/** The same agents under both names; each addresses others by the names of its own topology. */
function bilingual(agents: Script): Script {
  const rename = (reply: any): unknown => {
    if (reply?.$ === "invoke") return { ...reply, agent: other(reply.agent) };
    if (reply?.$ !== "parallel") return reply;
    return { ...reply, items: reply.items.map(([agent, input]: [string, unknown]) => [other(agent), input]) };
  };
  const others = Object.entries(agents).map(([name, agent]) => [
    other(name),
    (input: unknown, offer: never) => rename(agent(input, offer)),
  ]);
  return { ...agents, ...(Object.fromEntries(others) as Script) };
}

describe("a run that moves", () => {
  it("to the same topology under other names and numbers is the same run", () => {
    let moved = 0;
    fc.assert(
      fc.property(worldArbitrary(false, KINDS), fc.integer(), fc.nat(12), (world, schedule, steps) => {
        if (!startable(world)) return;
        const agents = script(world, true);
        const stayed = playWith(world, agents, schedule, steps, () => undefined);
        const { topology, renames } = disguised(world);
        const run = playWith(world, bilingual(agents), schedule, steps, (at) => {
          if (at.state.run!.end !== null) return;
          const migration = migrationTo(topology, renames);
          expect(decide(at, migration)).toEqual({ type: "moves" });
          expect(at.send({ type: "migrated", ...migration })).toBeUndefined();
          moved += 1;
        });
        const told = run.events.filter(({ type }) => type !== "run.migrated");
        expect(plainly([run.calls, told])).toEqual(plainly([stayed.calls, stayed.events]));
        expect(plainly([run.state.status, run.result, run.error])).toEqual(
          plainly([stayed.state.status, stayed.result, stayed.error]),
        );
        expect(plainly(run.state.run!.timers)).toEqual(plainly(stayed.state.run!.timers));
      }),
      { numRuns: 600 },
    );
    expect(moved).toBeGreaterThan(50);
  });

  it("to any topology it was let move to comes to a named end, and is replayed the same", () => {
    const seen = { moves: 0, unmapped: 0, refused: 0 };
    fc.assert(
      fc.property(
        worldArbitrary(false, KINDS),
        worldArbitrary(false, KINDS),
        fc.record({ schedule: fc.integer(), steps: fc.nat(12), drop: fc.nat(30), blend: fc.nat(3) }),
        (world, other, { schedule, steps, drop, blend }) => {
          const edges = blend === 0 ? other.edges : world.edges.filter((_, i) => i !== drop);
          const changed: World =
            blend < 2
              ? { ...other, edges }
              : { ...world, edges: blend === 2 ? edges : [...edges, ...other.edges.slice(-1)] };
          if (!startable(world) || !startable(changed)) return;
          const run = playWith(world, script(world, true), schedule, steps, (at) => {
            if (at.state.run!.end !== null) return;
            const migration = migrationTo(describeWorld(changed));
            const verdict = decide(at, migration);
            seen[verdict.type] += 1;
            const before = encodeState(at.state);
            if (verdict.type === "moves") expect(at.send({ type: "migrated", ...migration })).toBeUndefined();
            if (verdict.type !== "unmapped") return;
            expect(at.send({ type: "migrated", ...migration })).toMatch(verdict.nodes[0]!);
            expect(encodeState(at.state)).toEqual(before);
          });
          expect(ENDED).toContain(run.state.status);
          expect(run.state.run!.branches.size).toBe(0);
          expect(run.timers.size).toBe(0);
          const replayed = run.facts.reduce((s, { fact, atMs }) => reduce(s, fact, atMs).state, initialState("s"));
          expect(encodeState(replayed)).toEqual(encodeState(run.state));
        },
      ),
      { numRuns: 1_500 },
    );
    expect(seen.moves).toBeGreaterThan(50);
    expect(seen.refused).toBeGreaterThan(0);
    expect(seen.unmapped).toBeGreaterThan(0);
  });

  it("to one that only goes on where it ended is always let", () => {
    let moved = 0;
    fc.assert(
      fc.property(worldArbitrary(true, ["->", "->", "<->"]), fc.integer(), fc.nat(8), (world, schedule, steps) => {
        const names = world.nodes.map((node) => (node as unknown as { readonly name: string }).name);
        const from = new Set(world.edges.map((edge) => (edge as { from: string }).from));
        const sinks = names.filter((name) => !from.has(name));
        const longer = {
          ...world,
          nodes: [...world.nodes, { name: "N9" } as never],
          edges: [...world.edges, ...sinks.map((sink) => ({ from: sink, to: "N9" }))],
        };
        if (!startable(world) || !startable(longer)) return;
        const run = playWith(world, script(world, false), schedule, steps, (at) => {
          if (at.state.run!.end !== null) return;
          const migration = migrationTo(describeWorld(longer));
          expect(decide(at, migration)).toEqual({ type: "moves" });
          expect(at.send({ type: "migrated", ...migration })).toBeUndefined();
          moved += 1;
        });
        expect(ENDED).toContain(run.state.status);
      }),
      { numRuns: 400 },
    );
    expect(moved).toBeGreaterThan(50);
  });
});
