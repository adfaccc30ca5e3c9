import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { checkCitation } from "../../../examples/research-desk/documents/citations.ts";
import { plainWords, sentencesOf, splitPassages } from "../../../examples/research-desk/documents/passages.ts";

const DOCUMENT = [
  "# Store", //                                                            1
  "", //                                                                   2
  "It keeps [values](https://example.org/values). Writes are", //          3
  "`atomic`, never torn.", //                                              4
  "", //                                                                   5
  "- one option", //                                                       6
  "- another option", //                                                   7
  "", //                                                                   8
  "```js", //                                                              9
  "put('a')", //                                                          10
  "```", //                                                               11
  "## Limits", //                                                         12
  "> Values above 1 MiB are **refused**.", //                             13
  "| a | b |", //                                                         14
];

describe("passages", () => {
  it("knows the lines, the heading and the kind of each", () => {
    expect(splitPassages(DOCUMENT).map(({ start, end, heading, kind }) => [start, end, heading, kind])).toEqual([
      [3, 4, "Store", "prose"],
      [6, 6, "Store", "prose"],
      [7, 7, "Store", "prose"],
      [10, 10, "Store", "code"],
      [13, 13, "Limits", "prose"],
      [14, 14, "Limits", "table"],
    ]);
  });

  it("splits sentences across lines and shows them without markup", () => {
    const sentences = splitPassages(DOCUMENT)
      .filter(({ kind }) => kind === "prose")
      .flatMap(sentencesOf);
    expect(sentences).toEqual([
      { start: 3, end: 3, text: "It keeps values." },
      { start: 3, end: 4, text: "Writes are atomic, never torn." },
      { start: 6, end: 6, text: "one option" },
      { start: 7, end: 7, text: "another option" },
      { start: 13, end: 13, text: "Values above 1 MiB are refused." },
    ]);
  });

  it("leaves footnote and alert marks out of the words", () => {
    expect(plainWords("[!NOTE] It is **fast**[^bench], see ![logo](a.png) [the [inner] page](b(c).md).")).toBe(
      "It is fast, see the [inner] page.",
    );
  });

  it("covers every line of plain text once and in order", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom("", "some words here", "- item", "# Title", "more text. And more"), { maxLength: 60 }),
        (lines) => {
          const covered = splitPassages(lines).flatMap(({ start, end }) =>
            Array.from({ length: end - start + 1 }, (_, i) => start + i),
          );
          const expected = lines.flatMap((line, i) => (line === "" || line.startsWith("#") ? [] : [i + 1]));
          expect(covered).toEqual(expected);
        },
      ),
    );
  });
});

describe("citation check", () => {
  const cite = (quote: string, start = 3, end = 4) => checkCitation({ path: "README.md", start, end, quote }, DOCUMENT);

  it("accepts the words that stand there, whatever their markup and line breaks", () => {
    expect(cite("Writes are atomic, never torn.")).toEqual({ ok: true });
    expect(cite("Writes are `atomic`, never torn.")).toEqual({ ok: true });
    expect(cite("Values above 1 MiB are refused.", 13, 13)).toEqual({ ok: true });
  });

  it("refuses a forged quote and says what is missing", () => {
    expect(cite("Writes are atomic, always torn.")).toEqual({
      ok: false,
      reason: expect.stringContaining("README.md:3-4: the cited lines do not say “Writes are atomic, always torn.”"),
    });
  });

  it("refuses a quote with words left out, one from other lines, and an empty one", () => {
    expect(cite("Writes are never torn.").ok).toBe(false);
    expect(cite("Values above 1 MiB are refused.").ok).toBe(false);
    expect(cite(" ** ").ok).toBe(false);
  });

  it("refuses lines and documents that do not exist", () => {
    expect(cite("Writes", 3, 99)).toEqual({
      ok: false,
      reason: expect.stringContaining("the document has lines 1 to 14"),
    });
    expect(cite("Writes", 4, 3).ok).toBe(false);
    expect(checkCitation({ path: "gone.md", start: 1, end: 1, quote: "x" }, undefined)).toEqual({
      ok: false,
      reason: "gone.md:1-1: no such document",
    });
  });

  it("accepts every sentence the splitter finds", () => {
    const words = fc.constantFrom(
      "The",
      "log",
      "**keeps**",
      "[it](x.md)",
      "`sync`",
      "whole.",
      "Never",
      "torn!",
      "\n",
      "\n> ",
      "  ",
    );
    fc.assert(
      fc.property(fc.array(words, { maxLength: 40 }), (parts) => {
        const lines = parts.join(" ").split("\n");
        for (const { start, end, text } of splitPassages(lines)
          .filter(({ kind }) => kind === "prose")
          .flatMap(sentencesOf)) {
          expect(checkCitation({ path: "a.md", start, end, quote: text }, lines)).toEqual({ ok: true });
        }
      }),
    );
  });
});
