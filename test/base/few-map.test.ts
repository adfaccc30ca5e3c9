import fc from "fast-check";
import { expect, it } from "vitest";
import { FewMap } from "../../src/base/few-map.ts";

const key = fc.constantFrom("a", "b", "c");
const change = fc.oneof(
  fc.record({ do: fc.constant("set" as const), key, value: fc.nat() }),
  fc.record({ do: fc.constant("delete" as const), key, value: fc.nat() }),
  fc.record({ do: fc.constant("clear" as const), key, value: fc.nat() }),
);

it("answers like a Map after any changes", () => {
  fc.assert(
    fc.property(fc.array(change), (changes) => {
      const map = new FewMap<string, number>();
      const model = new Map<string, number>();
      for (const { do: what, key, value } of changes) {
        if (what === "set") {
          map.set(key, value);
          model.set(key, value);
        } else if (what === "delete") {
          map.delete(key);
          model.delete(key);
        } else {
          map.clear();
          model.clear();
        }
        expect(map.values()).toEqual([...model.values()]);
        expect(map.size).toBe(model.size);
        for (const one of ["a", "b", "c"]) {
          expect(map.get(one)).toBe(model.get(one));
          expect(map.has(one)).toBe(model.has(one));
        }
      }
    }),
  );
});
