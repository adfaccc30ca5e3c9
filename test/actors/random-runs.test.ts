// Laws of runs, on random topologies, agents and schedules.

import fc from "fast-check";
import { createActor } from "xstate";
import { describe, expect, it } from "vitest";
import { reduce, reduceAll, initialState } from "../../src/actors/reduce.ts";
import { createRunActor, runMachine } from "../../src/actors/run-machine.ts";
import { decodeState, encodeState, outstandingEffects } from "../../src/actors/view.ts";
import { REDUCER_VERSION, type SessionState } from "../../src/actors/session-state.ts";
import type { Play } from "./play.ts";
import { playWorld, startable, worldArbitrary } from "./random-worlds.ts";

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

  it("are the same on the machine, by its table or not, as on the bare reducer", () => {
    fc.assert(
      fc.property(worldArbitrary(false, ["->", "->", "error", "<->"]), fc.integer(), (world, schedule) => {
        if (!startable(world)) return;
        const run = playWorld(world, schedule, true);
        const session = initialState("s");
        const bare = createActor(runMachine(), { input: { session } }).start();
        for (const actor of [
          bare,
          createRunActor(session, { onError: (error) => expect.unreachable(String(error)) }),
        ]) {
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
          e.type === "barrier.fired" && (e.decision === "fired" || e.decision === "failed") ? [e.barrierId] : [],
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
