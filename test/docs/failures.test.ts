// docs/failures.md names tests by file and name: each of them is there.

import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const page = readFileSync(`${root}/docs/failures.md`, "utf8");
const rows = page.split("\n").filter((line) => /^\| \d+ \|/.test(line));

/** `file` "name"; "another name" of the same file comes with the file again. */
function testsOf(row: string): { readonly file: string; readonly name: string }[] {
  return [...row.matchAll(/`([^`]+\.ts)` "([^"]+)"/g)].map(([, file = "", name = ""]) => ({ file, name }));
}

/** Where a test or a group of that name begins. */
function isIn(source: string, name: string): boolean {
  const at = source.indexOf(`"${name}"`);
  return at > 0 && /\b(it|describe|test)(\.each\((.|\n)*?\))?\(\s*$/.test(source.slice(Math.max(0, at - 300), at));
}

describe("docs/failures.md", () => {
  it("numbers its failures, and has a test or the word that there is none for each", () => {
    expect(rows.map((row) => Number(/^\| (\d+) /.exec(row)?.[1]))).toEqual(Array.from({ length: 37 }, (_, i) => i + 1));
    for (const row of rows) expect(testsOf(row).length > 0 || row.includes("none yet"), row).toBe(true);
  });

  it.each(rows.flatMap((row) => testsOf(row).map(({ file, name }) => [file, name])))("finds %s, %s", (file, name) => {
    expect(existsSync(`${root}/${file}`), file).toBe(true);
    expect(isIn(readFileSync(`${root}/${file}`, "utf8"), name)).toBe(true);
  });
});
