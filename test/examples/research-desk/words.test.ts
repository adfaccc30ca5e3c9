import { describe, expect, it } from "vitest";

import { overlap, stem, tokenise } from "../../../examples/research-desk/documents/words.ts";
import { synonyms } from "../../../examples/research-desk/documents/thesaurus.ts";

describe("tokeniser", () => {
  it("lower-cases, drops stop words and single letters, and keeps the order", () => {
    expect(tokenise("The Database keeps a KEY, and its value")).toEqual(["databas", "keep", "key", "valu"]);
  });

  it.each([
    ["crash", "crashes", "crashed", "crashing"],
    ["store", "stores", "stored", "storing"],
    ["licence", "license", "licenses", "licensed"],
    ["flush", "flushed", "flushes", "flushing"],
    ["atomic", "atomics", "atomically"],
    ["durable", "durability"],
    ["entry", "entries"],
    ["commit", "commits", "committed", "committing"],
  ])("brings the forms of “%s” together", (...forms) => {
    expect(new Set(forms.map(stem)).size).toBe(1);
  });

  it.each([
    ["loss", "los"],
    ["status", "statu"],
    ["thing", "th"],
    ["process", "proces"],
  ])("leaves “%s” whole", (word, cut) => {
    expect(stem(word)).not.toBe(cut);
  });

  it("measures what two lists share", () => {
    expect(overlap(["a", "b", "c"], ["b", "c", "d"])).toBe(0.5);
    expect(overlap([], [])).toBe(1);
    expect(overlap(["a"], [])).toBe(0);
  });

  it("lends words in both spellings of licence, and none for a word it does not know", () => {
    expect(synonyms(stem("licence"))).toEqual(synonyms(stem("license")));
    expect(synonyms(stem("crash"))).toContain(stem("fsync"));
    expect(synonyms("xyzzy")).toEqual([]);
  });
});
