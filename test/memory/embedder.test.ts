import { describe, expect, it, onTestFinished } from "vitest";
import { createMemory, ngramEmbedder, type Embedder } from "orchestra/memory";
import { temporaryFolder } from "../state/temporary-folder.ts";

/** Knows what words mean, as an embedding model does: the words of a row are one direction. */
function meaningEmbedder(name = "meanings", rows: readonly string[][] = ROWS): Embedder & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    name,
    dimensions: null,
    asked,
    async embed(texts) {
      asked.push(...texts);
      return texts.map((text) => [
        0.01,
        ...rows.map((row) => row.filter((word) => text.toLowerCase().includes(word)).length),
      ]);
    },
  };
}
const ROWS = [
  ["car", "automobile", "vehicle", "engine"],
  ["dog", "puppy", "hound"],
  ["invoice", "bill", "payment"],
];

describe("an embedder", () => {
  it("finds first what means the same and shares no word", async () => {
    await using memory = createMemory({ embedder: meaningEmbedder() });
    await memory.seedMemory("r1", [
      { value: "the puppy sleeps" },
      { value: "repairing an automobile" },
      { value: "pay the bill" },
    ]);
    const [best] = await memory.searchMemory("my car is broken", { runId: "r1" }, 1);
    expect(best?.value).toBe("repairing an automobile");
  });

  it("is pinned: another one, or another length, is refused until the vectors are made anew", async () => {
    const folder = await temporaryFolder();
    {
      await using memory = createMemory({ folder, embedder: meaningEmbedder() });
      await memory.add([{ value: "a hound" }, { value: "a vehicle" }], { scope: "global" });
    }
    await using memory = createMemory({ folder });
    const refused = { code: "ORCH_MEMORY_EMBEDDER", details: { stored: "meanings", storedDimensions: 4 } };
    await expect(memory.searchMemory("dog", "global")).rejects.toMatchObject(refused);
    await expect(memory.add([{ value: "x" }], { scope: "global" })).rejects.toMatchObject(refused);
    expect(await memory.reembed()).toBe(2);
    expect((await memory.searchMemory("hound", "global", 1))[0]?.value).toBe("a hound");
    expect((await memory.stats()).embedder).toBe("orchestra:ngrams-1-384");
  });

  it("goes on with vectors made anew where it was cut short, and searches by the old ones until then", async () => {
    const folder = await temporaryFolder();
    const entries = Array.from({ length: 250 }, (_, i) => ({ value: `entry ${i}` }));
    const old = meaningEmbedder("old");
    {
      await using memory = createMemory({ folder, embedder: old });
      await memory.add(entries, { scope: "global" });
    }
    const next = meaningEmbedder("new");
    const stop = new AbortController();
    {
      await using memory = createMemory({ folder, embedder: next });
      const cut = memory.reembed({ signal: stop.signal, onProgress: (done) => void (done >= 100 && stop.abort()) });
      await expect(cut).rejects.toMatchObject({ name: "AbortError" });
    }
    {
      await using memory = createMemory({ folder, embedder: old });
      expect((await memory.searchMemory("entry 7", "global", 250)).length).toBe(250);
    }
    await using memory = createMemory({ folder, embedder: next });
    expect(await memory.reembed()).toBe(250);
    expect(next.asked.length).toBe(250);
    expect((await memory.searchMemory("entry 7", "global", 250)).length).toBe(250);
  });

  it("is asked once for what is there already", async () => {
    const embedder = meaningEmbedder();
    await using memory = createMemory({ embedder });
    await memory.seedMemory("r1", [{ value: "one dog" }, { value: "two dogs" }]);
    await memory.seedMemory("r1", [{ value: "one dog" }, { value: "two dogs" }, { value: "three dogs" }]);
    expect(embedder.asked).toEqual(["one dog", "two dogs", "three dogs"]);
  });

  it.each([
    ["NaN", [Number.NaN, 1]],
    ["infinity", [Infinity, 1]],
    ["another length", [1, 2, 3]],
    ["nothing", undefined],
    ["a text", "0.1"],
  ])("that gives %s is refused, and nothing is kept", async (_what, vector) => {
    const embedder: Embedder = {
      name: "broken",
      dimensions: 2,
      embed: async (texts) => texts.map(() => vector as number[]),
    };
    await using memory = createMemory({ embedder });
    await expect(memory.add([{ value: "x" }], { scope: "global" })).rejects.toMatchObject({
      code: "ORCH_MEMORY_EMBEDDER",
      message: expect.stringContaining('"broken"') as string,
    });
    expect((await memory.stats()).entries).toBe(0);
  });
});

describe("the embedder without a model", () => {
  it("gives the same vectors for the same text in every process, as they are pinned", async () => {
    const [vector] = await ngramEmbedder({ dimensions: 64 }).embed(["Durable agents"], { use: "store" });
    const sum = Array.from(vector ?? []).reduce((all, value, i) => all + value * (i + 1), 0);
    expect(vector?.length).toBe(64);
    // Taken from the first version: another figure needs another name.
    expect(sum).toBeCloseTo(EXPECTED_SUM, 4);
  });

  it("finds texts without letters by themselves", async () => {
    await using memory = createMemory();
    await memory.add([{ value: "==> <==" }, { value: "plain words" }, { value: "" }], { scope: "global" });
    expect((await memory.searchMemory("==> <==", "global", 1))[0]?.value).toBe("==> <==");
  });

  it.each([
    ["日本の首都は東京です", "東京", "大阪は商業の町です"],
    ["parseHttpHeader fails on folded lines", "http header", "the garden is green"],
    ["Прокси-сервер отвечает медленно", "сервер", "Погода хорошая"],
  ])("finds %s by %s", async (wanted, query, other) => {
    await using memory = createMemory();
    onTestFinished(() => memory.close());
    await memory.add([{ value: other }, { value: wanted }], { scope: "global" });
    expect((await memory.searchMemory(query, "global", 1))[0]?.value).toBe(wanted);
  });
});

const EXPECTED_SUM = 0.545873;
