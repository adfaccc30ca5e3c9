// What is said, and done, where the optional package `hnswlib-node` is not there or does not load: an installation without it.

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ensureBuilt, ROOT } from "../package/project.ts";

const PACKAGE = "hnswlib-node";
let folder = "";

beforeAll(() => {
  ensureBuilt();
  folder = mkdtempSync(join(tmpdir(), "orchestra-without-"));
  for (const name of ["dist", "package.json"]) cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  const installed = join(folder, "node_modules");
  mkdirSync(installed);
  for (const name of readdirSync(join(ROOT, "node_modules")))
    if (name !== PACKAGE && !name.startsWith(".")) symlinkSync(join(ROOT, "node_modules", name), join(installed, name));
  writeFileSync(
    join(folder, "search.mjs"),
    `import { createMemory } from "./dist/memory/index.js";
     const memory = createMemory({ exactUpTo: 2 });
     await memory.add(["otters", "badgers", "foxes"].map((value) => ({ value })), { scope: "global" });
     await memory.prepare("global");
     const [found] = await memory.search("badgers", { scope: "global" });
     const { hnsw, scopes } = await memory.stats();
     console.log(JSON.stringify({ found: found.value, hnsw, index: scopes[0].index }));`,
  );
}, 300_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(...args: readonly string[]): string {
  return execFileSync(process.execPath, args, { cwd: folder, encoding: "utf8" });
}

interface Finding {
  readonly name: string;
}
function examined(): unknown {
  const { ok, findings } = JSON.parse(run("dist/cli/main.js", "doctor", "--json")) as {
    ok: boolean;
    findings: Finding[];
  };
  return { ok, ...findings.find(({ name }) => name === PACKAGE) };
}

it("doctor says that it is not installed and that search is exact, and it is", () => {
  expect(examined()).toMatchObject({
    ok: true,
    verdict: "note",
    found: expect.stringMatching(/^not installed; memories search exactly without it/),
    cure: expect.stringContaining("npm install hnswlib-node"),
  });
  expect(JSON.parse(run("search.mjs"))).toEqual({ found: "badgers", hnsw: false, index: "exact" });
});

it("doctor says why it does not load, where it was not built for this machine, and search is exact", () => {
  const broken = join(folder, "node_modules", PACKAGE);
  mkdirSync(broken);
  writeFileSync(join(broken, "package.json"), JSON.stringify({ name: PACKAGE, version: "3.0.0", main: "index.js" }));
  writeFileSync(
    join(broken, "index.js"),
    `throw new Error("Could not locate the bindings file.\\nTried: build/Release");`,
  );
  expect(examined()).toMatchObject({
    ok: true,
    verdict: "note",
    found: expect.stringMatching(/^does not load: Could not locate the bindings file\.; memories search exactly/),
    cure: expect.stringContaining("npm rebuild hnswlib-node"),
  });
  expect(JSON.parse(run("search.mjs"))).toEqual({ found: "badgers", hnsw: false, index: "exact" });
});
