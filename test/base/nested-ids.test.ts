import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseSessionId, stepIdOf } from "../../src/base/ids.ts";
import { isFromUpTo, nestedPrefix, nestedSessionId, renameNested, requestHash } from "../../src/base/nested-ids.ts";

const parentId = fc.string({ unit: fc.constantFrom(..."ab1.:@é𝒳-"), minLength: 1, maxLength: 190 });
const number = fc.nat({ max: 1_000_000 });
const request = fc.uint8Array().map(requestHash);
const k = fc.integer({ min: 1, max: 999 });

describe("the name of a nested session", () => {
  it("is a session id however long that of its parent is, and begins as all names nested in it do", () => {
    fc.assert(
      fc.property(parentId, number, number, number, request, k, (parent, run, generation, step, hash, nth) => {
        const name = nestedSessionId(parent, stepIdOf(run, generation, step), hash, nth);
        expect(parseSessionId(name)).toBe(name);
        expect(name.startsWith(nestedPrefix(parent))).toBe(true);
        expect(isFromUpTo(name, parent, { run, generation })).toBe(true);
        expect(isFromUpTo(name, parent, { run: run - 1, generation })).toBe(false);
        expect(isFromUpTo(name, parent, { run: Infinity, generation: generation - 1 })).toBe(false);
      }),
    );
  });

  it("follows its step to another name, and back", () => {
    fc.assert(
      fc.property(parentId, parentId, number, number, request, k, (a, b, step, generation, hash, nth) => {
        const from = { sessionId: a, stepId: stepIdOf(1, generation, step) };
        const to = { sessionId: b, stepId: stepIdOf(1, generation + 1, step) };
        const name = nestedSessionId(a, from.stepId, hash, nth);
        const moved = renameNested(`${name}/q1.0.1`, from, to);
        expect(moved).toBe(`${nestedSessionId(b, to.stepId, hash, nth)}/q1.0.1`);
        expect(renameNested(moved, to, from)).toBe(`${name}/q1.0.1`);
      }),
    );
  });
});
