// What is left on disk of what is gone, wherever the process ends.

import { randomBytes, randomInt } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { createMemory, type Embedder, type Memory } from "orchestra/memory";
import { rangesOf } from "../../src/memory/forgetting.ts";
import { IndexCache } from "../../src/memory/index-cache.ts";
import { IndexClient } from "../../src/memory/index-client.ts";
import { ScopeIndex } from "../../src/memory/scope-index.ts";
import { Shelf } from "../../src/memory/shelf.ts";
import type { Kept } from "../../src/memory/records.ts";
import { temporaryFolder } from "../state/temporary-folder.ts";
import { isOnDisk } from "./files-of.ts";
import { watchedMemory } from "./watched-storage.ts";

const noise = (): string => randomBytes(600).toString("hex");

const DIMENSIONS = 32;
/** No two alike, so that no compression hides them. */
const numbers = (): number[] => {
  const some = new Set<number>();
  while (some.size < DIMENSIONS) some.add(randomInt(1, 10_000));
  return [...some];
};
/** As it is stored. */
function unitBytes(vector: readonly number[]): Buffer {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + Math.fround(value) ** 2, 0));
  return Buffer.from(Float32Array.from(vector, (value) => Math.fround(value) / length).buffer);
}

function embedderOf(vectors: (text: string) => number[] | Promise<number[]>): Embedder {
  return {
    name: "ours",
    dimensions: DIMENSIONS,
    embed: (texts) => Promise.all(texts.map(async (text) => vectors(text))),
  };
}

describe("what is deleted", () => {
  it("is gone from disk after a crash at any write, once the memory is open again", async () => {
    for (let failing = 1, wasReached = true; wasReached; failing++) {
      const folder = await temporaryFolder();
      const secret = noise();
      let changes = -1;
      const memory = watchedMemory(
        (method) => {
          if (changes < 0 || (method !== "before write" && method !== "before purge")) return;
          changes += 1;
          if (changes >= failing) throw new Error("the process is gone");
        },
        { folder },
      );
      const [entry] = await memory.add([{ value: secret }], { scope: "global" });
      await memory.add([{ value: "stays" }], { scope: "global" });
      changes = 0;
      wasReached = await memory.delete([entry?.id as string]).then(
        () => false,
        () => true,
      );
      const isDeleted = await memory.get(entry?.id as string).then(
        (found) => found === null,
        () => false,
      );
      await memory.close();

      await using again = createMemory({ folder });
      const found = await again.searchMemory("stays", "global");
      expect(found.map(({ value }) => value)).toEqual(isDeleted ? ["stays"] : ["stays", secret]);
      expect(isOnDisk(folder, secret)).toBe(!isDeleted);
      await again.delete([entry?.id as string]);
      expect(isOnDisk(folder, secret)).toBe(false);
      expect((await again.stats()).entries).toBe(1);
      if (!wasReached) expect(failing).toBeGreaterThan(6);
    }
  });

  it("is gone with all that stood under its key before", async () => {
    const folder = await temporaryFolder();
    await using memory = createMemory({ folder });
    const secrets = [noise(), noise(), noise()];
    let id = "";
    for (const value of secrets) {
      const [entry] = await memory.add([{ key: "secret", value }], { scope: "global" });
      id = entry?.id as string;
      await memory.add([{ value: noise() }], { scope: "global" });
    }
    expect(await memory.delete([id])).toBe(1);
    for (const secret of secrets) expect(isOnDisk(folder, secret)).toBe(false);
    expect((await memory.stats()).entries).toBe(secrets.length);
  });

  it("gets no vector while vectors are made anew", async () => {
    const folder = await temporaryFolder();
    const [vector, next] = [numbers(), numbers()];
    let isAnew = false;
    let id = "";
    const holder: { memory?: Memory } = {};
    const embedder = embedderOf(async (text) => {
      if (!isAnew || text !== "secret") return text === "secret" ? vector : numbers();
      await holder.memory?.delete([id]);
      return next;
    });
    await using memory = createMemory({ folder, embedder });
    holder.memory = memory;
    const [entry] = await memory.add([{ value: "secret" }, { value: "stays" }], { scope: "global" });
    id = entry?.id as string;
    expect(isOnDisk(folder, unitBytes(vector))).toBe(true);
    isAnew = true;
    await memory.reembed();
    expect((await memory.searchMemory("x", "global")).map(({ value }) => value)).toEqual(["stays"]);
    for (const one of [vector, next]) expect(isOnDisk(folder, unitBytes(one))).toBe(false);
  });

  it("leaves no vector of before, where making them anew was cut short at its end", async () => {
    const folder = await temporaryFolder();
    const [vector, next] = [numbers(), numbers()];
    let isAnew = false;
    const embedder = embedderOf(() => (isAnew ? next : vector));
    let writes = Infinity;
    const memory = watchedMemory(
      (method) => {
        if (method === "before write" && (writes -= 1) < 0) throw new Error("the process is gone");
      },
      { folder, embedder },
    );
    await memory.add([{ value: "one" }], { scope: "global" });
    isAnew = true;
    // The new vectors, and the settings that say that they count; then the old ones would be deleted.
    writes = 2;
    await expect(memory.reembed()).rejects.toMatchObject({ code: "ORCH_STORE_FAILED" });
    await memory.close();
    expect(isOnDisk(folder, unitBytes(vector))).toBe(true);

    await using again = createMemory({ folder, embedder });
    expect((await again.searchMemory("one", "global")).length).toBe(1);
    expect(isOnDisk(folder, unitBytes(vector))).toBe(false);
    expect(isOnDisk(folder, unitBytes(next))).toBe(true);
  });

  it("is in no index file that was being written when it was deleted", async () => {
    const folder = join(await temporaryFolder(), "index");
    let reached = (): void => undefined;
    let go = (): void => undefined;
    const isReached = new Promise<void>((resolve) => (reached = resolve));
    const mayGo = new Promise<void>((resolve) => (go = resolve));
    class SlowCache extends IndexCache {
      override async write(index: Parameters<IndexCache["write"]>[0]): Promise<void> {
        reached();
        await mayGo;
        await super.write(index);
      }
    }
    const client = await IndexClient.start();
    onTestFinished(() => client.close());
    const shelf = new Shelf(DIMENSIONS);
    // So few that the index finds all of them, whatever they are.
    const entries = Array.from({ length: 40 }, (_, i) => keptOf(i + 1));
    for (const entry of entries)
      shelf.add(
        entry,
        Float32Array.from(numbers(), (value) => value / 1_000),
      );
    const index = await ScopeIndex.open(client, shelf, null);
    await index.extend();
    expect(index.covered).toBe(entries.length);
    const settings = { memoryId: "m", embedder: "ours", dimensions: DIMENSIONS, generation: 1 };
    const saving = index.save(new SlowCache(folder, "scope", settings));
    await isReached;
    await index.remove(shelf.remove(entries[5] as Kept) as number);
    go();
    await saving;
    expect(existsSync(folder) ? readdirSync(folder) : []).toEqual([]);
  });
});

it("rewrites little of what lies between entries that are gone", () => {
  expect(rangesOf([])).toEqual([]);
  expect(rangesOf([7])).toEqual([[7, 7]]);
  expect(rangesOf([1, 2, 3, 900, 901])).toEqual([
    [1, 3],
    [900, 901],
  ]);
  const far = Array.from({ length: 50 }, (_, i) => i * i * 10);
  const ranges = rangesOf(far);
  expect(ranges.length).toBe(16);
  for (const seq of far) expect(ranges.some(([first, last]) => first <= seq && seq <= last)).toBe(true);
});

function keptOf(seq: number): Kept {
  return {
    id: `id${seq}`,
    key: `k${seq}`,
    seq,
    value: `entry ${seq}`,
    text: null,
    namespace: "default",
    tags: [],
    metadata: {},
    scope: "global",
    provenance: {},
    origin: "added",
    quality: null,
    createdAtMs: 0,
    expiresAtMs: null,
  };
}
