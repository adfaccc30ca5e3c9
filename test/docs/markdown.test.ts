import { describe, expect, it } from "vitest";
import { anchorsOf, blocksOf, linksOf } from "./markdown.ts";

const PAGE = [
  "# A `Title`, with marks",
  'See [one](docs/one.md#here), `[not](a-link.md)` and ![two](<two.png> "x").',
  "```ts run",
  "const a = `[no](link)`;",
  "```",
  "## ORCH_X",
  "## ORCH_X",
  "1. In a list:",
  "   ````",
  "   ```",
  "   ````",
].join("\n");

describe("reading Markdown", () => {
  it("finds fenced blocks with their line and words, indented and nested ones too", () => {
    expect(blocksOf(PAGE)).toEqual([
      { line: 3, info: ["ts", "run"], code: "const a = `[no](link)`;\n" },
      { line: 9, info: [], code: "```\n" },
    ]);
  });

  it("finds links and images, not those in code", () => {
    expect(linksOf(PAGE)).toEqual(["docs/one.md#here", "two.png"]);
  });

  it("makes the anchors of headings as GitHub does", () => {
    expect([...anchorsOf(PAGE)]).toEqual(["a-title-with-marks", "orch_x", "orch_x-1"]);
  });
});
