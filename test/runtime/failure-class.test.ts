import { describe, expect, it } from "vitest";
import { OrchestraError } from "../../src/base/errors.ts";
import { classifyFailure, retryAfterMsOf } from "../../src/runtime/failure-class.ts";

const failed = (fields: object, cause?: unknown) =>
  Object.assign(new Error("failed", cause === undefined ? {} : { cause }), fields);

describe("the class of a failure", () => {
  it.each([
    [failed({ code: "ECONNREFUSED" }), "transient"],
    [failed({ code: "ETIMEDOUT" }), "transient"],
    [failed({ code: "EAI_AGAIN" }), "transient"],
    [failed({ status: 429 }), "transient"],
    [failed({ statusCode: 503 }), "transient"],
    [failed({ status: 408 }), "transient"],
    [failed({ status: 404 }), "permanent"],
    [failed({ code: "ENOENT" }), "permanent"],
    [failed({ retryable: true }), "transient"],
    [failed({ retryable: false, status: 503 }), "permanent"],
    [failed({}, failed({ code: "ECONNRESET" })), "transient"],
    [new OrchestraError("ORCH_TIMEOUT", "slow"), "timeout"],
    [new OrchestraError("ORCH_INVALID_OUTPUT", "bad"), "invalid_output"],
    ["a string", "permanent"],
    [undefined, "permanent"],
  ])("of %o is %s", (error, expected) => {
    expect(classifyFailure(error)).toBe(expected);
  });

  it("survives an error whose fields throw", () => {
    expect(
      classifyFailure(
        new Proxy(
          {},
          {
            get: () => {
              throw new Error("trap");
            },
          },
        ),
      ),
    ).toBe("permanent");
  });

  it("finds how long to wait on the error or its causes", () => {
    expect(retryAfterMsOf(failed({}, failed({ retryAfterMs: 70 })))).toBe(70);
    expect(retryAfterMsOf(failed({ retryAfterMs: -1 }))).toBeUndefined();
    expect(retryAfterMsOf(null)).toBeUndefined();
  });
});
