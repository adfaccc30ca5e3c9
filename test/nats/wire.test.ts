import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isOrchestraError } from "../../src/base/errors.ts";
import { decodePayload, encodeAs, encodePayload, MESSAGE_BYTES_MAX } from "../../src/nats/wire.ts";

describe("payloads on the bus", () => {
  it("come back as they were", () => {
    const value = {
      a: [1, "ü", null, 2n ** 63n],
      at: new Date(5),
      bytes: new Uint8Array([1, 2]),
      m: new Map([["k", new Set([1])]]),
    };
    expect(decodePayload(encodePayload(value), "test")).toEqual(value);
  });

  it("are refused when one bit of them changed", () => {
    const bytes = encodePayload({ step: "1.0.1", input: "otters" });
    for (let bit = 0; bit < bytes.byteLength * 8; bit++) {
      const changed = Uint8Array.from(bytes);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => decodePayload(changed, "step 1.0.1")).toThrow(
        expect.objectContaining({ code: "ORCH_BUS_PAYLOAD", message: expect.stringContaining("step 1.0.1") }),
      );
    }
  });

  it("end in a coded error when they are no payload at all", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        try {
          decodePayload(bytes, "x");
        } catch (error) {
          expect(isOrchestraError(error, "ORCH_BUS_PAYLOAD")).toBe(true);
          return;
        }
        throw new Error("random bytes were read");
      }),
      { numRuns: 2_000 },
    );
  });

  it("are refused when the frame is right and what it holds is not ours", () => {
    const expression = Uint8Array.from([0xd4, 0x78, 0, 0x92, 0xa1, 0x61, 0xa1, 0x67]);
    expect(() => decodePayload(encodeAs("message", expression), "step 1.0.1")).toThrow(
      expect.objectContaining({ code: "ORCH_BUS_PAYLOAD", message: expect.stringContaining("extension 120") }),
    );
  });

  it("are bounded both ways", () => {
    expect(() => encodePayload("x".repeat(MESSAGE_BYTES_MAX))).toThrow(
      expect.objectContaining({ code: "ORCH_PAYLOAD_TOO_LARGE" }),
    );
    expect(() => decodePayload(new Uint8Array(MESSAGE_BYTES_MAX + 1), "x")).toThrow(/the limit is/);
  });
});
