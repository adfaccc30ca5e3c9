// Laws of runs, on random topologies, agents and schedules.

import fc from "fast-check";
import { createActor } from "xstate";
import { describe, expect, it } from "vitest";
import { reduce, reduceAll, initialState } from "../../src/actors/reduce.ts";
import { runLogic, runMachine } from "../../src/actors/run-machine.ts";
import { decodeState, encodeState, outstandingEffects } from "../../src/actors/view.ts";
import { REDUCER_VERSION, type SessionState } from "../../src/actors/session-state.ts";
import { findPlanProblems } from "../../src/topology/plan-problems.ts";
import { readTopology } from "../../src/topology/read.ts";
import { seededRandom } from "../../src/base/random.ts";
import { final, invoke, parallel, play, type Play, type Script } from "./play.ts";

interface World {
  readonly nodes: string[];
  readonly edges: unknown[];
  readonly seed: number;
}

const NAMES = ["N0", "N1", "N2", "N3", "N4", "N5", "N6", "N7"];

const policies = [
  undefined,
  undefined,
  { minRatio: 0.5 },
  { quorum: 1 },
  { quorum: 2 },
  { minRatio: 0.6, onInsufficient: "proceed" },
];

function worldArbitrary(acyclic: boolean, kinds: string[]): fc.Arbitrary<World> {
  return fc
    .record({
      size: fc.integer({ min: 2, max: NAMES.length }),
      pairs: fc.array(
        fc.record({
          a: fc.nat(),
          b: fc.nat(),
          kind: fc.constantFrom(...kinds),
          conditional: fc.constantFrom(false, false, true),
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
      for (const { a, b, kind, conditional, visits } of pairs) {
        let [from, to] = [a % size, b % size];
        if (from === to) continue;
        if (acyclic && from > to) [from, to] = [to, from];
        const metadata = conditional ? { condition: "yes" } : {};
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

function script({ seed, edges }: World, wild: boolean): Script {
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
function startable({ nodes, edges }: World): boolean {
  const { data, problems } = readTopology({ nodes, edges, entryPoint: "N0" });
  return [...problems, ...findPlanProblems(data)].every((p) => p.severity !== "error");
}

function playWorld(world: World, schedule: number, wild: boolean): Play {
  const random = seededRandom(schedule);
  const run = play({ nodes: world.nodes, edges: world.edges, entryPoint: "N0" }, script(world, wild));
  return run.run((ids) => ids[Math.floor(random.next() * ids.length)]!);
}

const ENDED = ["completed", "failed", "cancelled"];

describe("random runs", () => {
  it("always come to a named end, whatever the schedule", () => {
    let played = 0;
    fc.assert(
      fc.property(
        worldArbitrary(false, ["->", "->", "->", "error", "notify", "<->", "<=>", "<~>", "<|>"]),
        fc.integer(),
        (world, schedule) => {
          if (!startable(world)) return;
          played += 1;
          const run = playWorld(world, schedule, true);
          expect(ENDED).toContain(run.state.status);
          expect(run.state.run!.branches.size).toBe(0);
          expect(run.timers.size).toBe(0);
        },
      ),
      { numRuns: 1_500 },
    );
    expect(played).toBeGreaterThan(500);
  });

  it("of acyclic graphs give the same result in every order of steps", () => {
    fc.assert(
      fc.property(worldArbitrary(true, ["->", "->", "->", "<->"]), fc.integer(), fc.integer(), (world, one, other) => {
        if (!startable(world)) return;
        const a = playWorld(world, one, false);
        const b = playWorld(world, other, false);
        expect([b.result, b.error]).toEqual([a.result, a.error]);
      }),
      { numRuns: 800 },
    );
  });

  it("give the same state, effects and events when the facts are folded again", () => {
    fc.assert(
      fc.property(worldArbitrary(false, ["->", "->", "error", "<->", "<~>"]), fc.integer(), (world, schedule) => {
        if (!startable(world)) return;
        const run = playWorld(world, schedule, true);
        let state: SessionState = initialState("s");
        const events: unknown[] = [];
        for (const { fact, atMs } of run.facts) {
          const folded = reduce(state, fact, atMs);
          state = folded.state;
          events.push(...folded.events);
        }
        expect(encodeState(state)).toEqual(encodeState(run.state));
        expect(events).toEqual(run.events);
      }),
      { numRuns: 300 },
    );
  });

  it("fold the same from a snapshot taken anywhere, and leave the same effects outstanding", () => {
    fc.assert(
      fc.property(
        worldArbitrary(false, ["->", "->", "error", "<->", "notify"]),
        fc.integer(),
        fc.nat(),
        (world, schedule, cut) => {
          if (!startable(world)) return;
          const run = playWorld(world, schedule, true);
          const at = cut % run.facts.length;
          const fold = (from: SessionState, facts: Play["facts"]): SessionState =>
            facts.reduce((s, { fact, atMs }) => reduce(s, fact, atMs).state, from);
          const middle = fold(initialState("s"), run.facts.slice(0, at));
          const restored = decodeState(structuredClone(encodeState(middle)), REDUCER_VERSION);
          expect(outstandingEffects(restored)).toEqual(outstandingEffects(middle));
          expect(encodeState(fold(restored, run.facts.slice(at)))).toEqual(encodeState(run.state));
        },
      ),
      { numRuns: 300 },
    );
  });

  it("are the same on the machine, its transitions remembered or not, as on the bare reducer", () => {
    fc.assert(
      fc.property(worldArbitrary(false, ["->", "->", "error", "<->"]), fc.integer(), (world, schedule) => {
        if (!startable(world)) return;
        const run = playWorld(world, schedule, true);
        for (const logic of [runMachine, runLogic]) {
          const actor = createActor(logic, { input: { session: initialState("s") } }).start();
          for (const { fact, atMs } of run.facts) actor.send({ type: "facts.committed", facts: [fact], atMs });
          expect(actor.getSnapshot().value).toBe(run.state.status);
          expect(encodeState(actor.getSnapshot().context.session)).toEqual(encodeState(run.state));
          actor.stop();
        }
      }),
      { numRuns: 200 },
    );
  });

  it("fire no barrier twice in one generation and drop no arrival without a word", () => {
    fc.assert(
      fc.property(worldArbitrary(false, ["->", "->", "->", "error"]), fc.integer(), (world, schedule) => {
        if (!startable(world)) return;
        const { events } = playWorld(world, schedule, true);
        const fired = events.flatMap((e) =>
          e.type === "barrier.fired" && e.decision !== "asked" ? [e.barrierId] : [],
        );
        expect(new Set(fired).size).toBe(fired.length);
        const started = events.flatMap((e) => (e.type === "branch.started" ? [e.branchId] : []));
        const ended = events.flatMap((e) => (e.type === "branch.ended" ? [e.branchId] : []));
        expect(new Set(started).size).toBe(started.length);
        expect(ended.toSorted()).toEqual(started.toSorted());
      }),
      { numRuns: 600 },
    );
  });

  it("fold a batch of facts as they would one by one", () => {
    fc.assert(
      fc.property(worldArbitrary(false, ["->", "->", "<->"]), fc.integer(), (world, schedule) => {
        if (!startable(world)) return;
        const { facts } = playWorld(world, schedule, true);
        const all = facts.map(({ fact }) => fact);
        const batch = reduceAll(initialState("s"), all, 7);
        const single = all.reduce((s, fact) => reduce(s, fact, 7).state, initialState("s"));
        expect(encodeState(batch.state)).toEqual(encodeState(single));
        expect(batch.accepted).toEqual(all);
      }),
      { numRuns: 150 },
    );
  });
});
