// What runs remember, looked into and kept in order from the command line.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { createMemory, type Embedder, type Memory, type MemoryEntry, type MemorySearchResult } from "orchestra/memory";
import { MAIN, place } from "./command-line.ts";
import { ensureBuilt } from "../package/project.ts";

beforeAll(ensureBuilt);
const at = place();
const folder = (): string => join(at.folder, "memory");
const memory = (...args: string[]) => at.call(["orchestrate", "memory", ...args]);
const here = ["--memory", "memory"];

/** In the test's folder, closed before the command line looks. */
async function filled(fill: (memory: Memory) => Promise<unknown>, embedder?: Embedder): Promise<void> {
  await using kept = createMemory({ folder: folder(), ...(embedder !== undefined && { embedder }) });
  await fill(kept);
}

const PROVENANCE = { project: "shop", cardId: "card-7", agent: "Coder" };
async function harvest(kept: Memory): Promise<void> {
  await kept.seedMemory("r1", [{ key: "seed", value: "tests run with npm test", namespace: "facts" }]);
  await kept.harvestMemory(
    "r1",
    [
      { key: "patch", value: "retry the upload with jitter", tags: ["net", "fix"] },
      { key: "note", value: { cents: "whole numbers" }, namespace: "facts" },
    ],
    { patch: 0.9, note: 0.2 },
    { provenance: PROVENANCE },
  );
  await kept.add([{ value: "\u001b[31mthe cat sleeps" }], { scope: { sessionId: "chat" } });
}

/** Counts words: another embedder than the one that needs no model. */
const LENGTHS = {
  name: "lengths",
  dimensions: 2,
  embed: async (texts) => texts.map((text) => [1, text.length]),
} satisfies Embedder;
const TEAM = `
  import { createMemory } from "orchestra/memory";
  const embedder = { name: "lengths", dimensions: 2, embed: async (texts) => texts.map((text) => [1, text.length]) };
  export const agents = { Builder: ({ memory }) => memory.map(({ value }) => value).join(", ") };
  export const orchestrator = { memory: createMemory({ folder: "FOLDER", embedder }) };
`;
const team = (): string => at.file("team.mjs", TEAM.replace("FOLDER", folder()));

describe("orchestrate memory search", () => {
  it("shows what fits best, how well, and where it comes from", async () => {
    await filled(harvest);
    const { code, out } = await memory("search", "retry jitter", "--project", "shop", ...here);
    expect(code).toBe(0);
    const [first = "", second = "", third = "", fourth = ""] = out.split("\n");
    expect(first).toMatch(/^1 {2}\d\.\d{3} {2}retry the upload with jitter$/);
    expect(second.trim()).toBe("r1/patch · in global · namespace default · tags net, fix");
    expect(third).toMatch(
      /harvested 20\S+Z · quality 0\.9 · from project shop, run r1, card card-7, agent Coder · similarity 0\.\d{3}$/,
    );
    expect(fourth).toMatch(/^ +id [0-9a-f]{32}$/);
  });

  it("looks in the scope that is named and in no other, and narrows by namespace, tag, quality and number", async () => {
    await filled(harvest);
    const keys = async (...args: string[]): Promise<string[]> => {
      const { code, out } = await memory("search", "tests retry whole numbers cat", "--json", ...here, ...args);
      expect(code).toBe(0);
      return (JSON.parse(out) as MemorySearchResult[]).map(({ key }) => key).toSorted();
    };
    expect(await keys("--run", "r1")).toEqual(["r1/note", "r1/patch", "seed"]);
    expect(await keys("--run", "r2")).toEqual([]);
    expect(await keys("--global")).toEqual(["r1/note", "r1/patch"]);
    expect(await keys("--session", "chat")).toHaveLength(1);
    expect(await keys("--run", "r1", "--namespace", "facts")).toEqual(["r1/note", "seed"]);
    expect(await keys("--run", "r1", "--namespace", "facts", "default")).toHaveLength(3);
    expect(await keys("--run", "r1", "--tag", "net", "fix")).toEqual(["r1/patch"]);
    expect(await keys("--global", "--min-quality", "0.5")).toEqual(["r1/patch"]);
    expect(await keys("--global", "--top", "1")).toHaveLength(1);
    expect(await keys("--run", "r1", "--mode", "words", "--diversity", "0.5")).toHaveLength(3);
  });

  it("says what is wrong with what was typed, and makes no folder", async () => {
    const refused = async (text: string, ...args: string[]): Promise<void> =>
      expect(await memory(...args)).toMatchObject({ code: 2, out: "", err: expect.stringContaining(text) });
    await refused("--memory DIR", "search", "x", "--global");
    await refused("there is no memory in", "search", "x", "--global", ...here);
    expect(existsSync(folder())).toBe(false);
    await filled(harvest);
    await refused("--run ID, --session ID, --project NAME and --global", "search", "x", ...here);
    await refused("in one of them", "search", "x", "--global", "--run", "r1", ...here);
    await refused("a whole number from 1", "search", "x", "--global", "--top", "0", ...here);
    await refused("a number from 0 to 1", "search", "x", "--global", "--diversity", "2", ...here);
    await refused("Allowed choices are hybrid, vector, words", "search", "x", "--global", "--mode", "magic", ...here);
    await refused("of one or of the other", "search", "x", "--global", "--file", "team.mjs", ...here);
    at.file("none.mjs", "export const agents = {};");
    await refused(`expected an export "orchestrator" with a memory`, "search", "x", "--global", "--file", "none.mjs");
    expect(await memory("search", "x", "--run", "nobody", ...here)).toMatchObject({
      code: 0,
      err: "nothing in run nobody\n",
    });
  });

  it("says who has the memory when another process has, with code 4", async () => {
    await using kept = createMemory({ folder: folder() });
    await kept.add([{ value: "x" }], { scope: "global" });
    expect(await memory("stats", ...here)).toMatchObject({
      code: 4,
      err: expect.stringContaining("ORCH_STORE_LOCKED"),
    });
  });
});

describe("orchestrate memory list, stats and delete", () => {
  it("list everything or a scope, a line each, without what would steer a terminal", async () => {
    await filled(harvest);
    const { out } = await memory("list", ...here);
    const lines = out.trimEnd().split("\n");
    expect(lines).toHaveLength(4);
    expect(lines[0]).toMatch(/^[0-9a-f]{32} {2}run r1 {2}facts {2}seed {2}tests run with npm test$/);
    expect(lines[3]).toMatch(/ {2}session chat {2}default {2}[0-9a-f]{32} {2} \[31mthe cat sleeps$/);
    const some = await memory("list", "--limit", "2", ...here);
    expect(some.out.trimEnd().split("\n")).toHaveLength(2);
    expect(some.err).toBe("only the first 2 are shown; --limit N shows more\n");
    const entries = JSON.parse((await memory("list", "--global", "--json", ...here)).out) as MemoryEntry[];
    expect(entries.map(({ key, provenance, quality }) => ({ key, provenance, quality }))).toEqual([
      { key: "r1/patch", provenance: { ...PROVENANCE, runId: "r1" }, quality: 0.9 },
      { key: "r1/note", provenance: { ...PROVENANCE, runId: "r1" }, quality: 0.2 },
    ]);
  });

  it("say how much is kept where", async () => {
    await filled(harvest);
    const { out } = await memory("stats", ...here);
    expect(out).toMatch(/^entries +4\non disk +\d.*\nembedder +orchestra:ngrams-1-384 \(384 dimensions\)\n/);
    expect(out).toMatch(/\nrun r1 +1 in facts\nglobal +1 in default, 1 in facts\nsession chat +1 in default\n$/);
    expect(JSON.parse((await memory("stats", "--json", ...here)).out)).toMatchObject({
      entries: 4,
      contents: [{ scope: { runId: "r1" }, entries: 1, namespaces: [{ namespace: "facts", entries: 1 }] }, {}, {}],
    });
  });

  it("delete by ids or by scope, and what is deleted is not found again", async () => {
    await filled(harvest);
    const [first] = JSON.parse((await memory("list", "--global", "--json", ...here)).out) as MemoryEntry[];
    const id = first?.id ?? "";
    expect(await memory("delete", id, ...here)).toMatchObject({ code: 0, out: "deleted 1\n" });
    expect(await memory("delete", id, ...here)).toMatchObject({
      code: 1,
      out: "deleted 0 of 1; there are no others\n",
    });
    expect((await memory("search", "retry", "--global", ...here)).out).not.toContain("retry");
    const scope = ["delete", "--run", "r1", ...here];
    expect(await memory(...scope)).toMatchObject({ code: 2, err: expect.stringContaining("say so with --yes") });
    expect(await memory(...scope, "--namespace", "other", "--yes")).toMatchObject({ out: "deleted 0\n" });
    expect(await memory(...scope, "--yes")).toMatchObject({ code: 0, out: "deleted 1\n" });
    expect(await memory("delete", ...here)).toMatchObject({ code: 2, err: expect.stringContaining("which?") });
    expect(await memory("delete", id, "--global", ...here)).toMatchObject({ code: 2 });
    expect((await memory("list", ...here)).out.trimEnd().split("\n")).toHaveLength(2);
  });
});

/** The last thing an error says, typed into a shell. */
function typed(line: string): { status: number | null; stdout: string; stderr: string } {
  const command = line.replace(/^orchestra /, `'${process.execPath}' '${MAIN}' `);
  return spawnSync("sh", ["-c", command], { cwd: at.folder, encoding: "utf8" });
}

describe("orchestrate memory reembed", () => {
  it("is what the error of another embedder says, to the letter", async () => {
    await filled(harvest, LENGTHS);
    const search = ["search", "retry", "--global", ...here];
    const refused = await memory(...search);
    expect(refused).toMatchObject({ code: 2, err: expect.stringContaining("ORCH_MEMORY_EMBEDDER") });
    expect(refused.err).toContain(`"lengths" (2 dimensions), expected the same, got "orchestra:ngrams-1-384"`);
    const [line = ""] = /orchestra orchestrate memory reembed .*/.exec(refused.err) ?? [];
    expect(typed(line)).toMatchObject({
      status: 0,
      stdout: `made 4 vectors anew by orchestra:ngrams-1-384 (384 dimensions); before: lengths\n`,
    });
    expect((await memory(...search)).out).toContain("retry the upload with jitter");
  });

  it("is said with the file whose embedder it is", async () => {
    await filled(harvest);
    const file = team();
    const refused = await memory("search", "retry", "--global", "--file", file);
    expect(refused).toMatchObject({ code: 2, err: expect.stringContaining(`got "lengths"`) });
    const [line = ""] = /^make all vectors anew with: (.*)$/m.exec(refused.err)?.slice(1) ?? [];
    expect(typed(line)).toMatchObject({ status: 0, stdout: expect.stringContaining("anew by lengths (2 dimensions)") });
    expect(await memory("search", "retry", "--global", "--file", file)).toMatchObject({ code: 0 });
    expect((await memory("stats", ...here)).out).toContain("lengths (2 dimensions)");
  });
});

describe("orchestrate memory seed", () => {
  it("gives a run what it is to know, before it begins and not after", async () => {
    const file = team();
    at.file(
      "seeds.json",
      JSON.stringify([
        { key: "a", value: "prices are in cents" },
        { value: 7, namespace: "n" },
      ]),
    );
    const store = ["--file", file, "--store", "state"];
    expect(await memory("seed", "r1", "@seeds.json", "use make", ...store)).toMatchObject({
      code: 0,
      out: "run r1 is to know 3 entries\n",
    });
    const start = ["orchestrate", "start", file, "--run", "r1", "-t", "Build", "--store", "state", "-q"];
    expect(await at.call(start)).toMatchObject({ code: 0, out: "prices are in cents, 7, use make\n" });
    expect(await memory("seed", "r1", "late", ...store)).toMatchObject({
      code: 2,
      err: expect.stringContaining("has begun"),
    });
    expect(
      await at.call(["orchestrate", "memory", "seed", "r2", "-", ...store], { input: '{"value":1}' }),
    ).toMatchObject({ code: 2, err: expect.stringContaining("expected a JSON array") });
    expect(await memory("seed", "r2", "@nowhere.json", ...store)).toMatchObject({ code: 2 });
    expect(JSON.parse((await memory("list", "--run", "r1", "--json", ...here)).out)).toHaveLength(3);
  });
});

it("orchestrate start hands the team what earlier runs left, as many as --recall says", async () => {
  await filled(harvest, LENGTHS);
  const start = ["orchestrate", "start", team(), "-t", "retry", "-q", "--provenance", "project=shop"];
  expect((await at.call([...start, "--recall", "1"])).out).toMatch(/\w/);
  expect((await at.call([...start, "--recall", "5"])).out).toContain("retry the upload with jitter");
  expect((await at.call(start)).out).toBe("\n");
});
