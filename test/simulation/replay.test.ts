// The same seed does the same, and a failing one is made small and can be seen again.

import { describe, expect, it } from "vitest";
import { DEFAULT_FAULT_RATES, ratesOf } from "../../src/testing/simulation/faults.ts";
import { RANDOM_SYSTEMS, randomSystems, simulateRandomSystems } from "../../src/testing/simulation/random-system.ts";
import { shrink } from "../../src/testing/simulation/shrink.ts";
import { runSeed } from "../../src/testing/simulation/world.ts";

describe("a seed", () => {
  it.each([1, 4])("does the same every time, to the last event, with %d hosts", async (hosts) => {
    for (const seed of [3, 29, 150, 4711]) {
      const once = (): Promise<readonly string[] | undefined> =>
        runSeed(randomSystems(hosts).scenario(seed, new Set()), {
          seed,
          rates: ratesOf(seed, DEFAULT_FAULT_RATES),
          traced: true,
        }).then(({ trace }) => trace);
      const first = await once();
      expect(first?.length).toBeGreaterThan(50);
      expect(await once()).toEqual(first);
    }
  });

  it("does other things than another seed", async () => {
    const trace = async (seed: number): Promise<unknown> =>
      (await runSeed(RANDOM_SYSTEMS.scenario(1, new Set()), { seed, rates: {}, traced: true })).trace;
    expect(await trace(1)).not.toEqual(await trace(2));
  });

  it("that fails is made small, and fails in the same way when it is replayed", async () => {
    const planted = { canary: "flushes-nothing", failingSeedsMax: 1 } as const;
    const seeds = Array.from({ length: 60 }, (_, i) => i + 1);
    const whole = await simulateRandomSystems({ ...planted, seeds, shrink: false });
    const failing = whole.findings[0];
    if (failing === undefined) throw new Error("nothing was found");
    const { findings } = await simulateRandomSystems({ ...planted, seeds: [failing.seed] });
    const small = findings[0];
    if (small === undefined) throw new Error("not found again");
    // Nothing is lost but by losing power, and once is enough.
    expect(small.faults.filter((name) => name.startsWith("power-loss")).length).toBe(1);
    expect(small.faults.length).toBeLessThan(failing.faults.length);
    expect(small.without.length).toBeGreaterThan(0);
    expect(small.replay).toBe(
      `npm run soak -- --seed ${failing.seed} --faults ${small.faults.join(",")} --without ${small.without.join(",")}`,
    );
    const again = await simulateRandomSystems({
      ...planted,
      seeds: [failing.seed],
      faults: small.faults,
      without: small.without,
      shrink: false,
    });
    expect(again.findings[0]?.findings[0]?.check).toBe(failing.findings[0]?.check);
    const without = await simulateRandomSystems({
      seeds: [failing.seed],
      faults: small.faults,
      without: small.without,
    });
    expect(without.findings).toEqual([]);
  });
});

describe("shrinking", () => {
  it("keeps what is needed, and no more", async () => {
    const items = Array.from({ length: 40 }, (_, i) => i);
    const needs = (kept: readonly number[]): Promise<boolean> =>
      Promise.resolve([3, 17, 31].every((one) => kept.includes(one)));
    expect(await shrink(items, needs, 1_000)).toEqual([3, 17, 31]);
  });

  it("asks no more often than it may", async () => {
    let tries = 0;
    await shrink(
      Array.from({ length: 100 }, (_, i) => i),
      () => Promise.resolve(++tries < 0),
      25,
    );
    expect(tries).toBe(25);
  });
});
