// Every block marked `ts run` is a program of its own: it runs in a fresh folder, against the package as built, and must
// exit 0. A block marked `text prints` right after it is what it prints, to the letter.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { createProject, ensureBuilt, ROOT } from "../package/project.ts";
import { anchorsOf, blocksOf, linksOf } from "./markdown.ts";

const inFolder = (folder: string): string[] =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" }).map((path) => `${folder}/${path}`);

const pages = [...readdirSync(ROOT), ...inFolder("docs"), ...inFolder("examples"), "bench/README.md"]
  .filter((path) => path.endsWith(".md") && existsSync(join(ROOT, path)))
  .map((path) => ({ path, text: readFileSync(join(ROOT, path), "utf8") }));

const programs = pages.flatMap(({ path, text }) => {
  const blocks = blocksOf(text);
  return blocks.flatMap((block, i) => {
    if (block.info[0] !== "ts" || !block.info.includes("run")) return [];
    const next = blocks[i + 1];
    const prints = next?.info.includes("prints") ? next.code : undefined;
    return [{ place: `${path}:${block.line}`, code: block.code, prints }];
  });
});

describe("a program in the documents", () => {
  beforeAll(ensureBuilt, 120_000);

  it.concurrent.each(programs)("runs: $place", { timeout: 90_000 }, async ({ code, prints }) => {
    const project = createProject(["zod"]);
    try {
      const { exitCode, stdout, stderr } = await project.run(code);
      expect({ exitCode, stderr: exitCode === 0 ? "" : stderr }).toEqual({ exitCode: 0, stderr: "" });
      if (prints !== undefined) expect(stdout).toBe(prints);
    } finally {
      project.remove();
    }
  });
});

describe.each(pages)("$path", ({ path, text }) => {
  it("links only to what is there", () => {
    const broken = linksOf(text).filter((link) => {
      if (/^[a-z]+:/i.test(link)) return false;
      const [file = "", anchor] = link.split("#");
      const target = file === "" ? path : normalize(join(dirname(path), decodeURIComponent(file)));
      if (!existsSync(join(ROOT, target))) return true;
      return anchor !== undefined && target.endsWith(".md")
        ? !anchorsOf(readFileSync(join(ROOT, target), "utf8")).has(anchor)
        : false;
    });
    expect(broken).toEqual([]);
  });
});

describe("README.md", () => {
  it("opens with a program that is run here", () => {
    const code = blocksOf(pages.find(({ path }) => path === "README.md")?.text ?? "").filter(
      ({ info }) => info[0] === "ts",
    );
    expect(code[0]?.info ?? []).toContain("run");
  });
});
