// npm run demo:fix, as a process of its own; the package is taken from its sources, so that no build is needed.

import { spawn } from "node:child_process";
import { readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { startModelServer } from "../support/model-server.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const MAIN = "examples/fix-until-green/main.ts";

async function fix(...args: readonly string[]): Promise<{ code: number | null; out: string }> {
  const alias = {
    "orchestra/agents": join(ROOT, "src/agents/index.ts"),
    "orchestra/orchestrator": join(ROOT, "src/orchestrator/index.ts"),
    orchestra: join(ROOT, "src/index.ts"),
  };
  const child = spawn(process.execPath, ["--import", "jiti/register", MAIN, ...args], {
    cwd: ROOT,
    env: { ...process.env, JITI_ALIAS: JSON.stringify(alias) },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let out = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
  return new Promise((resolve, reject) => child.once("error", reject).once("close", (code) => resolve({ code, out })));
}

describe("fix until green", () => {
  it("mends the project in three iterations, without a model", async () => {
    const { code, out } = await fix();
    expect(out.split("\n").map((line) => line.replace(/^ {2}[0-9a-f]{7} /, "  SHA "))).toEqual([
      ...["iteration 1", "  paths: passed", "  tests: failed"],
      ...["    not ok 1 - money shows both digits", "    not ok 2 - money groups thousands"],
      ...["iteration 2", "  paths: passed", "  tests: failed", "    not ok 2 - money groups thousands"],
      ...["iteration 3", "  paths: passed", "  tests: passed"],
      "  SHA take the words out of the title, and join them",
      "  SHA always show both digits",
      "  SHA group thousands, too",
      "converged after 3 iterations; last: src/money.js: group thousands, too",
      "",
    ]);
    expect(code).toBe(0);
  });

  it("gives up after the iterations it may take", async () => {
    const { code, out } = await fix("--iterations", "2");
    expect(out).toMatch(/budget_exhausted after 2 iterations/);
    expect(code).toBe(1);
  });

  it("mends it with a model that reads and writes files", async () => {
    const slug = 'export const slug = (title) => title.toLowerCase().match(/[a-z0-9]+/g).join("-");\n';
    const money =
      'export const money = (cents) => (cents / 100).toLocaleString("en-US", { minimumFractionDigits: 2 });\n';
    await using server = await startModelServer([
      { toolCalls: [{ name: "read_file", input: { path: "src/slug.js" } }] },
      { toolCalls: [{ name: "write_file", input: { path: "src/slug.js", text: slug } }] },
      { text: "Joined the words of slugs." },
      { toolCalls: [{ name: "write_file", input: { path: "src/money.js", text: money } }] },
      { text: "Grouped thousands." },
    ]);
    const { code, out } = await fix("--model", "small", "--base-url", server.url, "--keep");
    const [, project = ""] = /the project is in (.+)/.exec(out) ?? [];
    try {
      expect(out).toContain("converged after 2 iterations; last: src/money.js: Grouped thousands.");
      expect(code).toBe(0);
      expect(await readFile(join(project, "src/slug.js"), "utf8")).toBe(slug);
      // The second iteration was told what failed in the first.
      expect(JSON.stringify(server.requests[3]?.body.messages)).toContain("money groups thousands");
    } finally {
      await rm(dirname(project), { recursive: true, force: true });
    }
  });
});
