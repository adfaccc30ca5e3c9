import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { seededRandom, systemRandom } from "../../src/base/random.ts";

const draw = (seed: number, count: number): number[] => {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => random.next());
};

describe("seededRandom", () => {
  it("repeats itself for the same seed and stays in [0, 1)", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (seed) => {
        const numbers = draw(seed, 50);
        expect(draw(seed, 50)).toEqual(numbers);
        for (const one of numbers) expect(one >= 0 && one < 1).toBe(true);
      }),
    );
  });

  it("differs between neighbouring seeds, above 32 bits too", () => {
    for (const base of [0, 1, 41, 2 ** 31, 2 ** 33, 2 ** 40]) expect(draw(base, 4)).not.toEqual(draw(base + 1, 4));
    expect(draw(5, 4)).not.toEqual(draw(5 + 2 ** 34, 4));
  });

  it("fills the range evenly", () => {
    const buckets = Array.from({ length: 10 }, () => 0);
    for (const one of draw(7, 20_000)) buckets[Math.floor(one * 10)] = (buckets[Math.floor(one * 10)] ?? 0) + 1;
    for (const count of buckets) expect(Math.abs(count - 2_000)).toBeLessThan(250);
  });

  it("gives the numbers it always gave", () => {
    // Simulations are repeated by their seed: a change here makes every recorded seed worthless.
    expect(draw(1, 3)).toEqual([0.7822727714665234, 0.27532708551734686, 0.9936929049436003]);
  });
});

describe("systemRandom", () => {
  it("stays in [0, 1) and does not repeat itself", () => {
    const random = systemRandom();
    const numbers = Array.from({ length: 1_000 }, () => random.next());
    for (const one of numbers) expect(one >= 0 && one < 1).toBe(true);
    expect(new Set(numbers).size).toBe(numbers.length);
  });
});
