import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compilePlan } from "../../src/topology/compile.ts";
import { judge, parseCondition, type ConditionFunctions } from "../../src/topology/conditions.ts";
import type { EdgeOptions } from "../../src/topology/edge.ts";
import { readTopology } from "../../src/topology/read.ts";

function planOf(...options: EdgeOptions[]) {
  const edges = options.map((option, i) => ({ from: "A", to: `B${i}`, ...option }));
  return compilePlan(readTopology({ edges }).data, { errorRouting: true });
}

function holds(condition: string, output: unknown, functions: ConditionFunctions = {}): boolean {
  const input = { output, input: "the input", context: { limit: 3 }, task: { goal: "x" } };
  return judge(planOf({ condition }), [0], input, functions).length === 1;
}

describe("labels", () => {
  it.each([
    ["the output itself", "valid"],
    ["its route", { route: "valid" }],
    ["its decision", { decision: "valid" }],
    ["its status", { status: "valid" }],
    ["a property that is true", { valid: true }],
  ])("hold when they are %s", (_, output) => {
    expect(holds("valid", output)).toBe(true);
  });

  it.each([
    ["invalid"],
    [{ route: "other" }],
    [{ valid: "yes" }],
    [{ valid: 1 }],
    [null],
    [["valid"]],
    [42],
    [Object.create({ valid: true })],
  ])("do not hold for %j", (output) => {
    expect(holds("valid", output)).toBe(false);
  });

  it("may have a dash, which is then no minus", () => {
    expect(holds("needs-review", { route: "needs-review" })).toBe(true);
  });

  it.each(["true", "false", "output", "null"])("do not include the word %s", (word) => {
    const parsed = parseCondition(word);
    expect(parsed.ok && parsed.condition.kind).not.toBe("label");
  });
});

describe("registered functions", () => {
  it("come before labels and expressions of the same text", () => {
    expect(holds("valid", "invalid", { valid: () => true })).toBe(true);
    expect(holds("output == 1", 2, { "output == 1": () => true })).toBe(true);
  });

  it("get the output, the input, the context and the task", () => {
    const seen: unknown[] = [];
    holds("look", "o", { look: (given) => seen.push(given) > 0 });
    expect(seen).toEqual([{ output: "o", input: "the input", context: { limit: 3 }, task: { goal: "x" } }]);
  });

  it("fail with their name when they throw, keeping the cause", () => {
    const cause = new Error("boom");
    const fails = () =>
      holds("odd", 1, {
        odd: () => {
          throw cause;
        },
      });
    expect(fails).toThrow(
      expect.objectContaining({
        code: "ORCH_CONDITION",
        cause,
        message: expect.stringMatching(/"odd".*from A to B0.*boom/),
      }),
    );
  });

  it.each([
    ["a promise", async () => false],
    ["undefined", () => undefined],
  ])("fail when they return %s", (what, fn) => {
    expect(() => holds("odd", 1, { odd: fn as never })).toThrow(
      expect.objectContaining({ code: "ORCH_CONDITION", message: expect.stringContaining(what) }),
    );
  });

  it("are not found on the prototype of the record", () => {
    expect(holds("toString", "x")).toBe(false);
  });
});

describe("expressions", () => {
  it.each<[string, unknown, boolean]>([
    ["output.score == 1", { score: 1 }, true],
    ["output.score == 1.0", { score: 1 }, true],
    ["output.score > 0.5", { score: 1 }, true],
    ["output.score > 0", { score: 0.25 }, true],
    ["output.score + 1 == 1.5", { score: 0.5 }, true],
    ["output.score / 2 == 0.5", { score: 1 }, true],
    ["size(output.items) / 2 == 1.5", { items: [1, 2, 3] }, true],
    ["size(output.items) / size(output.items) / 2 == 0.5", { items: [1, 2, 3] }, true],
    ["output.score % 2 == 1", { score: 3 }, true],
    ["output.score in [0.5, 1]", { score: 1 }, true],
    ["output.big == 5", { big: 5n }, true],
    ["output == 'go'", "go", true],
    ["input == 'the input' && context.limit >= 3 && task.goal == 'x'", null, true],
    ["output.items.exists(x, x > 2)", { items: [1, 2, 3] }, true],
    ["!output.done", { done: false }, true],
    ["true", null, true],
    ["false", null, false],
  ])("judge numbers as JavaScript does: %s", (text, output, expected) => {
    expect(holds(text, output)).toBe(expected);
  });

  it.each([
    ["output.missing == 1", {}],
    ["output.missing != 1", {}],
    ["!output.missing", {}],
    ["output.a.b.c > 1", { a: {} }],
    ["output.score > 1", "text"],
    ["output.score > 1", null],
    ["output.items[3] == 1", { items: [1] }],
    ["output.flag", { flag: null }],
  ])("are false where a field is missing: %s", (text, output) => {
    expect(holds(text, output)).toBe(false);
  });

  it("may ask whether a field is there", () => {
    expect(holds("has(output.a) || true", {})).toBe(true);
    expect(holds("!has(output.a)", {})).toBe(true);
  });

  it.each([
    ["output.score + 'x' == 1", { score: 1 }],
    ["output.score", { score: 5 }],
    ["output.score", { score: "high" }],
  ])("fail for good when they make no sense of the output: %s", (text, output) => {
    expect(() => holds(text, output)).toThrow(
      expect.objectContaining({ code: "ORCH_CONDITION", message: expect.stringContaining(text) }),
    );
  });

  it.each<[string, number | undefined, string | undefined]>([
    ["output.score ==", 15, undefined],
    ["outptu.score == 1", 0, 'did you mean "output"?'],
    ["size(output)", 0, undefined],
    ["1 + 'a' == 2", 0, undefined],
    ["", 0, undefined],
    [`${"(".repeat(6000)}1`, undefined, undefined],
    ["x".repeat(20_000) + " == 1", undefined, undefined],
  ])("that do not parse are refused with their place: %.20s", (text, position, hint) => {
    const parsed = parseCondition(text);
    expect(parsed).toMatchObject({ ok: false });
    if (!parsed.ok && position !== undefined) expect(parsed.problem.position).toBe(position);
    if (!parsed.ok && hint !== undefined) expect(parsed.problem.hint).toBe(hint);
  });

  const number = fc.oneof(fc.integer({ min: -1000, max: 1000 }), fc.double({ min: -1000, max: 1000, noNaN: true }));
  const literal = fc.oneof(
    fc.integer({ min: 0, max: 1000 }).map(String),
    fc.integer({ min: 0, max: 9999 }).map((n) => (n / 16).toFixed(4)),
  );

  it("compare and reckon any numbers as JavaScript does", () => {
    const compare: Record<string, (a: number, b: number) => boolean> = {
      "==": (a, b) => a === b,
      "!=": (a, b) => a !== b,
      "<": (a, b) => a < b,
      "<=": (a, b) => a <= b,
      ">": (a, b) => a > b,
      ">=": (a, b) => a >= b,
    };
    const reckon: Record<string, (a: number, b: number) => number> = {
      "+": (a, b) => a + b,
      "-": (a, b) => a - b,
      "*": (a, b) => a * b,
      "/": (a, b) => a / b,
    };
    fc.assert(
      fc.property(
        number,
        literal,
        literal,
        fc.constantFrom(...Object.keys(compare)),
        fc.constantFrom(...Object.keys(reckon)),
        (n, a, b, sign, op) => {
          const expected = compare[sign]?.(reckon[op]?.(n, Number(a)) ?? 0, Number(b));
          expect(holds(`output.n ${op} ${a} ${sign} ${b}`, { n })).toBe(expected);
        },
      ),
      { numRuns: 400 },
    );
  });

  it("never fail otherwise than by saying so, whatever text they are", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."output.x1+-*/%()[]'\"=<>!&|? ,") }), (text) => {
        expect(typeof parseCondition(text).ok).toBe("boolean");
      }),
      { numRuns: 500 },
    );
  });
});

describe("judging edges", () => {
  it("gives the edges that hold, in the order asked, without else edges", () => {
    const plan = planOf({ condition: "output > 1" }, { condition: "output > 5" }, { else: true }, {});
    const input = { output: 3, input: null, context: {}, task: "" };
    expect(judge(plan, [3, 2, 1, 0], input)).toEqual([3, 0]);
  });
});
