import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { OrchestraError } from "../../../src/base/errors.ts";
import { next, Orchestra, type AgentFunction as Agent, type TopologyInput } from "../../../src/index.ts";
import { fromJsonValue, toJsonValue } from "../../../src/runtime/result-json.ts";
import { responseAsText } from "../../../src/runtime/response-text.ts";
import { OrchestraResult, type ResultData } from "../../../src/runtime/result.ts";

const metadata: ResultData["metadata"] = {
  durability: "memory",
  terminalReason: "completed",
  boundsHit: [],
  partial: false,
  missing: [],
  timedOut: [],
  topology: { nodes: 2, edges: 1, hash: "h" },
  usage: { inputTokens: 1, outputTokens: 2, totalTokens: 3, costUsd: 0, apiCalls: 1 },
  ignoredFacts: 0,
  traceTruncated: false,
  questions: [],
  pausedReason: null,
};
const branch = {
  parentId: null,
  nodes: ["A"],
  input: "x",
  finalResponse: null,
  stepCount: 1,
  duration: 0.5,
  durationMs: 500,
  error: null,
};

function result(overrides: Partial<ResultData> = {}): OrchestraResult {
  return new OrchestraResult({
    status: "completed",
    finalResponse: "done",
    branchResults: [
      { ...branch, branchId: "b0", status: "completed", success: true },
      {
        ...branch,
        branchId: "b1",
        status: "failed",
        success: false,
        error: { code: "ORCH_AGENT_FAILED", message: "no" },
      },
      { ...branch, branchId: "b2", status: "timed_out", success: false },
      { ...branch, branchId: "b3", status: "skipped", success: false },
    ],
    totalSteps: 3,
    totalDurationMs: 1500,
    metadata,
    error: null,
    sessionId: "s",
    runId: "r",
    checkpointIds: ["c1"],
    trace: [
      {
        stepId: "1.0.1",
        node: "A",
        branchId: "b0",
        attempt: 2,
        input: "x",
        output: "y",
        error: null,
        usage: null,
        started: 1,
        ended: 2,
      },
    ],
    invocations: { A: 2, B: 1 },
    followUps: [],
    ...overrides,
  });
}

describe("OrchestraResult", () => {
  it("answers questions about branches and agents", () => {
    const it = result();
    expect([it.success, it.totalDuration, it.totalDurationMs]).toEqual([true, 1.5, 1500]);
    expect(it.getBranchById("b1")?.status).toBe("failed");
    expect(it.getBranchById("nope")).toBeUndefined();
    expect(it.getSuccessfulBranches().map((one) => one.branchId)).toEqual(["b0"]);
    expect(it.getFailedBranches().map((one) => one.branchId)).toEqual(["b1", "b2"]);
    expect([
      it.wasAgentInvoked("A"),
      it.wasAgentInvoked("toString"),
      it.getAgentInvocationCount("A"),
      it.getAgentInvocationCount("Z"),
    ]).toEqual([true, false, 2, 0]);
    expect(it.getExecutionTrace()).toHaveLength(1);
    expect(it.getMetrics()).toMatchObject({
      totalSteps: 3,
      retries: 1,
      branches: { completed: 1, failed: 1, timed_out: 1, skipped: 1 },
      invocations: { A: 2, B: 1 },
    });
  });

  it("is itself by orThrow when it is a success, and throws its error otherwise", () => {
    const good = result();
    expect(good.orThrow()).toBe(good);
    const failed = result({
      status: "failed",
      error: { code: "ORCH_MAX_STEPS", message: "too many", node: "A", cause: { code: "X", message: "why" } },
    });
    expect(() => failed.orThrow()).toThrowError(
      expect.objectContaining({
        code: "ORCH_MAX_STEPS",
        message: "too many",
        details: expect.objectContaining({ sessionId: "s", node: "A" }),
        cause: expect.objectContaining({ code: "X", message: "why" }),
      }),
    );
    expect(() => result({ status: "failed", error: { code: "ECONNRESET", message: "gone" } }).orThrow()).toThrowError(
      OrchestraError,
    );
  });

  it("throws with the very error of the agent as its cause, and where that is gone with what is stored of it", async () => {
    class ModelError extends Error {
      override readonly name = "ModelError";
      readonly code = "MODEL_DOWN";
      readonly data = { model: "m1" };
    }
    const thrown = new ModelError("no luck", { cause: new RangeError("too hot") });
    const thrownBy = async (topology: TopologyInput, Failing: Agent): Promise<OrchestraResult> =>
      Orchestra.run({
        task: "x",
        topology,
        agents: { A: (x: unknown) => x, B: (x: unknown) => x, J: () => "joined", Failing },
      });
    const orThrow = (of: OrchestraResult): OrchestraError => {
      try {
        of.orThrow();
      } catch (error) {
        return error as OrchestraError;
      }
      throw new Error("it did not throw");
    };
    const throwing = (): never => {
      throw thrown;
    };
    for (const topology of [
      { nodes: ["Failing"] },
      { nodes: ["A", "Failing", "B", "J"], edges: ["A -> Failing -> J", "A -> B -> J"] },
    ])
      expect(orThrow(await thrownBy(topology, throwing)).cause).toBe(thrown);
    expect(orThrow(await thrownBy({ nodes: ["Failing"] }, () => next.fail(thrown))).cause).toBe(thrown);

    const stored = OrchestraResult.fromJSON(JSON.stringify(await thrownBy({ nodes: ["Failing"] }, throwing)));
    const { cause } = orThrow(stored);
    expect(cause).toMatchObject({ name: "ModelError", message: "no luck", code: "MODEL_DOWN", data: { model: "m1" } });
    expect((cause as Error).cause).toMatchObject({ name: "RangeError", message: "too hot" });
  });

  it("comes back from JSON as it was", () => {
    const before = result({
      finalResponse: {
        when: new Date(5),
        big: 12n,
        tags: new Set(["a"]),
        table: new Map([[1, { $type: "mine" }]]),
        bytes: new Uint8Array([1, 2]),
      },
      followUps: [result({ runId: "r2" })],
    });
    const after = OrchestraResult.fromJSON(JSON.parse(JSON.stringify(before)));
    expect(after).toBeInstanceOf(OrchestraResult);
    expect(after.finalResponse).toEqual(before.finalResponse);
    expect(after.followUps[0]?.runId).toBe("r2");
    expect(after.getMetrics()).toEqual(before.getMetrics());
    expect(after.getExecutionTrace()).toEqual(before.getExecutionTrace());
    expect(JSON.stringify(after)).toBe(JSON.stringify(before));
    expect(OrchestraResult.fromJSON(JSON.stringify(before)).runId).toBe("r");
  });

  it("refuses JSON that is no result", () => {
    expect(() => OrchestraResult.fromJSON({ status: "completed" })).toThrowError(
      expect.objectContaining({ code: "ORCH_BAD_OPTION" }),
    );
  });
});

describe("the text of a final response", () => {
  it.each([
    ["plain", "plain"],
    [null, ""],
    [undefined, ""],
    ["", ""],
    [{ a: 1 }, '{\n  "a": 1\n}'],
    [[1, 2], "[\n  1,\n  2\n]"],
    [42, "42"],
    [false, "false"],
  ])("of %j", (value, text) => {
    expect(responseAsText(value)).toBe(text);
  });

  it("of a value JSON cannot say is tagged", () => {
    expect(responseAsText({ big: 3n })).toBe('{\n  "big": {\n    "$type": "BigInt",\n    "value": "3"\n  }\n}');
  });

  it("writes a report as Markdown", () => {
    const report = {
      title: "AI",
      summary: "Short.",
      sections: [
        { heading: "One", content: "First." },
        { heading: "Two", content: ["a"] },
      ],
      conclusion: "End.",
      references: ["R1", "R2"],
    };
    expect(responseAsText(report)).toBe(
      '# AI\n\nShort.\n\n## One\n\nFirst.\n\n## Two\n\n[\n  "a"\n]\n\n## Conclusion\n\nEnd.\n\n## References\n\n- R1\n- R2',
    );
    expect(responseAsText({ title: "Only" })).toBe("# Only");
  });

  it("writes JSON instead when Markdown would leave something out", () => {
    expect(responseAsText({ title: "AI", sections: [], score: 3 })).toContain('"score": 3');
    expect(responseAsText({ summary: "lone" })).toContain('"summary"');
    expect(responseAsText({ title: "AI", sections: "none" })).toContain('"sections"');
  });
});

describe("JSON of values", () => {
  it("round-trips every value a run can store", () => {
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { depthSize: "small" },
        fc.string(),
        fc.double(),
        fc.boolean(),
        fc.constant(null),
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        fc.date({ noInvalidDate: true }),
        fc.uint8Array(),
        fc.array(tie("any")),
        fc.array(fc.tuple(fc.string(), tie("any"))).map((entries) => new Map(entries)),
        fc.array(fc.string()).map((items) => new Set(items)),
        fc
          .dictionary(
            fc.oneof(
              fc.string().filter((key) => key !== "__proto__"),
              fc.constant("$type"),
            ),
            tie("any"),
          )
          .map((fields) => ({ ...fields })),
      ),
    })).any;
    fc.assert(
      fc.property(value, (before) => {
        expect(fromJsonValue(JSON.parse(JSON.stringify(toJsonValue(before))))).toEqual(withoutNegativeZero(before));
      }),
    );
  });
});

// A stored -0 is 0 already; JSON agrees.
function withoutNegativeZero(value: unknown): unknown {
  if (Object.is(value, -0)) return 0;
  if (Array.isArray(value)) return value.map(withoutNegativeZero);
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [key, withoutNegativeZero(item)]));
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutNegativeZero(item)]));
}
