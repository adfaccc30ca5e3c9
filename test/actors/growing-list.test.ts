import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { GrowingList } from "../../src/actors/growing-list.ts";

describe("a growing list", () => {
  it("keeps every version as it was, whichever of them is added to", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 1_000 })), (picks) => {
        const versions: { list: GrowingList<number>; items: number[] }[] = [{ list: GrowingList.from([]), items: [] }];
        picks.forEach((pick, i) => {
          const { list, items } = versions[pick % versions.length]!;
          versions.push({ list: list.with(i), items: [...items, i] });
        });
        for (const { list, items } of versions) {
          expect(list.length).toBe(items.length);
          expect(list.toArray()).toEqual(items);
          expect([...list]).toEqual(items);
        }
      }),
    );
  });

  it("is not changed by who changes what it gave", () => {
    const list = GrowingList.from([1, 2]);
    list.toArray().push(3);
    expect([...list.with(4)]).toEqual([1, 2, 4]);
    const items = [1];
    const own = GrowingList.from(items);
    items.push(2);
    expect([...own]).toEqual([1]);
  });
});
