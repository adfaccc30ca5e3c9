// The pages that say where things are: the README's promises, the list of guides, and llms.txt (https://llmstxt.org).

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ROOT } from "../package/project.ts";
import { linksOf } from "./markdown.ts";

const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");
const guides = readdirSync(join(ROOT, "docs/guides")).filter((name) => name !== "README.md");

describe("the promises of README.md", () => {
  const [, table = ""] = /^## What is promised[^\n]*\n+([\s\S]*?)\n## /m.exec(read("README.md")) ?? [];
  const rows = table.split("\n").filter((line) => line.startsWith("| ") && !/^\| (?:---|promise)/.test(line));
  const heldBy = (row: string): string[] => linksOf(row).filter((path) => /^(?:test|bench)\/.+\.ts$/.test(path));

  it("are each held by a test or benchmark that is there", () => {
    expect(rows.length).toBeGreaterThanOrEqual(7);
    expect(rows.filter((row) => heldBy(row).length === 0)).toEqual([]);
    expect(rows.flatMap(heldBy).filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });

  it("each say what breaks them", () => {
    expect(rows.filter((row) => (row.split(" | ")[2] ?? "").replace(/\|$/, "").trim() === "")).toEqual([]);
  });
});

describe("the list of guides", () => {
  it("names every guide", () => {
    const listed = linksOf(read("docs/guides/README.md"));
    expect(guides.filter((name) => !listed.includes(name))).toEqual([]);
  });
});

describe("llms.txt", () => {
  const text = read("llms.txt");

  it("opens with a title and a summary, and holds nothing but sections of links after the notes", () => {
    expect(text).toMatch(/^# \S.*\n\n> \S.*\n\n/);
    const lines = text.slice(text.indexOf("\n## ") + 1).split("\n");
    expect(lines.filter((line) => !/^(?:## \S.*|- \[[^\]]+\]\([^)]+\): \S.*|)$/.test(line))).toEqual([]);
  });

  it("links to what is there, and to every guide", () => {
    const links = linksOf(text);
    expect(links.filter((path) => !path.startsWith("dist/") && !existsSync(join(ROOT, path)))).toEqual([]);
    expect(guides.filter((name) => !links.includes(`docs/guides/${name}`))).toEqual([]);
  });
});
