import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { IntMap } from "../../src/actors/int-map.ts";

// Keys around every page boundary, the largest of 31 and 32 bits, and a few small ones so that runs collide.
const key = fc.oneof(
  fc.integer({ min: 0, max: 40 }),
  fc.integer({ min: 0, max: 2_000 }),
  fc.constantFrom(
    31,
    32,
    33,
    1023,
    1024,
    1025,
    32_767,
    32_768,
    2 ** 20,
    2 ** 25 - 1,
    2 ** 25,
    2 ** 30 - 1,
    2 ** 30,
    2 ** 31 - 1,
  ),
);
type Change = { readonly set: number; readonly value: number } | { readonly delete: number };
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ set: key, value: fc.integer() }),
  fc.record({ set: key, value: fc.integer() }),
  fc.record({ delete: key }),
);

const applied = (map: IntMap<number>, one: Change): IntMap<number> =>
  "set" in one ? map.set(one.set, one.value) : map.delete(one.delete);

function apply(model: Map<number, number>, one: Change): void {
  if ("set" in one) model.set(one.set, one.value);
  else model.delete(one.delete);
}

const sorted = (model: ReadonlyMap<number, number>): [number, number][] => [...model].sort(([a], [b]) => a - b);

describe("IntMap", () => {
  it("answers like a Map after any changes, in ascending order of keys", () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 120 }), fc.array(key), (changes, probes) => {
        let map = IntMap.empty<number>();
        const model = new Map<number, number>();
        for (const one of changes) {
          map = applied(map, one);
          apply(model, one);
        }
        expect(map.size).toBe(model.size);
        expect([...map.entries()]).toEqual(sorted(model));
        expect([...map.values()]).toEqual(sorted(model).map(([, value]) => value));
        for (const probe of [...probes, ...model.keys()]) {
          expect(map.get(probe)).toBe(model.get(probe));
          expect(map.has(probe)).toBe(model.has(probe));
        }
      }),
      { numRuns: 500 },
    );
  });

  it("never changes an earlier version", () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
        const versions: { map: IntMap<number>; entries: [number, number][] }[] = [];
        let map = IntMap.empty<number>();
        const model = new Map<number, number>();
        for (const one of changes) {
          map = applied(map, one);
          apply(model, one);
          versions.push({ map, entries: sorted(model) });
        }
        for (const version of versions) {
          expect([...version.map.entries()]).toEqual(version.entries);
          expect(version.map.size).toBe(version.entries.length);
        }
        expect(IntMap.empty().size).toBe(0);
      }),
    );
  });

  it("finds the first entry in key order, like a filter over the entries", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(key, fc.integer({ min: 0, max: 9 }))),
        fc.integer({ min: 0, max: 9 }),
        (entries, wanted) => {
          const map = IntMap.from(entries);
          const expected = [...map.entries()].find(([, value]) => value === wanted);
          let foundKey: number | undefined;
          const found = map.find((value, at) => {
            if (value !== wanted) return false;
            foundKey = at;
            return true;
          });
          expect([foundKey, found]).toEqual(expected ?? [undefined, undefined]);
        },
      ),
    );
  });

  it("comes back the same from its JSON", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            key,
            fc.jsonValue().filter((value) => value !== null),
          ),
        ),
        (entries) => {
          const map = IntMap.from(entries as [number, {}][]);
          const text = JSON.stringify(map);
          const back = IntMap.from(JSON.parse(text) as [number, {}][]);
          expect(back.size).toBe(map.size);
          expect(JSON.stringify(back)).toBe(text);
        },
      ),
    );
  });

  it("keeps falsy values apart from missing ones", () => {
    const map = IntMap.from<number | string | boolean>([
      [1, 0],
      [2, ""],
      [3, false],
    ]);
    expect([map.size, map.has(1), map.has(2), map.has(3), map.has(4)]).toEqual([3, true, true, true, false]);
    expect(map.find((value) => value === false)).toBe(false);
    expect(map.delete(2).size).toBe(2);
  });

  it("gives itself back where a deletion finds nothing", () => {
    const map = IntMap.from([[7, "seven"]]);
    expect(map.delete(8)).toBe(map);
    expect(map.delete(7 + 2 ** 20)).toBe(map);
    expect(map.delete(7).size).toBe(0);
  });

  it("answers for a key that is no whole number from 0 as for a missing one, and refuses to set it", () => {
    const map = IntMap.from([
      [0, "zero"],
      [1, "one"],
      [5, "five"],
    ]);
    for (const odd of [-1, 0.5, 1.5, NaN, Infinity, 2 ** 32, 2 ** 32 + 1, 2 ** 53]) {
      expect([odd, map.get(odd)]).toEqual([odd, undefined]);
      expect(map.has(odd)).toBe(false);
      expect(map.delete(odd)).toBe(map);
      expect(() => map.set(odd, "x")).toThrow(RangeError);
    }
  });

  it("holds the largest key there is", () => {
    const map = IntMap.from([
      [3, "low"],
      [2 ** 31 - 1, "high"],
      [2 ** 32 - 1, "highest"],
    ]);
    expect(map.toJSON()).toEqual([
      [3, "low"],
      [2 ** 31 - 1, "high"],
      [2 ** 32 - 1, "highest"],
    ]);
    expect(map.get(2 ** 32 - 1)).toBe("highest");
    expect(map.delete(2 ** 32 - 1).toJSON()).toEqual([
      [3, "low"],
      [2 ** 31 - 1, "high"],
    ]);
  });
});
