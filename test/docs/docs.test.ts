// Every block marked `ts run` is a program of its own: it runs in a fresh folder, against the package as built, and must
// exit 0. A block marked `text prints` right after it is what it prints, to the letter. What a page has its reader write
// and type (story.ts) happens in one folder. On the pages for users no block is left out: what is not run is a line that
// the command line knows.

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { createProject, ensureBuilt, ROOT } from "../package/project.ts";
import { runCli } from "../../src/cli/program.ts";
import { processIo } from "../../src/cli/io.ts";
import { commandsOf, mentionedIn, problemOf, typedIn } from "./command-lines.ts";
import { anchorsOf, blocksOf, linksOf } from "./markdown.ts";
import { fileOf, isPrinted, isProgram, isTyped, storyOf } from "./story.ts";

/** What the pages have their reader install beside Orchestra. */
const PACKAGES = [
  "zod",
  "ai",
  "@ai-sdk/openai-compatible",
  "@modelcontextprotocol/client",
  "@modelcontextprotocol/server",
  "@opentelemetry/api",
  "@opentelemetry/sdk-trace-base",
];

const inFolder = (folder: string): string[] =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" }).map((path) => `${folder}/${path}`);

const pages = [...readdirSync(ROOT), ...inFolder("docs"), ...inFolder("examples"), "bench/README.md"]
  .filter((path) => path.endsWith(".md") && existsSync(join(ROOT, path)))
  .map((path) => ({ path, text: readFileSync(join(ROOT, path), "utf8") }));

const programs = pages.flatMap(({ path, text }) => {
  const blocks = blocksOf(text);
  return blocks.flatMap((block, i) => {
    if (!isProgram(block)) return [];
    const next = blocks[i + 1];
    const prints = next !== undefined && isPrinted(next) ? next.code : undefined;
    return [{ place: `${path}:${block.line}`, code: block.code, prints }];
  });
});

describe("a program in the documents", () => {
  beforeAll(ensureBuilt);

  it.concurrent.each(programs)("runs: $place", async ({ code, prints }) => {
    const project = createProject(PACKAGES);
    try {
      const { exitCode, stdout, stderr } = await project.run(code);
      expect({ exitCode, stderr: exitCode === 0 ? "" : stderr }).toEqual({ exitCode: 0, stderr: "" });
      if (prints !== undefined) expect(stdout).toBe(prints);
    } finally {
      project.remove();
    }
  });
});

describe("the programs in the documents", () => {
  beforeAll(ensureBuilt);

  it("compile as strict TypeScript, by the types of the package", async () => {
    const project = createProject(PACKAGES);
    try {
      const sources = pages.flatMap(({ path, text }) =>
        blocksOf(text)
          .filter((block) => isProgram(block) || (block.info[0] === "ts" && fileOf(block) !== undefined))
          .map(({ line, code }) => ({ name: `${path.replace(/\W/g, "-")}-line-${line}.ts`, code })),
      );
      for (const { name, code } of sources) writeFileSync(join(project.folder, name), code);
      const problems = await project.compile(sources.map(({ name }) => name));
      expect(problems).toBe("");
    } finally {
      project.remove();
    }
  });
});

const stories = pages
  .map(({ path, text }) => ({ path, acts: storyOf(blocksOf(text)) }))
  .filter(({ acts }) => acts.length > 0);

describe("what a page has its reader do", () => {
  beforeAll(ensureBuilt);

  it.concurrent.each(stories)("comes out as it says: $path", async ({ path, acts }) => {
    const project = createProject(PACKAGES);
    try {
      for (const act of acts) {
        const place = `${path}:${act.line}`;
        if (act.kind === "write") writeFileSync(join(project.folder, act.name), act.code);
        else if (act.kind === "draw") {
          let drawing = "";
          const io = { ...processIo(), cwd: project.folder, out: (line: string) => (drawing += line) };
          await runCli(["graph", act.name], io);
          expect({ place, drawing: act.drawing }).toEqual({ place, drawing });
        } else {
          const { exitCode, stdout, stderr } = await project.type(act.script);
          expect({ place, exitCode, stderr: exitCode === 0 ? "" : stderr }).toEqual({ place, exitCode: 0, stderr: "" });
          if (act.prints !== undefined) expect({ place, stdout }).toEqual({ place, stdout: act.prints });
        }
      }
    } finally {
      project.remove();
    }
  });
});

describe.each(pages.filter(({ path }) => /^(?:README|AGENTS)\.md$|^docs\/guides\//.test(path)))(
  "every block of $path",
  ({ text }) => {
    const blocks = blocksOf(text);

    it("is run, or printed by what is run, or typed", () => {
      const idle = blocks.filter((block, i) => {
        const before = blocks[i - 1];
        if (isProgram(block) || isTyped(block) || fileOf(block) !== undefined || block.info[0] === "sh") return false;
        const drawsFile = block.info[0] === "mermaid" && before !== undefined && fileOf(before) !== undefined;
        if (isPrinted(block)) return !drawsFile && (before === undefined || !(isProgram(before) || isTyped(before)));
        return block.info[0] !== "text" || typedIn(block.code) === "";
      });
      expect(idle.map(({ line, info }) => `line ${line}: ${info.join(" ")}`)).toEqual([]);
    });

    it("asks for commands that there are", async () => {
      const typed = blocks.map(({ info, code }) => (info[0] === "sh" ? code : info[0] === "text" ? typedIn(code) : ""));
      const problems = await Promise.all([
        ...commandsOf(typed.join("\n")).map((words) => problemOf(words)),
        ...mentionedIn(text).map((words) => problemOf(words, { mayLeaveOut: true })),
      ]);
      expect(problems.filter((problem) => problem !== undefined)).toEqual([]);
    });
  },
);

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
