// A memory that is given much, or searches much, does it in pieces: whatever else the process does has its turn in between.
// Kept in this process's memory, where nothing else would give way: the turns counted are those that the memory itself gives.

import { describe, expect, it } from "vitest";
import { createMemory, ngramEmbedder, type Embedder, type MemoryInput } from "orchestra/memory";

const SCOPE = { scope: "global" } as const;
const SENTENCE = "A step that fails is tried again, as often as its policy says, and what it cost is counted. ";

/** Turns of the event loop until it has ended, and the most of what `count` counted between two of them. */
async function turnsOf<T>(work: (count: () => void) => Promise<T>): Promise<{ turns: number; most: number; value: T }> {
  let [turns, most, counted, isOver] = [0, 0, 0, false];
  const working = work(() => void (most = Math.max(most, ++counted))).finally(() => (isOver = true));
  while (!isOver) {
    await new Promise((resolve) => setImmediate(resolve));
    counted = 0;
    turns += 1;
  }
  return { turns, most, value: await working };
}

function entriesOf(count: number, text: string): MemoryInput[] {
  return Array.from({ length: count }, (_, i) => ({ key: String(i), value: `${i}: ${text}` }));
}

/** Tells of each text it embeds. */
function telling(count: () => void): Embedder {
  const ngrams = ngramEmbedder();
  return {
    ...ngrams,
    embed: async (texts, options) => {
      for (const _text of texts) count();
      return ngrams.embed(texts, options);
    },
  };
}

/** Tells when it is looked at. */
function watched(entry: MemoryInput, count: () => void): MemoryInput {
  let isSeen = false;
  return {
    ...entry,
    get value() {
      if (!isSeen) count();
      isSeen = true;
      return entry.value;
    },
  };
}

describe("others have their turn", () => {
  it.each([
    ["many", 1_500, SENTENCE.repeat(3), 250],
    ["few, but long", 12, SENTENCE.repeat(2_000), 8],
  ])("while entries are read: %s", async (_what, count, text, mostBetween) => {
    const { most, value } = await turnsOf(async (seen) => {
      await using memory = createMemory();
      return await memory.add(
        entriesOf(count, text).map((entry) => watched(entry, seen)),
        SCOPE,
      );
    });
    expect(value.length).toBe(count);
    expect(most).toBeLessThanOrEqual(mostBetween);
  });

  it("while texts are embedded, where an embedder gives no turn itself", async () => {
    const { most } = await turnsOf(async (seen) => {
      await using memory = createMemory({ embedder: telling(seen) });
      await memory.add(entriesOf(1_000, "short"), SCOPE);
    });
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(100);
    // A piece is so much text, in however many entries it is.
    const long = Array.from({ length: 20 }, () => SENTENCE.repeat(300));
    const { turns } = await turnsOf(() => ngramEmbedder().embed(long, { use: "store" }));
    expect(turns).toBeGreaterThanOrEqual(20);
  });

  it.each([
    ["many", 1_500, SENTENCE.repeat(3), 10],
    ["few, but long", 12, SENTENCE.repeat(2_000), 6],
  ])(
    "while a scope is read to be searched, and while what is added joins it: %s",
    async (_what, count, text, least) => {
      await using memory = createMemory();
      await memory.add(entriesOf(count, text), SCOPE);
      const first = await turnsOf(() => memory.search("policy", SCOPE));
      const again = await turnsOf(() => memory.search("policy", SCOPE));
      expect(first.value).toEqual(again.value);
      expect(first.turns - again.turns).toBeGreaterThanOrEqual(least);

      const embed: Embedder["embed"] = async (texts) => texts.map(() => [1, 0]);
      await using known = createMemory({ embedder: { name: "one", dimensions: 2, embed } });
      const unseen = await turnsOf(() => known.add(entriesOf(count, text), SCOPE));
      await known.search("policy", SCOPE);
      const other = entriesOf(count, text).map((entry) => ({ ...entry, key: `other ${entry.key}` }));
      const seen = await turnsOf(() => known.add(other, SCOPE));
      expect(seen.turns - unseen.turns).toBeGreaterThanOrEqual(least);
    },
  );

  it("while every entry is compared", async () => {
    const dimensions = 2_000;
    const embed: Embedder["embed"] = async (texts) =>
      texts.map((_, at) => Array.from({ length: dimensions }, (_one, i) => Number(i % 10 === at % 10)));
    await using memory = createMemory({ embedder: { name: "wide", dimensions, embed } });
    await memory.add(entriesOf(4_000, "entry"), SCOPE);
    await memory.prepare("global");
    // 5 µs each.
    const { turns } = await turnsOf(() => memory.search("entry", { ...SCOPE, mode: "vector" }));
    expect(turns).toBeGreaterThanOrEqual(5);
  });

  it("while entries are counted", async () => {
    const embed: Embedder["embed"] = async (texts) => texts.map(() => [1, 0]);
    await using memory = createMemory({ embedder: { name: "one", dimensions: 2, embed } });
    await memory.add(entriesOf(6_500, ""), SCOPE);
    const { turns, value } = await turnsOf(() => memory.stats());
    expect(value.entries).toBe(6_500);
    expect(turns).toBeGreaterThanOrEqual(3);
  });

  it("and a harvest of a thousand is one of those that give it", async () => {
    const { turns, value } = await turnsOf(async () => {
      await using memory = createMemory();
      const artifacts = entriesOf(1_000, SENTENCE).map(({ key = "", value }) => ({ key, value }));
      const provenance = { project: "p", runId: "r", cardId: "c", agent: "a" };
      return await memory.harvestMemory("r", artifacts, 1, { provenance });
    });
    expect(value.entries.length).toBe(1_000);
    expect(turns).toBeGreaterThanOrEqual(30);
  });
});
