// What a memory makes of embedders, callers and moments that are against it.

import { describe, expect, it } from "vitest";
import { createMemory, type Embedder, type Memory } from "orchestra/memory";
import { SimClock } from "orchestra/testing";
import { watchedMemory } from "./watched-storage.ts";

/** Gives what `vectors` gives for each text. */
function embedderOf(
  vectors: (text: string) => readonly unknown[] | Promise<readonly unknown[]>,
  name = "ours",
): Embedder {
  return {
    name,
    dimensions: null,
    embed: (texts) => Promise.all(texts.map(async (text) => (await vectors(text)) as number[])),
  };
}
const even = (text: string): number[] => [1, text.length % 7, text.length % 3];

/** Resolves when `open` was called. */
function gate(): { readonly opened: Promise<void>; open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

const valuesIn = async (memory: Memory): Promise<unknown[]> =>
  (await memory.searchMemory("anything", "global", 1_000)).map(({ value }) => value).sort();

describe("a memory whose embedder says its length with its first vector", () => {
  it("learns it from the first entry, not from a harvest of nothing", async () => {
    await using memory = createMemory({ embedder: embedderOf(even) });
    const receipt = await memory.harvestMemory("r1", [], 1);
    expect(receipt.entries).toEqual([]);
    expect((await memory.stats()).embedder).toBeNull();
    await memory.add([{ value: "first" }], { scope: "global" });
    expect(await valuesIn(memory)).toEqual(["first"]);
  });

  it("takes one of two first lengths and refuses the other, whichever comes first", async () => {
    const both = gate();
    let asked = 0;
    const embedder = embedderOf(async (text) => {
      asked += 1;
      if (asked === 2) both.open();
      await both.opened;
      return text === "short" ? [1, 2] : [1, 2, 3];
    });
    await using memory = createMemory({ embedder });
    const ended = await Promise.allSettled(
      ["short", "long"].map((value) => memory.add([{ value }], { scope: "global" })),
    );
    expect(ended.filter(({ status }) => status === "fulfilled").length).toBe(1);
    expect(ended.find(({ status }) => status === "rejected")).toMatchObject({
      reason: { code: "ORCH_MEMORY_EMBEDDER" },
    });
    expect((await memory.stats()).entries).toBe(1);
  });

  it("refuses holes in vectors", async () => {
    await using memory = createMemory({ embedder: embedderOf(() => [1, null, 2]) });
    await expect(memory.add([{ value: "x" }], { scope: "global" })).rejects.toMatchObject({
      code: "ORCH_MEMORY_EMBEDDER",
      message: expect.stringContaining("null at position 1") as string,
    });
  });
});

describe("an embedder that does not answer", () => {
  it.each(["add", "search"])("does not hold up who gives up an %s", async (what) => {
    let silent = false;
    const asked = gate();
    const embedder = embedderOf((text) => {
      if (!silent) return even(text);
      asked.open();
      return new Promise(() => undefined);
    });
    await using memory = createMemory({ embedder });
    await memory.add([{ value: "there" }], { scope: "global" });
    silent = true;
    const stop = new AbortController();
    const options = { scope: "global", signal: stop.signal } as const;
    const waiting: Promise<unknown> =
      what === "add" ? memory.add([{ value: "x" }], options) : memory.search("x", options);
    await asked.opened;
    stop.abort();
    await expect(waiting).rejects.toMatchObject({ name: "AbortError" });
    expect((await memory.stats()).entries).toBe(1);
  });
});

describe("making all vectors anew", () => {
  it("lets a memory that was emptied take another embedder", async () => {
    const clock = new SimClock();
    const memory = createMemory({ clock, embedder: switched() });
    await memory.add([{ value: "gone" }], { scope: "global" });
    await memory.deleteScope("global");
    current = { name: "other", vectors: () => [1, 2, 3, 4, 5] };
    await expect(memory.add([{ value: "x" }], { scope: "global" })).rejects.toMatchObject({
      code: "ORCH_MEMORY_EMBEDDER",
    });
    expect(await memory.reembed()).toBe(0);
    await memory.add([{ value: "x" }], { scope: "global" });
    expect(await valuesIn(memory)).toEqual(["x"]);
    expect(await memory.stats()).toMatchObject({ embedder: "other", dimensions: 5 });
    await memory.close();
  });

  it("takes along what is added while it is under way", async () => {
    const begun = gate();
    const go = gate();
    let isAnew = false;
    const embedder = embedderOf(async (text) => {
      if (isAnew && text !== "later") {
        begun.open();
        await go.opened;
      }
      return even(text);
    });
    await using memory = createMemory({ embedder });
    await memory.add([{ value: "early" }], { scope: "global" });
    isAnew = true;
    const anew = memory.reembed();
    await begun.opened;
    await memory.add([{ value: "later" }], { scope: "global" });
    go.open();
    await anew;
    isAnew = false;
    expect(await valuesIn(memory)).toEqual(["early", "later"]);
  });

  it("takes along what is added when it is about to end", async () => {
    let add: (() => Promise<unknown>) | null = null;
    let added: Promise<unknown> = Promise.resolve();
    await using memory = watchedMemory(
      async (method, [from], given) => {
        if (method !== "range" || !String(from).startsWith("e/") || (given as unknown[]).length > 0 || add === null)
          return;
        added = add();
        add = null;
        for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
      },
      { embedder: embedderOf(even) },
    );
    await memory.add([{ value: "early" }], { scope: "global" });
    add = () => memory.add([{ value: "later" }], { scope: "global" });
    await memory.reembed();
    await added;
    expect(await valuesIn(memory)).toEqual(["early", "later"]);
  });
});

describe("time to live", () => {
  it("does not take an entry that is put again while those due are being deleted", async () => {
    const clock = new SimClock();
    let between: (() => Promise<unknown>) | null = null;
    await using memory = watchedMemory(
      async (method) => {
        const now = between;
        if (method !== "getMany" || now === null) return;
        between = null;
        await now();
      },
      { clock },
    );
    const put = () => memory.add([{ key: "k", value: "renewed", ttlMs: 1_000 }], { scope: "global" });
    await put();
    await clock.advance(1_000);
    between = put;
    await memory.sweep();
    expect(await valuesIn(memory)).toEqual(["renewed"]);
  });

  it("ends at its instant, whatever way the clock jumps", async () => {
    const clock = new SimClock();
    await using memory = createMemory({ clock });
    const [entry] = await memory.add([{ value: "x", ttlMs: 0.5 }], { scope: "global" });
    expect(await valuesIn(memory)).toEqual(["x"]);
    await clock.advance(1);
    expect(await memory.get(entry?.id as string)).toBeNull();
    expect(await valuesIn(memory)).toEqual([]);
    expect(await memory.sweep()).toBe(1);
    expect(await memory.sweep()).toBe(0);
  });
});

describe("a search", () => {
  it("finds an entry that is replaced while it is being read", async () => {
    let replace: (() => Promise<unknown>) | null = null;
    await using memory = watchedMemory(async (method) => {
      const now = replace;
      if (method !== "before getMany" || now === null) return;
      replace = null;
      await now();
    });
    const put = (value: string) => memory.add([{ key: "status", value }], { scope: "global" });
    await put("one");
    expect(await valuesIn(memory)).toEqual(["one"]);
    replace = () => put("two");
    expect(await valuesIn(memory)).toEqual(["two"]);
  });

  it("lets others have their turn while it takes what differs", async () => {
    await using memory = createMemory();
    const entries = Array.from({ length: 1_000 }, (_, i) => ({ value: `note ${i} of ${i % 13}` }));
    await memory.add(entries, { scope: "global" });
    await memory.searchMemory("note", "global");
    let turns = 0;
    let isOver = false;
    const count = (): void => {
      turns += 1;
      if (!isOver) setImmediate(count);
    };
    setImmediate(count);
    expect((await memory.search("note", { scope: "global", topK: 500, diversity: 0.5 })).length).toBe(500);
    isOver = true;
    // 500 are taken out of 1,000: 375,000 comparisons, some thousand at a time.
    expect(turns).toBeGreaterThan(50);
  });

  it("reads its scope anew when most of what it holds of it is gone", async () => {
    let readings = 0;
    await using memory = watchedMemory((method, [from]) => {
      // From the beginning of a scope; pages after the first begin elsewhere.
      if (!method.startsWith("before") && /^s\/\w+\/$/.test(String(from))) readings += 1;
    });
    const put = (i: number) => memory.add([{ key: "status", value: `status is ${i}` }], { scope: "global" });
    await put(0);
    expect(await valuesIn(memory)).toEqual(["status is 0"]);
    expect(readings).toBe(1);
    for (let i = 1; i <= 1_002; i++) await put(i);
    expect(await valuesIn(memory)).toEqual(["status is 1002"]);
    expect(readings).toBe(2);
    expect(await valuesIn(memory)).toEqual(["status is 1002"]);
    expect(readings).toBe(2);
  });
});

describe("deleting", () => {
  it.each([{ nameSpace: "a" }, { namespace: "" }, { namespace: ["a"] }, "a"])(
    "refuses %j rather than deleting the whole scope",
    async (options) => {
      await using memory = createMemory();
      await memory.add([{ value: "kept", namespace: "b" }], { scope: "global" });
      await expect(memory.deleteScope("global", options as never)).rejects.toMatchObject({ code: "ORCH_BAD_OPTION" });
      expect((await memory.stats()).entries).toBe(1);
    },
  );
});

describe("options that are misspelt", () => {
  it.each([
    ["add", (memory: Memory) => memory.add([{ value: 1 }], { scope: "global", provanance: {} } as never)],
    ["seedMemory", (memory: Memory) => memory.seedMemory("r1", [{ value: 1 }], { scope: "global" } as never)],
    ["harvestMemory", (memory: Memory) => memory.harvestMemory("r1", [], 1, { project: "p" } as never)],
    [
      "list",
      async (memory: Memory) => {
        for await (const entry of memory.list("global", { namespaces: "a" } as never)) expect(entry).toBeUndefined();
      },
    ],
    ["reembed", (memory: Memory) => memory.reembed({ progress: () => undefined } as never)],
  ])("are refused by %s", async (_name, call) => {
    await using memory = createMemory();
    await expect(call(memory)).rejects.toMatchObject({ code: "ORCH_BAD_OPTION" });
    expect((await memory.stats()).entries).toBe(0);
  });
});

describe("keys of what was harvested", () => {
  const provenance = { project: "p", cardId: "c", agent: "A" };

  it("are different where run and key together read the same", async () => {
    await using memory = createMemory();
    await memory.harvestMemory("a", [{ key: "b/c", value: "of run a" }], 1, { provenance });
    await memory.harvestMemory("a/b", [{ key: "c", value: "of run a/b" }], 1, { provenance });
    expect(await valuesIn(memory)).toEqual(["of run a", "of run a/b"]);
  });

  it("are different for an artifact and a learning", async () => {
    await using memory = createMemory();
    await memory.recordLearning("a", { key: "x", value: "a learning" }, 1, provenance);
    await memory.harvestMemory("a", [{ key: "learning/x", value: "an artifact" }], 1, { provenance });
    expect(await valuesIn(memory)).toEqual(["a learning", "an artifact"]);
  });

  it("may be as long as any", async () => {
    await using memory = createMemory();
    const long = "k".repeat(500);
    await memory.recordLearning(long, { key: long, value: "a learning" }, 1, provenance);
    await memory.harvestMemory(long, [{ key: long, value: "an artifact" }], 1, { provenance });
    expect(await valuesIn(memory)).toEqual(["a learning", "an artifact"]);
  });
});

describe("searching by words", () => {
  it("finds an entry that was replaced many times", async () => {
    await using memory = createMemory();
    await memory.add([{ value: "something else" }], { scope: "global" });
    await memory.searchMemory("x", "global");
    for (let i = 0; i < 20; i++) await memory.add([{ key: "status", value: `status is ${i}` }], { scope: "global" });
    const found = await memory.search("status", { scope: "global", mode: "words" });
    expect(found.map(({ value }) => value)).toEqual(["status is 19"]);
  });
});

let current: { readonly name: string; readonly vectors: (text: string) => number[] } = { name: "ours", vectors: even };
/** The one that `current` is. */
function switched(): Embedder {
  return {
    get name() {
      return current.name;
    },
    dimensions: null,
    embed: async (texts) => texts.map(current.vectors),
  };
}
