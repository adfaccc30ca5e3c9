import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { linksOf } from "../docs/markdown.ts";
import { createProject, ensureBuilt, ROOT } from "./project.ts";

const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
  readonly bin: { readonly orchestra: string };
  readonly dependencies: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;
};

const SOMETIMES_NEEDED = [
  "@a2a-js",
  "@ai-sdk",
  "@marcbachmann/cel-js",
  "@nats-io",
  "@opentelemetry",
  "ai",
  "classic-level",
  "commander",
  "hnswlib-node",
  "jiti",
  "level",
  "msgpackr-extract",
  "nats",
  "pino",
  "prom-client",
  "xstate",
  "yaml",
  "zod",
];

function packedFiles(): string[] {
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  const text = execFileSync(npm, ["pack", "--dry-run", "--json", "--ignore-scripts", "--loglevel=silent"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  const [packed] = JSON.parse(text) as [{ readonly files: readonly { readonly path: string }[] }];
  return packed.files.map(({ path }) => path);
}

describe("the package", () => {
  beforeAll(ensureBuilt);

  it("holds every file its manifest points to, the licence and the list of errors, and no sources or tests", () => {
    const files = packedFiles();
    const pointedTo = Object.values(manifest.exports)
      .flatMap((target) => (typeof target === "string" ? [target] : [target.types, target.default]))
      .concat(manifest.bin.orchestra)
      .map((path) => path.replace(/^\.\//, ""));
    expect(files).toEqual(expect.arrayContaining([...pointedTo, "LICENSE", "README.md", "docs/errors.md"]));
    expect(files.filter((path) => /^(src|test|bench|scripts|examples)\/|(?<!\.d)\.ts$/.test(path))).toEqual([]);
  });

  it("brings the pages for coding agents, and every page they lead to", () => {
    const files = packedFiles();
    expect(files).toEqual(expect.arrayContaining(["AGENTS.md", "llms.txt"]));
    const linked = ["AGENTS.md", "llms.txt"]
      .flatMap((page) => linksOf(readFileSync(join(ROOT, page), "utf8")))
      .map((link) => link.replace(/#.*$/, ""));
    expect(linked.filter((path) => !/^[a-z]+:/.test(path) && !files.includes(path))).toEqual([]);
  });

  it("brings every page its README leads to, but for what the README says is left out", () => {
    const files = packedFiles();
    const links = linksOf(readFileSync(join(ROOT, "README.md"), "utf8")).map((link) => link.replace(/#.*$/, ""));
    const missing = links.filter((path) => path !== "" && !/^[a-z]+:/.test(path) && !files.includes(path));
    expect(missing.filter((path) => !/^(test|examples|bench)(\/|$)/.test(path))).toEqual([]);
    expect(readFileSync(join(ROOT, "README.md"), "utf8")).toContain("which the package leaves out");
  });

  it("has a program to start that names its interpreter", () => {
    expect(readFileSync(join(ROOT, manifest.bin.orchestra), "utf8")).toMatch(/^#!\/usr\/bin\/env node\n/);
  });

  it("says how to install what its user does without, when that is needed", async () => {
    const project = createProject();
    try {
      // As installed by npm, without the packages that are optional: a link would find those of this repository.
      const installed = join(project.folder, "node_modules/orchestra");
      rmSync(installed);
      for (const path of ["dist", "package.json"]) cpSync(join(ROOT, path), join(installed, path), { recursive: true });
      for (const name of Object.keys(manifest.dependencies)) {
        mkdirSync(dirname(join(project.folder, "node_modules", name)), { recursive: true });
        symlinkSync(join(ROOT, "node_modules", name), join(project.folder, "node_modules", name), "junction");
      }
      const code = `
        import { MetricsCollector } from "orchestra";
        await new MetricsCollector().prometheus().catch(({ code, details }) => console.log(code, details.install));`;
      expect(await project.run(code, { name: "main.mjs" })).toMatchObject({
        exitCode: 0,
        stdout: "ORCH_PACKAGE_MISSING npm install prom-client\n",
      });
    } finally {
      project.remove();
    }
  });

  it.each([
    "orchestra",
    ...["agents", "memory", "orchestration", "orchestrator", "telemetry", "testing"].map((name) => `orchestra/${name}`),
  ])("imports %s without a side effect, and lets the process end", async (name) => {
    const project = createProject();
    try {
      const code = `
        const before = new Set(Object.getOwnPropertyNames(globalThis));
        await import("${name}");
        console.log(JSON.stringify({
          globals: Object.getOwnPropertyNames(globalThis).filter((name) => !before.has(name) && !name.startsWith("__zod")),
          open: process.getActiveResourcesInfo().filter((kind) => !/^(Pipe|TTY|File)|Req/.test(kind)),
        }));`;
      const { exitCode, stdout, stderr } = await project.run(code, { name: "main.mjs" });
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
      expect(JSON.parse(stdout)).toEqual({ globals: [], open: [] });
      expect(readdirSync(project.folder).sort()).toEqual(["main.mjs", "node_modules", "package.json"]);
    } finally {
      project.remove();
    }
  });

  it.each([
    ["orchestra", ["msgpackr"]],
    ["orchestra/agents", ["msgpackr"]],
    ["orchestra/memory", ["msgpackr"]],
    ["orchestra/orchestrator", ["msgpackr"]],
    ["orchestra/telemetry", []],
    ["orchestra/testing", ["msgpackr"]],
  ])("loads nothing by importing %s that a program may not need", async (name, always) => {
    const project = createProject();
    try {
      const { exitCode, stdout, stderr } = await project.run(`await import("${name}");`, {
        name: "main.mjs",
        env: { NODE_DEBUG: "esm,module" },
      });
      expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: "" });
      const loaded = (packageName: string) => stderr.includes(`/node_modules/${packageName}/`);
      expect(["msgpackr", ...SOMETIMES_NEEDED].filter(loaded)).toEqual(always);
    } finally {
      project.remove();
    }
  });
});
