import { describe, expect, it } from "vitest";
import { assertNever, ERROR_CODES, isOrchestraError, OrchestraError } from "../../src/base/errors.ts";

describe("OrchestraError", () => {
  it("carries code, message, details and cause, and says where the code is explained", () => {
    const cause = new Error("disk gone");
    const error = new OrchestraError("ORCH_STORE_FAILED", "append to session s-1 failed", {
      cause,
      details: { sessionId: "s-1" },
    });
    expect(error).toBeInstanceOf(Error);
    expect([error.name, error.code, error.message, error.cause, error.details]).toEqual([
      "OrchestraError",
      "ORCH_STORE_FAILED",
      "append to session s-1 failed",
      cause,
      { sessionId: "s-1" },
    ]);
    expect(error.docs).toBe("docs/errors.md#orch_store_failed");
    expect(String(error)).toBe("OrchestraError: append to session s-1 failed");
  });

  it("has no cause where none was given", () => {
    expect("cause" in new OrchestraError("ORCH_CLOSED", "closed")).toBe(false);
  });
});

describe("isOrchestraError", () => {
  it("tells our errors from others, and one code from another", () => {
    const error = new OrchestraError("ORCH_CLOSED", "closed");
    expect([
      isOrchestraError(error),
      isOrchestraError(error, "ORCH_CLOSED"),
      isOrchestraError(error, "ORCH_FENCED"),
    ]).toEqual([true, true, false]);
    expect([
      isOrchestraError(new Error("closed")),
      isOrchestraError({ code: "ORCH_CLOSED" }),
      isOrchestraError(undefined),
    ]).toEqual([false, false, false]);
  });
});

describe("ERROR_CODES", () => {
  it("stands in alphabetical order, each code once, all with our prefix", () => {
    expect([...new Set(ERROR_CODES)].sort()).toEqual([...ERROR_CODES]);
    for (const code of ERROR_CODES) expect(code).toMatch(/^ORCH_[A-Z]+(_[A-Z]+)*$/);
  });
});

describe("assertNever", () => {
  it("throws an uncoded error that shows the value", () => {
    // A value that the types rule out, as a newer writer might have stored it.
    const value = { type: "unheard-of" } as never;
    expect(() => assertNever(value)).toThrow(new TypeError('unexpected value: {"type":"unheard-of"}'));
  });
});
