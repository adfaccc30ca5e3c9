import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { TermIndex } from "../../../examples/research-desk/documents/ranking.ts";

describe("BM25", () => {
  const index = new TermIndex([
    ["cat", "dog"],
    ["cat", "cat", "bird", "bird"],
    ["fish", "fish", "fish"],
  ]);

  it("gives the scores of a calculation by hand", () => {
    // N = 3, df(cat) = 2: idf = ln(1 + 1.5/2.5) = 0.470004; mean length 3.
    // Item 0: 1·2.2 / (1 + 1.2·(0.25 + 0.75·2/3)) = 2.2/1.9; item 1: 2·2.2 / (2 + 1.2·(0.25 + 0.75·4/3)) = 4.4/3.5.
    const [first, second, ...rest] = index.rank(new Map([["cat", 1]]));
    expect(rest).toEqual([]);
    expect(first).toEqual({ item: 1, score: expect.closeTo((0.470004 * 4.4) / 3.5, 5) });
    expect(second).toEqual({ item: 0, score: expect.closeTo((0.470004 * 2.2) / 1.9, 5) });
  });

  it("prefers the rare term, and heeds the weights", () => {
    expect(index.idf("fish")).toBeGreaterThan(index.idf("cat"));
    expect(
      index.rank(
        new Map([
          ["cat", 1],
          ["fish", 1],
        ]),
      )[0]?.item,
    ).toBe(2);
    expect(
      index.rank(
        new Map([
          ["cat", 1],
          ["fish", 0.1],
        ]),
      )[0]?.item,
    ).toBe(1);
  });

  it("finds nothing for an unknown term and in an empty index", () => {
    expect(index.rank(new Map([["zebra", 1]]))).toEqual([]);
    expect(new TermIndex([]).rank(new Map([["cat", 1]]))).toEqual([]);
  });

  it("returns exactly the items that have a term of the query, best first", () => {
    const term = fc.constantFrom("a", "b", "c", "d");
    fc.assert(
      fc.property(
        fc.array(fc.array(term, { maxLength: 6 }), { maxLength: 12 }),
        fc.uniqueArray(term, { minLength: 1 }),
        (texts, query) => {
          const hits = new TermIndex(texts).rank(new Map(query.map((one) => [one, 1])));
          const expected = texts.flatMap((text, i) => (text.some((one) => query.includes(one)) ? [i] : []));
          expect(hits.map(({ item }) => item).sort((a, b) => a - b)).toEqual(expected);
          for (const [i, { score }] of hits.entries())
            expect(score).toBeLessThanOrEqual(hits[i - 1]?.score ?? Infinity);
        },
      ),
    );
  });
});
