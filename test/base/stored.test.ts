import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isRef } from "../../src/base/stored.ts";

describe("isRef", () => {
  it("takes no value of a user for a reference, not even one that looks like it", () => {
    fc.assert(
      fc.property(fc.anything(), (v) => {
        expect(isRef({ v })).toBe(false);
      }),
    );
    expect(isRef({ v: { ref: "0".repeat(64), bytes: 3 } })).toBe(false);
    expect(isRef({ list: [{ ref: "0".repeat(64), bytes: 3 }] })).toBe(false);
  });

  it("knows a reference", () => {
    expect(isRef({ ref: "0".repeat(64), bytes: 20_000 })).toBe(true);
  });
});
