import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { memoryConversations, type ConversationStore } from "../../../src/agents/conversation/store.ts";
import { LevelConversations } from "../../../src/state/level-conversations.ts";
import { openLevelFolder } from "../../../src/state/level-folder.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "orchestra-conversations-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const PARTS: readonly (readonly [string, () => ConversationStore & { close?(): Promise<void> }])[] = [
  ["memoryConversations", memoryConversations],
  ["LevelConversations", () => new LevelConversations(folder)],
];

describe.each(PARTS)("%s", (_name, open) => {
  let store: ReturnType<typeof open>;
  beforeEach(() => {
    store = open();
    return () => store.close?.();
  });
  const all = async (conversation: string, upTo?: number) => {
    const entries: [number, ...unknown[]][] = [];
    for await (const { position, messages } of store.read(conversation, upTo ?? (await store.last(conversation))))
      entries.push([position, ...messages]);
    return entries;
  };

  it("gives entries newest first, up to where it is asked", async () => {
    expect([await store.last("c"), await all("c")]).toEqual([0, []]);
    for (let n = 1; n <= 40; n++) await store.put("c", `k${n}`, [`m${n}`]);
    expect(await store.last("c")).toBe(40);
    expect(await all("c")).toEqual(Array.from({ length: 40 }, (_, i) => [40 - i, `m${40 - i}`]));
    expect(await all("c", 2)).toEqual([
      [2, "m2"],
      [1, "m1"],
    ]);
  });

  it("keeps one entry for a key, in its place, with what was put last", async () => {
    await store.put("c", "a", ["first try"]);
    await store.put("c", "b", ["b"]);
    await store.put("c", "a", ["second", "try"]);
    expect(await all("c")).toEqual([
      [2, "b"],
      [1, "second", "try"],
    ]);
  });

  it("keeps conversations apart, whatever they are called", async () => {
    const names = ["a", "a/b", "a0", "a/", "ä b", "constructor"];
    for (const name of names) await store.put(name, "k", [name]);
    for (const name of names) expect(await all(name)).toEqual([[1, name]]);
  });

  it("gives every entry a place of its own when many are put at once", async () => {
    await Promise.all(Array.from({ length: 30 }, (_, i) => store.put("c", `k${i}`, [i])));
    const entries = await all("c");
    expect(entries.map(([position]) => position)).toEqual(Array.from({ length: 30 }, (_, i) => 30 - i));
    expect(new Set(entries.map(([, message]) => message)).size).toBe(30);
  });

  it("is not changed by whoever changes what was put", async () => {
    const messages = [{ role: "user", content: "as it was", image: new Uint8Array([1, 2]) }];
    await store.put("c", "k", messages);
    messages[0]!.content = "changed";
    expect(await all("c")).toEqual([[1, { role: "user", content: "as it was", image: new Uint8Array([1, 2]) }]]);
  });
});

describe("LevelConversations", () => {
  it("has everything when its folder is opened again, and forgets what it is told to forget", async () => {
    const before = new LevelConversations(folder);
    await before.put("c", "k", ["kept"]);
    await before.put("d", "k", ["gone"]);
    await before.delete("d");
    await before.close();
    const after = new LevelConversations(folder);
    await after.put("c", "k", ["kept still"]);
    expect([await after.last("c"), await after.last("d")]).toEqual([1, 0]);
    await after.close();
    await expect(after.last("c")).rejects.toMatchObject({ code: "ORCH_CLOSED" });
  });

  it("says so when an entry was changed on disk", async () => {
    const store = new LevelConversations(folder);
    await store.put("c", "k", ["said"]);
    await store.close();
    const kv = await openLevelFolder(folder);
    const [[key, record]] = (await kv.range("m/", "m0", { limit: 1 })) as [[string, Uint8Array]];
    const changed = Uint8Array.from(record);
    changed[changed.length - 1]! ^= 1;
    await kv.write([{ type: "put", key, value: changed }], true);
    await kv.close();
    await using damaged = new LevelConversations(folder);
    const read = async () => {
      for await (const entry of damaged.read("c", 1)) return entry;
    };
    await expect(read()).rejects.toMatchObject({ code: "ORCH_STORE_CORRUPT" });
  });

  it("refuses a folder another object has open, and names that are none", async () => {
    await using store = new LevelConversations(folder);
    await store.last("c");
    const second = new LevelConversations(folder);
    await expect(second.last("c")).rejects.toMatchObject({ code: "ORCH_STORE_LOCKED" });
    for (const name of ["", "\ud800"])
      await expect(store.put(name, "k", [])).rejects.toMatchObject({ code: "ORCH_BAD_OPTION" });
    expect(() => new LevelConversations("")).toThrow(/path of a folder/);
  });
});
