// Random topologies, with agents that answer the same whatever the schedule.

import fc from "fast-check";
import { seededRandom } from "../../src/base/random.ts";
import { findPlanProblems } from "../../src/topology/plan-problems.ts";
import { readTopology } from "../../src/topology/read.ts";
import { final, invoke, parallel, play, type Play, type Script } from "./play.ts";

export interface World {
  readonly nodes: string[];
  readonly edges: unknown[];
  readonly seed: number;
}

export const NAMES = ["N0", "N1", "N2", "N3", "N4", "N5", "N6", "N7"];

const policies = [
  undefined,
  undefined,
  { minRatio: 0.5 },
  { quorum: 1 },
  { quorum: 2 },
  { minRatio: 0.6, onInsufficient: "proceed" },
];

/** `conditions`: what some edges ask for, each a label. */
export function worldArbitrary(acyclic: boolean, kinds: string[], conditions = ["yes"]): fc.Arbitrary<World> {
  return fc
    .record({
      size: fc.integer({ min: 2, max: NAMES.length }),
      pairs: fc.array(
        fc.record({
          a: fc.nat(),
          b: fc.nat(),
          kind: fc.constantFrom(...kinds),
          condition: fc.constantFrom(undefined, undefined, ...conditions),
          visits: fc.constantFrom(undefined, 1, 2),
        }),
        { minLength: 3, maxLength: 16 },
      ),
      policies: fc.array(fc.constantFrom(...policies), { minLength: NAMES.length, maxLength: NAMES.length }),
      seed: fc.integer(),
    })
    .map(({ size, pairs, policies: drawn, seed }) => {
      const seen = new Set<string>();
      const edges: unknown[] = [];
      const add = (from: string, to: string, rest: Record<string, unknown>): void => {
        if (seen.has(`${from}>${to}`) || seen.has(`${to}>${from}`)) return;
        seen.add(`${from}>${to}`);
        edges.push({ from, to, ...rest });
      };
      for (let i = 1; i < size; i++) add(NAMES[(i - 1) >> 1]!, NAMES[i]!, {});
      for (const { a, b, kind, condition, visits } of pairs) {
        let [from, to] = [a % size, b % size];
        if (from === to) continue;
        if (acyclic && from > to) [from, to] = [to, from];
        const metadata = condition === undefined ? {} : { condition };
        const rest: Record<string, unknown> =
          kind === "->"
            ? { metadata }
            : kind === "error"
              ? { on: "error" }
              : kind === "notify"
                ? { type: "notify" }
                : { pattern: kind };
        if (from > to) rest["maxVisits"] = visits ?? 3;
        add(NAMES[from]!, NAMES[to]!, rest);
      }
      const nodes = NAMES.slice(0, size).map((name, i) => ({
        name,
        ...(acyclic || drawn[i] === undefined ? {} : { convergencePolicy: drawn[i] }),
      }));
      return { nodes: nodes as never, edges, seed };
    });
}

export function script({ seed, edges }: World, wild: boolean): Script {
  const flows = (name: string): string[] =>
    edges.flatMap((edge) => {
      const { from, to, pattern, on, type } = edge as Record<string, string>;
      return from === name && pattern === undefined && on === undefined && type === undefined ? [to!] : [];
    });
  return Object.fromEntries(
    NAMES.map((name, index) => [
      name,
      (_input: unknown, offer: { stepId: string }) => {
        // The same activation answers the same whatever the schedule, so that only the order differs.
        const random = seededRandom(seed * 31 + index);
        const draw = random.next();
        if (wild) {
          const step = Number(offer.stepId.split(".")[2]);
          const chance = seededRandom(seed + step * 97).next();
          if (chance < 0.06) throw new Error("boom");
          if (chance < 0.1) return final(`${name} ends it`);
          const [first, second = first] = flows(name);
          if (first !== undefined && chance < 0.16) return invoke(second!, "by command");
          if (first !== undefined && chance < 0.3) return parallel([first, 1], [second!, 2], [first, 3]);
          if (chance < 0.31) return invoke("Nobody", 0);
        }
        return draw < 0.5 ? { route: "yes", of: name } : { route: "no", of: name };
      },
    ]),
  );
}

/** Worlds that validation refuses to start are not runs. */
export function startable({ nodes, edges }: World): boolean {
  const { data, problems } = readTopology({ nodes, edges, entryPoint: "N0" });
  return [...problems, ...findPlanProblems(data)].every((p) => p.severity !== "error");
}

export function playWorld(world: World, schedule: number, wild: boolean): Play {
  const random = seededRandom(schedule);
  const run = play({ nodes: world.nodes, edges: world.edges, entryPoint: "N0" }, script(world, wild));
  return run.run((ids) => ids[Math.floor(random.next() * ids.length)]!);
}
