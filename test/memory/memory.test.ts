// What a memory keeps, and for whom, wherever it keeps it.

import { describe, expect, it, onTestFinished } from "vitest";
import { createMemory, type Memory, type MemoryOptions, type MemoryProvenance } from "orchestra/memory";
import { SimClock } from "orchestra/testing";
import { temporaryFolder } from "../state/temporary-folder.ts";

const provenance: MemoryProvenance = { project: "p1", runId: "r1", cardId: "c1", agent: "Writer" };

async function open(kind: string, options: MemoryOptions = {}): Promise<Memory> {
  const memory = createMemory({ ...(kind === "folder" ? { folder: await temporaryFolder() } : {}), ...options });
  onTestFinished(() => memory.close());
  return memory;
}

const valuesOf = (results: readonly { readonly value: unknown }[]): unknown[] => results.map(({ value }) => value);

describe.each(["folder", "process"])("a memory in a %s", (kind) => {
  it("shows a run only its own entries, and everybody what was harvested into global", async () => {
    const memory = await open(kind);
    await memory.seedMemory("r1", [{ value: "use tabs in this repository" }]);
    await memory.seedMemory("r2", [{ value: "use spaces in this repository" }]);
    await memory.harvestMemory("r1", [{ key: "rule", value: "repository rule: tabs won" }], 0.9, { provenance });

    expect(valuesOf(await memory.searchMemory("repository", { runId: "r2" }))).toEqual([
      "use spaces in this repository",
    ]);
    expect(valuesOf(await memory.searchMemory("repository", "global"))).toEqual(["repository rule: tabs won"]);
    expect(valuesOf(await memory.searchMemory("repository", { project: "p1" }))).toEqual(["repository rule: tabs won"]);
    expect(await memory.searchMemory("repository", { project: "p2" })).toEqual([]);
    expect(new Set(valuesOf(await memory.searchMemory("repository", { runId: "r1" })))).toEqual(
      new Set(["use tabs in this repository", "repository rule: tabs won"]),
    );
  });

  it("never shows one namespace the entries of another, and all of them where none is named", async () => {
    const memory = await open(kind);
    await memory.add([{ value: "the red key opens the door", namespace: "a" }], { scope: "global" });
    await memory.add([{ value: "the blue key opens the door", namespace: "b" }], { scope: "global" });
    await memory.add([{ value: "the plain key opens the door" }], { scope: "global" });
    const find = async (namespace?: string | string[]) =>
      valuesOf(await memory.search("key door", { scope: "global", ...(namespace === undefined ? {} : { namespace }) }));
    expect(await find("a")).toEqual(["the red key opens the door"]);
    expect(await find("nobody")).toEqual([]);
    expect((await find(["a", "b"])).length).toBe(2);
    expect((await find()).length).toBe(3);
  });

  it("gives none for topK 0, all for more than there are, and refuses what is no number of entries", async () => {
    const memory = await open(kind);
    await memory.seedMemory("r1", [{ value: "one" }, { value: "two" }, { value: "three" }]);
    expect(await memory.searchMemory("two", { runId: "r1" }, 0)).toEqual([]);
    expect(valuesOf(await memory.searchMemory("two", { runId: "r1" }, 10_000))[0]).toBe("two");
    expect((await memory.searchMemory("two", { runId: "r1" }, 10_000)).length).toBe(3);
    for (const topK of [-1, 1.5, Number.NaN])
      await expect(memory.searchMemory("two", { runId: "r1" }, topK)).rejects.toMatchObject({
        code: "ORCH_BAD_OPTION",
      });
  });

  it("takes scope and query in either order", async () => {
    const memory = await open(kind);
    await memory.add([{ value: "either way" }], { scope: "global" });
    const reversed = memory.searchMemory as (
      a: unknown,
      b: unknown,
      k?: number,
    ) => Promise<readonly { value: unknown }[]>;
    expect(valuesOf(await reversed.call(memory, { scope: "x" }, "way").catch(() => []))).toEqual([]);
    expect(valuesOf(await reversed.call(memory, "global", "way", 1))).toEqual(["either way"]);
    expect(valuesOf(await memory.searchMemory("way", "global", 1))).toEqual(["either way"]);
  });

  it("names each field an artifact's provenance lacks, and keeps nothing of that harvest", async () => {
    const memory = await open(kind);
    const artifacts = [
      { key: "good", value: "well documented", provenance },
      { key: "bad", value: "of unknown origin", provenance: { project: "p1", agent: "Writer" } },
    ];
    await expect(memory.harvestMemory("r1", artifacts, 1)).rejects.toMatchObject({
      code: "ORCH_MEMORY_PROVENANCE",
      message: expect.stringMatching(/"bad".*cardId/) as string,
      details: { missing: ["cardId"] },
    });
    for (const field of ["project", "cardId", "agent"])
      await expect(
        memory.harvestMemory("r1", [{ key: "k", value: 1, provenance: { ...provenance, [field]: undefined } }], 1),
      ).rejects.toMatchObject({ details: { missing: [field] } });
    expect((await memory.stats()).entries).toBe(0);
  });

  it("harvests once: the same artifacts give the same receipt and no second entry", async () => {
    const memory = await open(kind);
    await memory.recordLearning("r1", "the linter needs Node 20", 0.7, provenance);
    const harvest = () =>
      memory.harvestMemory(
        "r1",
        [{ key: "patch", value: { file: "a.ts" }, text: "patch of a.ts" }],
        { patch: 0.8 },
        { provenance },
      );
    const first = await harvest();
    const entries = (await memory.stats()).entries;
    expect(await harvest()).toEqual(first);
    expect((await memory.stats()).entries).toBe(entries);
    expect(first).toMatchObject({ runId: "r1", entries: [expect.any(String)], learnings: [expect.any(String)] });
  });

  it("gives a later run provenance and quality of what was accepted before", async () => {
    const memory = await open(kind);
    for (const run of ["r1", "r2", "r3"])
      await memory.harvestMemory(run, [{ key: "result", value: `accepted result of ${run}` }], [0.9], {
        provenance: { ...provenance, runId: run },
      });
    const recalled = await memory.searchMemory("accepted result", { project: "p1" }, 3);
    expect(
      recalled.map(({ provenance: from, quality, origin }) => [from.runId, from.agent, quality, origin]).sort(),
    ).toEqual(["r1", "r2", "r3"].map((run) => [run, "Writer", 0.9, "harvested"]));
    expect((await memory.search("accepted result", { scope: "global", minQuality: 0.95 })).length).toBe(0);
  });

  it("keeps the same content once, and replaces what has a key", async () => {
    const memory = await open(kind);
    const [first] = await memory.seedMemory("r1", [{ value: "same" }, { value: "same" }]);
    const [again] = await memory.seedMemory("r1", [{ value: "same" }]);
    expect(again).toEqual(first);
    await memory.add([{ key: "status", value: "open" }], { scope: "global" });
    await memory.add([{ key: "status", value: "closed" }], { scope: "global" });
    expect(valuesOf(await memory.searchMemory("status open closed", "global"))).toEqual(["closed"]);
    expect((await memory.stats()).entries).toBe(2);
  });

  it("forgets what has outlived its time, without being asked for it", async () => {
    const clock = new SimClock();
    const memory = await open(kind, { clock });
    await memory.add([{ value: "short lived", ttlMs: 1_000 }, { value: "for ever" }], { scope: "global" });
    await clock.advance(999);
    expect((await memory.searchMemory("lived", "global")).length).toBe(2);
    await clock.advance(1);
    expect(valuesOf(await memory.searchMemory("lived", "global"))).toEqual(["for ever"]);
    await memory.add([{ value: "another" }], { scope: "global" });
    expect((await memory.stats()).entries).toBe(2);
  });

  it("finds by tags, by words alone and by vectors alone", async () => {
    const memory = await open(kind);
    await memory.add(
      [
        { value: "authentication of users", tags: ["security", "web"] },
        { value: "garbage collection pauses", tags: ["runtime"] },
      ],
      { scope: "global" },
    );
    const find = async (query: string, options: object) =>
      valuesOf(await memory.search(query, { scope: "global", ...options }));
    expect(await find("anything", { tags: ["security", "web"] })).toEqual(["authentication of users"]);
    expect(await find("anything", { tags: ["security", "runtime"] })).toEqual([]);
    expect(await find("collection", { mode: "words" })).toEqual(["garbage collection pauses"]);
    expect(await find("authenticate", { mode: "words" })).toEqual([]);
    expect((await find("authenticate", { mode: "vector" }))[0]).toBe("authentication of users");
  });

  it("takes what differs where that is asked for", async () => {
    const memory = await open(kind);
    await memory.add(
      [
        { value: "deploy failed: disk full on host one" },
        { value: "deploy failed: disk full on host two" },
        { value: "deploy notes for the weekend" },
      ],
      { scope: "global" },
    );
    const plain = await memory.search("deploy failed disk full", { scope: "global", topK: 2 });
    const diverse = await memory.search("deploy failed disk full", { scope: "global", topK: 2, diversity: 0.7 });
    expect(valuesOf(plain)).not.toContain("deploy notes for the weekend");
    expect(valuesOf(diverse)).toContain("deploy notes for the weekend");
  });

  it("deletes a namespace of a scope and nothing else", async () => {
    const memory = await open(kind);
    await memory.seedMemory("r1", [
      { value: "x", namespace: "a" },
      { value: "y", namespace: "b" },
    ]);
    await memory.harvestMemory("r1", [{ key: "k", value: "z", namespace: "a" }], 1, { provenance });
    expect(await memory.deleteScope({ runId: "r1" }, { namespace: "a" })).toBe(1);
    expect(new Set(valuesOf(await memory.searchMemory("x y z", { runId: "r1" })))).toEqual(new Set(["y", "z"]));
  });

  it("gives an agent memory of its session, with where it comes from", async () => {
    const memory = await open(kind);
    const step = {
      sessionId: "s1",
      runId: "run_1",
      stepId: "1.0.1",
      node: "Coder",
      signal: new AbortController().signal,
    };
    const added = await memory.forStep(step).add({ value: "build with make" });
    expect(added.provenance).toEqual({ sessionId: "s1", runId: "run_1", agent: "Coder" });
    const later = memory.forStep({ ...step, runId: "run_2", node: "Reviewer" });
    expect(valuesOf(await later.search("how to build"))).toEqual(["build with make"]);
    expect(await memory.forStep({ ...step, sessionId: "s2" }).search("how to build")).toEqual([]);
    expect(await later.delete(added.id)).toBe(true);
    expect(await later.get(added.id)).toBeNull();
  });

  it("says what is wrong with what it is given, and where", async () => {
    const memory = await open(kind);
    const add = (entry: object) => memory.add([entry as { value: unknown }], { scope: "global" });
    await expect(add({})).rejects.toMatchObject({
      code: "ORCH_BAD_OPTION",
      message: expect.stringContaining("entries[0].value") as string,
    });
    await expect(add({ value: 1, ttl: 5 })).rejects.toMatchObject({
      code: "ORCH_BAD_OPTION",
      message: expect.stringContaining("entries[0].ttl") as string,
    });
    await expect(add({ value: () => 1 })).rejects.toMatchObject({ code: "ORCH_NOT_SERIALIZABLE" });
    await expect(add({ value: "x".repeat(300_000) })).rejects.toMatchObject({ code: "ORCH_PAYLOAD_TOO_LARGE" });
    await expect(memory.search("x", { scope: { run: "r1" } as never })).rejects.toMatchObject({
      code: "ORCH_BAD_OPTION",
    });
    await expect(memory.search("x", { scope: "global", nameSpace: "a" } as never)).rejects.toMatchObject({
      code: "ORCH_BAD_OPTION",
    });
    await memory.close();
    await expect(memory.get("x")).rejects.toMatchObject({ code: "ORCH_CLOSED" });
  });
});

it("keeps two memories of one process apart", async () => {
  const [a, b] = [await open("process"), await open("process")];
  await a.add([{ value: "only here" }], { scope: "global" });
  expect(await b.searchMemory("only here", "global")).toEqual([]);
});
