import fc from "fast-check";
import { types } from "node:util";
import { describe, expect, it } from "vitest";
import { decodeValue, encodeValue } from "../../src/base/codec.ts";
import { foreignProblem } from "../../src/base/foreign-bytes.ts";
import { copyValue } from "../../src/base/value.ts";

const text = (value: string): number[] => [0xa0 | value.length, ...Buffer.from(value)];
const HEADS = [
  ...[0x40, 0x72, 0x81, 0x82, 0x90, 0x91, 0x92, 0xa1, 0xc0, 0xc1, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xcb, 0xcf],
  ...[0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xff],
  ...[0x42, 0x62, 0x65, 0x69, 0x70, 0x73, 0x74, 0x78],
];
const hostile = fc
  .array(fc.oneof(fc.constantFrom(...HEADS), fc.integer({ min: 0, max: 255 })), { maxLength: 60 })
  .map((bytes) => Uint8Array.from(bytes));

/** Whether a value consists of what the codec writes and nothing else. */
function isPlain(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return value !== undefined && typeof value !== "function";
  if (types.isDate(value) || types.isUint8Array(value) || value instanceof Error) return true;
  if (Array.isArray(value)) return value.every(isPlain);
  if (types.isMap(value)) return [...value].every(([key, item]) => isPlain(key) && isPlain(item));
  if (types.isSet(value)) return [...value].every(isPlain);
  return Object.getPrototypeOf(value) === Object.prototype && Object.values(value).every(isPlain);
}

describe("foreign bytes", () => {
  it("pass when the codec wrote them", () => {
    fc.assert(
      fc.property(
        fc.anything({ withDate: true, withMap: true, withSet: true, withBigInt: true, withTypedArray: true }),
        (value) => {
          let bytes: Uint8Array;
          try {
            bytes = encodeValue(copyValue(value).value);
          } catch {
            return;
          }
          expect(foreignProblem(bytes)).toBeUndefined();
        },
      ),
    );
    const deep = Array.from({ length: 900 }).reduce((inner) => new Map([["k", inner]]), 1 as unknown);
    expect(() => copyValue(deep)).toThrow(/nested deeper/);
    const allowed = Array.from({ length: 490 }).reduce((inner) => new Map([["k", inner]]), 1 as unknown);
    expect(foreignProblem(encodeValue(copyValue(allowed).value))).toBeUndefined();
  });

  it.each([
    ["a regular expression", [0xd4, 0x78, 0, 0x92, ...text("(a+)+$"), ...text("g")], /extension 120/],
    ["a typed array", [0xc7, 5, 0x74, 7, 1, 2, 3, 4], /extension 116/],
    ["a record, which would be remembered", [0xd4, 0x72, 0x40, 0x91, ...text("a"), 1], /extension 114/],
    ["an error", [0xd4, 0x65, 0, 0x92, ...text("Error"), ...text("m")], /extension 101/],
    ["undefined", [0xd4, 0, 0], /extension 0/],
    ["an invalid date", [0xd4, 0xff, 0], /extension 255 of 1 bytes/],
    ["a list that claims four billion items", [0xdd, 0xff, 0xff, 0xff, 0xff], /ends too early/],
    ["a map that claims two billion", [0xdf, 0x7f, 0xff, 0xff, 0xff, 0xa1, 0x61, 1], /ends too early/],
    ["a text longer than the rest", [0xdb, 0xff, 0xff, 0xff, 0xff, 1], /ends too early/],
    ["a length cut short", [0xda, 0x01], /ends too early/],
    ["nothing", [], /ends too early/],
    ["two values", [1, 2], /1 bytes follow/],
    ["the byte that is never used", [0xc1], /c1 begins no value/],
    ["half a million lists in each other", Array.from({ length: 500_000 }, () => 0x91), /nested deeper than 4096/],
  ])("are refused: %s", (_name, bytes, why) => {
    expect(foreignProblem(Uint8Array.from(bytes))).toMatch(why);
  });

  it("that pass are plain data, or refused by the codec", () => {
    fc.assert(
      fc.property(hostile, (bytes) => {
        if (foreignProblem(bytes) !== undefined) return;
        let value: unknown;
        try {
          value = decodeValue(bytes);
        } catch (error) {
          expect(error).toMatchObject({ code: "ORCH_STORE_CORRUPT" });
          return;
        }
        expect(isPlain(value)).toBe(true);
      }),
      { numRuns: 20_000 },
    );
  });
});
