import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ARROWS, parseNotation, patternOf } from "../../src/topology/notation.ts";
import { suggest } from "../../src/topology/suggestion.ts";

describe("notation", () => {
  it.each(Object.entries(ARROWS))("reads the arrow of %s", (pattern, arrow) => {
    expect(parseNotation(`A ${arrow} B`)).toEqual({ ok: true, edges: [{ from: "A", to: "B", pattern }] });
    expect(patternOf(arrow)).toBe(pattern);
    expect(patternOf(pattern)).toBe(pattern);
  });

  it("reads a chain as its edges, with different arrows and names of several words", () => {
    expect(parseNotation("Data Reader->B <~> C-1")).toEqual({
      ok: true,
      edges: [
        { from: "Data Reader", to: "B", pattern: "flow" },
        { from: "B", to: "C-1", pattern: "conversation" },
      ],
    });
  });

  it.each([
    ["", "no arrow"],
    ["A", "no arrow"],
    ["A ->", "empty name"],
    ["-> B", "empty name"],
    ["A -> -> B", "empty name"],
    ["A <- B", "no arrow"],
    ["A <-->B", '"<"'],
    ["A > B -> C", '">"'],
  ])("refuses %j, saying what it expected", (text, message) => {
    expect(parseNotation(text)).toMatchObject({
      ok: false,
      message: expect.stringContaining(message),
      hint: expect.stringContaining('"A -> B"'),
    });
  });

  it("reads back whatever it writes", () => {
    const name = fc.stringMatching(/^[A-Za-z][\w .:-]{0,8}[a-z]$/).filter((text) => !text.includes("->"));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom(...Object.values(ARROWS)), name), { minLength: 1, maxLength: 6 }),
        name,
        (rest, first) => {
          const read = parseNotation(first + rest.map(([arrow, next]) => ` ${arrow} ${next}`).join(""));
          expect(read.ok && read.edges.map((edge) => [ARROWS[edge.pattern], edge.to])).toEqual(rest);
        },
      ),
    );
  });
});

describe("suggestions", () => {
  it.each([
    ["Wirter", "Writer"],
    ["writer", "Writer"],
    ["Reserch", "Research"],
  ])("finds what %s was meant to be", (word, meant) => {
    expect(suggest(word, ["Reviewer", "Writer", "Research"])).toBe(`did you mean "${meant}"?`);
  });

  it("stays silent when nothing is near", () => {
    expect(suggest("Zebra", ["Writer", "Reader"])).toBeUndefined();
  });
});
