import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isOrchestraError } from "../../src/base/errors.ts";
import { createIds, isStepUpTo, parseSessionId, stepIdOf, stepNumberOf } from "../../src/base/ids.ts";
import { seededRandom } from "../../src/base/random.ts";
import { SimClock } from "../../src/testing/sim-clock.ts";

describe("createIds", () => {
  it("makes ids of a prefix, ten characters of time and ten of chance, fit to be session ids", () => {
    const ids = createIds(new SimClock(), seededRandom(1));
    const id = ids.next("run");
    expect(id).toMatch(/^run_[0-9a-hjkmnp-tv-z]{20}$/);
    expect(parseSessionId(id)).toBe(id);
  });

  it("makes ids that sort by the time of their making", () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 2 ** 42 }), { minLength: 2, maxLength: 20 }), fc.integer(), (times, seed) => {
        const random = seededRandom(seed);
        const at = (startMs: number): string => createIds(new SimClock({ startMs }), random).next("s");
        const ascending = [...new Set(times)].sort((a, b) => a - b);
        const made = ascending.map(at);
        expect([...made].sort()).toEqual(made);
      }),
    );
  });

  it("makes no id twice within one millisecond", () => {
    const ids = createIds(new SimClock(), seededRandom(3));
    const made = Array.from({ length: 20_000 }, () => ids.next("s"));
    expect(new Set(made).size).toBe(made.length);
  });
});

describe("parseSessionId", () => {
  it("lets letters of any script, digits and _ . : @ + - pass", () => {
    for (const id of ["a", "order-17", "tenant:42@eu.west+1", "zákazník_7", "会话", "x".repeat(200), "1.0.3.2"])
      expect(parseSessionId(id)).toBe(id);
  });

  it("refuses anything else, naming what was expected and what came", () => {
    for (const id of ["", "a b", "a/b", "a\n", "x".repeat(201), "a*", "a>", 7, null, undefined, {}]) {
      let caught: unknown;
      try {
        parseSessionId(id);
      } catch (error) {
        caught = error;
      }
      expect(isOrchestraError(caught, "ORCH_BAD_OPTION"), `parseSessionId(${JSON.stringify(id)})`).toBe(true);
      expect((caught as Error).message).toMatch(/^sessionId: expected 1 to 200 letters/);
    }
  });
});

describe("stepIdOf", () => {
  it("gives different steps of a session different ids", () => {
    const part = fc.nat({ max: 30 });
    fc.assert(
      fc.property(fc.tuple(part, part, part), fc.tuple(part, part, part), (one, other) => {
        expect(stepIdOf(...one) === stepIdOf(...other)).toBe(one.join() === other.join());
      }),
    );
    expect(stepIdOf(1, 0, 12)).toBe("1.0.12");
  });
});

describe("stepNumberOf", () => {
  it("gives the number back that stepIdOf took, for the same run and generation alone", () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.nat(),
        fc.nat(),
        fc.nat(),
        fc.nat(),
        (run, generation, step, otherRun, otherGeneration) => {
          const id = stepIdOf(run, generation, step);
          expect(stepNumberOf(id, run, generation)).toBe(step);
          if (otherRun !== run) expect(stepNumberOf(id, otherRun, generation)).toBe(undefined);
          if (otherGeneration !== generation) expect(stepNumberOf(id, run, otherGeneration)).toBe(undefined);
        },
      ),
    );
  });

  it.each(["", "1", "1.0", "1.0.", "1.0.2.3", "1.0.x", "1.0.-2", "a.b.c", "1.0.2>Node"])(
    "knows no number in %j",
    (id) => {
      expect(stepNumberOf(id, 1, 0)).toBe(undefined);
    },
  );
});

describe("isStepUpTo", () => {
  it.each([
    ["2.1.9", true],
    ["1.1.9", true],
    ["2.0.9", true],
    ["3.1.1", false],
    ["2.2.1", false],
    ["x", false],
  ])("says of %s, for the second run in generation 1: %s", (stepId, expected) => {
    expect(isStepUpTo(stepId, 2, 1)).toBe(expected);
  });
});
