import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { SecretMask } from "../../../src/agents/command/secret-mask.ts";

// Few letters, so that secrets overlap, repeat and begin inside each other.
const secret = fc.string({ unit: fc.constantFrom("a", "b", "c", '"', "é"), minLength: 1, maxLength: 6 });
const cutText = (secrets: readonly string[]) =>
  fc.array(fc.oneof(fc.constantFrom(...secrets), fc.string({ unit: fc.constantFrom("a", "b", "c", " ", '"', "é") })), {
    maxLength: 12,
  });
const secretsAndPieces = fc
  .array(secret, { minLength: 1, maxLength: 4 })
  .chain((secrets) => fc.tuple(fc.constant(secrets), cutText(secrets), fc.array(fc.nat(60), { maxLength: 10 })));

function cut(text: string, cuts: readonly number[]): string[] {
  const at = [...new Set([0, ...cuts.map((cut) => Math.min(cut, text.length)), text.length])].sort((a, b) => a - b);
  return at.slice(1).map((end, i) => text.slice(at[i], end));
}

describe("SecretMask", () => {
  it("leaves no secret in any text, however that is cut into chunks", () => {
    fc.assert(
      fc.property(secretsAndPieces, ([secrets, parts, cuts]) => {
        const text = parts.join("");
        const stream = new SecretMask(secrets).stream();
        const shown = [...cut(text, cuts).map((piece) => stream.write(piece)), stream.end()];
        for (const one of secrets) expect(shown.join("")).not.toContain(one);
        expect(shown.join("")).toBe(new SecretMask(secrets).mask(text));
      }),
      { numRuns: 2_000 },
    );
  });

  it("leaves everything else as it is", () => {
    fc.assert(
      fc.property(fc.string(), fc.array(fc.nat(40)), (text, cuts) => {
        const stream = new SecretMask(["a secret that is nowhere"]).stream();
        const shown = cut(text, cuts).map((piece) => stream.write(piece));
        expect(shown.join("") + stream.end()).toBe(text);
      }),
    );
  });

  it("shows what can be no secret at once", () => {
    const stream = new SecretMask(["hunter2"]).stream();
    expect(stream.write("user hun")).toBe("user ");
    expect(stream.write("gry, pass hunter")).toBe("hungry, pass ");
    expect(stream.write("2!")).toBe("███!");
    expect(stream.end()).toBe("");
  });

  it("holds back no more than the longest secret, even of a text that is all secret", () => {
    const stream = new SecretMask(["aaaa"]).stream();
    let shown = "";
    for (let i = 0; i < 1_000; i++) shown += stream.write("aaaa");
    expect(shown + stream.end()).toBe("███");
  });

  it("knows a secret in JSON, in a URL, in Base64, and line by line", () => {
    const mask = new SecretMask(['p"a ss', "first line\nsecond line"]);
    for (const written of [
      JSON.stringify({ it: 'p"a ss' }),
      encodeURIComponent('p"a ss'),
      Buffer.from('p"a ss').toString("base64"),
      "  second line",
    ])
      expect(mask.mask(written)).toContain("███");
    expect(mask.maskValue({ 'p"a ss': ['p"a ss', 1, null] })).toEqual({ "███": ["███", 1, null] });
  });
});
