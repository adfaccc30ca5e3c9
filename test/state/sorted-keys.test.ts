import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { memoryKeyValue } from "../../src/state/memory-key-value.ts";

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
/** Few of them, so that they meet; with characters on both sides of the surrogates, and pairs of those. */
const anyKey = fc
  .array(fc.constantFrom("a", "b", "/", "é", "\u{d7ff}", "\u{e000}", "\u{ffff}", "\u{10000}", "\u{1f600}"), {
    minLength: 1,
    maxLength: 4,
  })
  .map((characters) => characters.join(""));

describe("a database in this process's memory", () => {
  it("gives keys in the order of their bytes, whatever came and went before", async () => {
    const anyOp = fc.record({ type: fc.constantFrom("put" as const, "put" as const, "del" as const), key: anyKey });
    await fc.assert(
      fc.asyncProperty(fc.array(anyOp, { maxLength: 60 }), anyKey, anyKey, async (ops, from, to) => {
        const kv = memoryKeyValue();
        const held = new Set<string>();
        for (const { type, key } of ops) {
          await kv.write([type === "put" ? { type, key, value: new Uint8Array(1) } : { type, key }], false);
          if (type === "put") held.add(key);
          else held.delete(key);
        }
        const expected = [...held].sort(byBytes).filter((key) => byBytes(key, from) >= 0 && byBytes(key, to) < 0);
        expect(await kv.keys(from, to)).toEqual(expected);
      }),
    );
  });

  it("does so with thousands, put in any order", async () => {
    const kv = memoryKeyValue();
    const keys = Array.from({ length: 5_000 }, (_, i) => `k/${(i * 7_919) % 5_000}`);
    for (const key of keys) await kv.write([{ type: "put", key, value: new Uint8Array(1) }], false);
    expect(await kv.keys("k/", "k0")).toEqual([...keys].sort(byBytes));
    for (const key of keys.slice(0, 4_900)) await kv.write([{ type: "del", key }], false);
    expect(await kv.keys("k/", "k0")).toEqual(keys.slice(4_900).sort(byBytes));
    expect((await kv.range("k/", "k0", { limit: 2, reverse: true })).map(([key]) => key)).toEqual(
      keys.slice(4_900).sort(byBytes).slice(-2).reverse(),
    );
  });
});
