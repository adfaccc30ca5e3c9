import fc from "fast-check";
import { isDeepStrictEqual } from "node:util";
import { describe, expect, it } from "vitest";
import { decodeValue, encodeValue } from "../../src/base/codec.ts";
import { isOrchestraError } from "../../src/base/errors.ts";
import { decodeRecord, encodeRecord } from "../../src/base/record.ts";
import { copyValue } from "../../src/base/value.ts";

// Strings of any code units, half surrogate pairs included.
const text = fc.oneof(
  fc.string(),
  fc.string({ unit: "binary" }),
  fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
);
const key = fc
  .oneof(fc.string(), fc.constantFrom("\0", "constructor", "toString", "toJSON", ""))
  .filter((one) => one !== "__proto__");
const { any } = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 4 },
    fc.oneof(
      text,
      fc.integer(),
      fc.maxSafeInteger(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
      fc.constant(null),
    ),
    fc.oneof(fc.date({ noInvalidDate: true }), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }), fc.uint8Array()),
    fc.array(tie("any"), { maxLength: 5 }),
    fc.dictionary(key, tie("any"), { maxKeys: 5, noNullPrototype: true }),
    fc.array(fc.tuple(tie("any"), tie("any")), { maxLength: 3 }).map((pairs) => new Map(pairs)),
    fc.array(tie("any"), { maxLength: 3 }).map((items) => new Set(items)),
  ),
}));

describe("codec", () => {
  it("reads back every value that copyValue lets pass, exactly", () => {
    fc.assert(
      fc.property(any, (value) => {
        const { value: copy } = copyValue(value);
        // toStrictEqual takes an own key named constructor for the type.
        expect(isDeepStrictEqual(decodeValue(encodeValue(copy)), copy)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it("reads errors back with name, message, code, data and cause", () => {
    const error = Object.assign(new RangeError("too far", { cause: new Error("why") }), {
      code: "E_FAR",
      data: new Map([[1, 2n]]),
    });
    const back = decodeValue(encodeValue(copyValue({ error }).value)) as {
      error: Error & { code: string; data: unknown };
    };
    expect(back.error).toBeInstanceOf(Error);
    expect([
      back.error.name,
      back.error.message,
      back.error.code,
      back.error.data,
      (back.error.cause as Error).message,
    ]).toStrictEqual(["RangeError", "too far", "E_FAR", new Map([[1, 2n]]), "why"]);
  });

  it("reads bytes back as a Uint8Array of their own", () => {
    const encoded = encodeValue({ bytes: new Uint8Array([1, 2, 3]) });
    const back = decodeValue(encoded) as { bytes: Uint8Array };
    encoded.fill(0);
    expect(back.bytes).toStrictEqual(new Uint8Array([1, 2, 3]));
    expect(back.bytes.constructor).toBe(Uint8Array);
  });

  it("ends foreign bytes in plain data or a coded error", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 200 }),
          fc.tuple(any, fc.nat(), fc.nat(255)).map(([value, at, byte]) => {
            const bytes = Uint8Array.from(encodeValue(copyValue(value).value));
            bytes[at % bytes.length] = byte;
            return bytes;
          }),
        ),
        (bytes) => {
          try {
            decodeValue(bytes);
          } catch (error) {
            expect(isOrchestraError(error, "ORCH_STORE_CORRUPT")).toBe(true);
          }
        },
      ),
      { numRuns: 2000 },
    );
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });

  it("refuses to decode what is larger than the limit", () => {
    expect(() => decodeValue(new Uint8Array(64 * 1024 * 1024 + 1))).toThrow(
      expect.objectContaining({ code: "ORCH_PAYLOAD_TOO_LARGE" }),
    );
  });
});

describe("records", () => {
  const payload = new Uint8Array([1, 2, 3, 4, 5]);

  it("give their payload back", () => {
    expect(Uint8Array.from(decodeRecord("commit", encodeRecord("commit", payload, "c/a/1"), "c/a/1"))).toStrictEqual(
      payload,
    );
  });

  it("are refused after any single bit has flipped", () => {
    const record = encodeRecord("commit", payload, "c/a/1");
    for (let bit = 0; bit < record.length * 8; bit++) {
      const bad = Uint8Array.from(record);
      bad[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => decodeRecord("commit", bad, "c/a/1"), `bit ${bit}`).toThrow(
        expect.objectContaining({ code: "ORCH_STORE_CORRUPT" }),
      );
    }
  });

  it("are refused when cut short, read from another place or as another kind", () => {
    const record = encodeRecord("commit", payload, "c/a/1");
    for (let length = 0; length < record.length; length++)
      expect(() => decodeRecord("commit", record.subarray(0, length), "c/a/1")).toThrow(
        expect.objectContaining({ code: "ORCH_STORE_CORRUPT" }),
      );
    expect(() => decodeRecord("commit", record, "c/a/2")).toThrow(
      expect.objectContaining({ code: "ORCH_STORE_CORRUPT" }),
    );
    expect(() => decodeRecord("snapshot", record, "c/a/1")).toThrow(/no snapshot/);
  });
});
