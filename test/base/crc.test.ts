import { crc32 } from "node:zlib";
import fc from "fast-check";
import { expect, it } from "vitest";
import { checksum, checksumFrom } from "../../src/base/crc.ts";

const seed = fc.integer({ min: 0, max: 2 ** 32 - 1 });
// Around the length from which on zlib is asked.
const bytes = fc.uint8Array({ minLength: 21, maxLength: 300 });
const text = fc.oneof(
  fc.string({ minLength: 1, maxLength: 200 }),
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 200 }),
);

it("sums are those of zlib, of short and long bytes and of any text", () => {
  fc.assert(
    fc.property(bytes, text, seed, fc.nat(20), (given, words, before, from) => {
      expect(checksum(given, before)).toBe(crc32(given, before));
      expect(checksum(words, before)).toBe(crc32(words, before));
      expect(checksumFrom(given, from, before)).toBe(crc32(given.subarray(from), before));
    }),
  );
});

it("nothing leaves a sum as it is", () => {
  expect(checksum("", 7)).toBe(7);
  expect(checksum(new Uint8Array(0), 7)).toBe(7);
});
