// The approximate index: as good as it says, never believed where it disagrees with the entries, and never needed.

import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import nodeModule from "node:module";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { createMemory, type Memory } from "orchestra/memory";
import { ROOT } from "../package/project.ts";
import { temporaryFolder } from "../state/temporary-folder.ts";

/** Paragraphs of this project's own documents: real text, and the same on every machine. */
const PARAGRAPHS = [
  ...new Set(
    readdirSync(join(ROOT, "docs"), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".md"))
      .sort()
      .flatMap((name) => readFileSync(join(ROOT, "docs", name), "utf8").split(/\n\s*\n|\n(?=[-|])/))
      .map((text) => text.trim())
      .filter((text) => text.length > 40),
  ),
];
const ENTRIES = PARAGRAPHS.slice(0, 700).map((value) => ({ value }));
const QUERIES = PARAGRAPHS.slice(-20).map((text) => text.split(" ").slice(0, 12).join(" "));
/** What Node asks where a package is. */
const Module = nodeModule as typeof nodeModule & { _resolveFilename: (name: string, ...rest: unknown[]) => string };
const EXACT_UP_TO = 200;

async function withIndex(folder: string): Promise<Memory> {
  const memory = createMemory({ folder, exactUpTo: EXACT_UP_TO });
  await memory.add(ENTRIES, { scope: "global" });
  await memory.prepare("global");
  return memory;
}

async function idsFound(memory: Memory, query: string, options: object = {}): Promise<string[]> {
  return (await memory.search(query, { scope: "global", mode: "vector", ...options })).map(({ id }) => id);
}

async function agreement(memory: Memory, exact: Memory, options: object = {}): Promise<number> {
  let [found, wanted] = [0, 0];
  for (const query of QUERIES) {
    const near = new Set(await idsFound(memory, query, options));
    const nearest = await idsFound(exact, query, options);
    wanted += nearest.length;
    found += nearest.filter((id) => near.has(id)).length;
  }
  return found / wanted;
}

/** One that looks at every entry. */
async function exactMemory(): Promise<Memory> {
  const memory = createMemory({ exactUpTo: ENTRIES.length });
  await memory.add(ENTRIES, { scope: "global" });
  return memory;
}

const indexed = async (memory: Memory) => (await memory.stats()).scopes[0]?.indexed;
const fileOf = (folder: string, end: string): string => {
  const name = readdirSync(join(folder, "index")).find((one) => one.endsWith(end));
  return join(folder, "index", name as string);
};

// Indexes are built here, which takes its time on a busy machine.
describe("an index", () => {
  it("finds at least 95 of 100 of what is really nearest, among all and among some", async () => {
    expect(ENTRIES.length).toBeGreaterThan(2 * EXACT_UP_TO);
    await using memory = await withIndex(await temporaryFolder());
    await using exact = await exactMemory();
    expect(await indexed(memory)).toBe(ENTRIES.length);
    expect(await agreement(memory, exact)).toBeGreaterThanOrEqual(0.95);
    expect((await memory.stats()).scopes[0]?.recall).toBeGreaterThanOrEqual(0.95);
  });

  it("is not asked where it would find too little", async () => {
    // So much alike that the graph of an index falls apart: at its best it finds half of them.
    const alike = Array.from({ length: 1_000 }, (_, i) => ({
      value: `entry ${i} about topic ${i % 37} and ${(i * 7919) % 1000} words ${Math.sin(i).toString(36)}`,
    }));
    await using memory = createMemory({ exactUpTo: EXACT_UP_TO });
    await using exact = createMemory({ exactUpTo: alike.length });
    for (const each of [memory, exact]) await each.add(alike, { scope: "global" });
    await memory.prepare("global");
    expect((await memory.stats()).scopes[0]).toMatchObject({ indexed: 0, index: "exact" });
    expect((await memory.stats()).scopes[0]?.recall).toBeLessThan(0.95);
    const query = "entry 7 about topic 7";
    expect(await idsFound(memory, query)).toEqual(await idsFound(exact, query));
  });

  it("shows nothing that a filter forbids, nor what was deleted or has come since", async () => {
    await using memory = createMemory({ exactUpTo: EXACT_UP_TO });
    await memory.add(
      ENTRIES.map((entry, i) => ({ ...entry, namespace: i % 2 === 0 ? "even" : "odd" })),
      { scope: "global" },
    );
    await memory.prepare("global");
    expect(await indexed(memory)).toBe(ENTRIES.length);
    for (const query of QUERIES.slice(0, 10)) {
      const found = await memory.search(query, { scope: "global", namespace: "odd" });
      expect(found.length).toBe(10);
      expect(new Set(found.map(({ namespace }) => namespace))).toEqual(new Set(["odd"]));
    }
    const query = QUERIES[0] as string;
    const [best] = await idsFound(memory, query);
    await memory.delete([best as string]);
    expect(await idsFound(memory, query)).not.toContain(best);
    const [added] = await memory.add([{ value: query }], { scope: "global" });
    expect((await idsFound(memory, query))[0]).toBe(added?.id);
  });

  it("is read back, and built anew when a byte of it changed or the page beside it speaks of something else", async () => {
    const folder = await temporaryFolder();
    await (await withIndex(folder)).close();
    const read = async (): Promise<void> => {
      await using memory = createMemory({ folder, exactUpTo: EXACT_UP_TO });
      await memory.prepare("global");
      expect(await indexed(memory)).toBe(ENTRIES.length);
      for (const { value } of ENTRIES.slice(0, 5))
        expect((await memory.search(value, { scope: "global", mode: "vector", topK: 1 }))[0]?.value).toBe(value);
    };
    await read();
    const page = readFileSync(fileOf(folder, ".json"), "utf8");
    const bytes = readFileSync(fileOf(folder, ".hnsw"));

    const flipped = Buffer.from(bytes);
    flipped[Math.floor(flipped.length / 2)] = (flipped[Math.floor(flipped.length / 2)] ?? 0) ^ 4;
    writeFileSync(fileOf(folder, ".hnsw"), flipped);
    await read();
    expect(readFileSync(fileOf(folder, ".hnsw")).equals(flipped)).toBe(false);

    writeFileSync(fileOf(folder, ".hnsw"), bytes.subarray(0, bytes.length / 3));
    await read();
    const { seqs } = JSON.parse(page) as { seqs: number[] };
    const [first, second, ...others] = seqs;
    const repeated = { seqs: [first, first, ...others] };
    const without = { seqs: [0, second, ...others] };
    for (const wrong of [{ dim: 128 }, { memoryId: "another" }, { maxSeq: 9e9 }, repeated, without]) {
      writeFileSync(fileOf(folder, ".json"), JSON.stringify({ ...JSON.parse(page), ...wrong }));
      await read();
      expect(JSON.parse(readFileSync(fileOf(folder, ".json"), "utf8"))).not.toMatchObject(wrong);
    }
    rmSync(join(folder, "index"), { recursive: true });
    await read();
  });

  it("keeps up with entries that come and go, also over a restart", async () => {
    const folder = await temporaryFolder();
    const later = Array.from({ length: 300 }, (_, i) => ({ value: `${PARAGRAPHS[i]} — and ${PARAGRAPHS[i + 300]}` }));
    {
      await using memory = await withIndex(folder);
      await memory.add(later, { scope: "global" });
      await memory.deleteScope("global", { namespace: "none" });
      const [gone] = await idsFound(memory, QUERIES[1] as string);
      await memory.delete([gone as string]);
      await memory.prepare("global");
      expect(await indexed(memory)).toBe(ENTRIES.length + later.length);
    }
    await using memory = createMemory({ folder, exactUpTo: EXACT_UP_TO });
    await memory.prepare("global");
    const [stats] = (await memory.stats()).scopes;
    expect(stats).toMatchObject({ index: "hnsw", entries: ENTRIES.length + later.length - 1 });
    expect((await memory.search(later[5]?.value as string, { scope: "global", mode: "vector" }))[0]?.value).toBe(
      later[5]?.value,
    );
  });

  it("is done without where hnswlib-node does not load", async () => {
    const real = Module._resolveFilename;
    onTestFinished(() => void (Module._resolveFilename = real));
    Module._resolveFilename = (name, ...rest) => {
      if (name === "hnswlib-node") throw Object.assign(new Error("Cannot find module"), { code: "MODULE_NOT_FOUND" });
      return real(name, ...rest);
    };
    await using memory = await withIndex(await temporaryFolder());
    expect(await memory.stats()).toMatchObject({ hnsw: false, scopes: [{ index: "exact", indexed: 0 }] });
    expect((await memory.search(ENTRIES[3]?.value as string, { scope: "global" }))[0]?.value).toBe(ENTRIES[3]?.value);
  });

  it("is built in a program that is given as text, whose threads would inherit what text is", () => {
    const program = `
      import { createJiti } from "jiti";
      const { createMemory } = await createJiti(import.meta.url).import("./src/memory/index.ts");
      const memory = createMemory({ exactUpTo: 5 });
      await memory.add(Array.from({ length: 20 }, (_, i) => ({ value: "entry " + i })), { scope: "global" });
      await memory.prepare("global");
      console.log((await memory.stats()).hnsw);
      await memory.close();`;
    const args = ["--input-type=module", "--eval", program];
    expect(execFileSync(process.execPath, args, { cwd: ROOT, encoding: "utf8" })).toBe("true\n");
  });

  it("leaves no file with vectors of an entry that was deleted", async () => {
    const folder = await temporaryFolder();
    await using memory = await withIndex(folder);
    expect(readdirSync(join(folder, "index")).length).toBe(2);
    const [first] = await idsFound(memory, QUERIES[0] as string);
    await memory.delete([first as string]);
    expect(readdirSync(join(folder, "index"))).toEqual([]);
  });
});
