import fc from "fast-check";
import { createContext, runInContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { decodeValue, encodeValue } from "../../src/base/codec.ts";
import { isOrchestraError, type OrchestraError } from "../../src/base/errors.ts";
import { errorToData } from "../../src/base/error-data.ts";
import { copyValue, VALUE_DEPTH_MAX } from "../../src/base/value.ts";

function refusal(value: unknown, options = {}): OrchestraError {
  try {
    copyValue(value, { name: "output", ...options });
  } catch (error) {
    if (isOrchestraError(error)) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

const nested = (levels: number): unknown => {
  let value: unknown = 1;
  for (let i = 0; i < levels; i++) value = i % 2 ? [value] : { x: value };
  return value;
};

describe("copyValue", () => {
  it("normalises what JSON would: undefined, holes and minus zero", () => {
    const sparse: unknown[] = [];
    sparse[2] = 1;
    expect(copyValue(undefined).value).toBe(null);
    expect(copyValue({ a: undefined, b: [undefined], c: -0, d: sparse }).value).toStrictEqual({
      b: [null],
      c: 0,
      d: [null, null, 1],
    });
    expect(Object.is(copyValue(-0).value, 0)).toBe(true);
  });

  it("shares nothing with its source", () => {
    const source = { list: [{ n: 1 }], bytes: new Uint8Array([1]), at: new Date(5), map: new Map([["k", { n: 1 }]]) };
    const { value } = copyValue(source);
    source.list[0]!.n = 2;
    source.bytes[0] = 9;
    source.at.setTime(0);
    source.map.get("k")!.n = 2;
    expect(value).toStrictEqual({
      list: [{ n: 1 }],
      bytes: new Uint8Array([1]),
      at: new Date(5),
      map: new Map([["k", { n: 1 }]]),
    });
  });

  it("turns a Buffer into a Uint8Array and an object without prototype into a plain one", () => {
    expect(copyValue({ b: Buffer.from("a"), o: Object.assign(Object.create(null), { x: 1 }) }).value).toStrictEqual({
      b: new Uint8Array([97]),
      o: { x: 1 },
    });
  });

  it("accepts plain objects of another realm", () => {
    expect(copyValue(runInContext("({ a: [1, { b: 2 }] })", createContext({}))).value).toStrictEqual({
      a: [1, { b: 2 }],
    });
  });

  it("reads an accessor once", () => {
    let reads = 0;
    const { value } = copyValue({
      get x() {
        return ++reads;
      },
    });
    expect([value, reads]).toStrictEqual([{ x: 1 }, 1]);
  });

  it.each([
    ["a function", { items: [0, 1, 2, { fn: () => 1 }] }, "output.items[3].fn", /a function/],
    ["a symbol", [Symbol("s")], "output[0]", /a symbol/],
    ["a property named by a symbol", { a: { [Symbol("s")]: 1 } }, "output.a", /Symbol\(s\)/],
    ["an instance of a class", { "my key": new (class Account {})() }, 'output["my key"]', /an instance of Account/],
    ["a promise", { p: Promise.resolve() }, "output.p", /await missing/],
    ["a RegExp", [/x/], "output[0]", /RegExp/],
    ["NaN", { a: { b: Number.NaN } }, "output.a.b", /NaN/],
    ["an infinity", new Map([["k", -Infinity]]), "output.k", /-Infinity/],
    ["an invalid Date", [new Date(Number.NaN)], "output[0]", /invalid Date/],
    ["a BigInt of 65 bits", { big: 2n ** 64n }, "output.big", /64 bits/],
    ["__proto__ as an own key", { o: JSON.parse('{"__proto__":{"x":1}}') }, "output.o.__proto__", /__proto__/],
    ["a function inside a Set", { s: new Set([1, () => 1]) }, "output.s[1]", /a function/],
    [
      "a function in an error's data",
      { e: Object.assign(new Error("x"), { data: { f: () => 1 } }) },
      "output.e.data.f",
      /a function/,
    ],
  ])("refuses %s and says where", (_, value, path, message) => {
    const error = refusal(value);
    expect(error.code).toBe("ORCH_NOT_SERIALIZABLE");
    expect(error.message).toMatch(message);
    expect(error.message.startsWith(`${path}:`)).toBe(true);
    expect(error.details["path"]).toBe(path);
  });

  it("names the place where a cycle closes", () => {
    const node: Record<string, unknown> = {};
    node["next"] = { back: node };
    expect(refusal(node).message).toMatch(/^output\.next\.back: a cycle/);
    const map = new Map<string, unknown>();
    map.set("self", map);
    expect(refusal({ map }).message).toMatch(/^output\.map\.self: a cycle/);
  });

  it("accepts the deepest nesting allowed, stores it, and refuses one level more", () => {
    const deepest = nested(VALUE_DEPTH_MAX);
    expect(decodeValue(encodeValue(copyValue(deepest).value))).toStrictEqual(deepest);
    expect(refusal(nested(VALUE_DEPTH_MAX + 1))).toMatchObject({
      code: "ORCH_NOT_SERIALIZABLE",
      message: expect.stringContaining("1000 levels"),
    });
  });

  it("refuses 50 MB with both figures, and a shared value that grows without end", () => {
    expect(refusal({ text: "x".repeat(50_000_000) })).toMatchObject({
      code: "ORCH_PAYLOAD_TOO_LARGE",
      message: expect.stringMatching(/5\d{7} bytes, the limit is 16777216/),
    });
    let bomb: unknown = "laugh";
    for (let i = 0; i < 40; i++) bomb = [bomb, bomb, bomb, bomb];
    expect(refusal(bomb).code).toBe("ORCH_PAYLOAD_TOO_LARGE");
    const claimed: unknown[] = [];
    claimed.length = 4_000_000_000;
    expect(refusal(claimed).code).toBe("ORCH_PAYLOAD_TOO_LARGE");
  });

  it("lets non-finite numbers pass when allowed", () => {
    const value = [Number.NaN, Infinity, -Infinity];
    expect(decodeValue(encodeValue(copyValue(value, { allowNonFinite: true }).value))).toStrictEqual(value);
  });

  it("estimates the encoded size of JSON-like ASCII data within a factor of two", () => {
    fc.assert(
      fc.property(
        fc.object({
          maxDepth: 4,
          values: [
            fc.string(),
            fc.integer(),
            fc.double({ noNaN: true, noDefaultInfinity: true }),
            fc.boolean(),
            fc.constant(null),
          ],
        }),
        (value) => {
          fc.pre(!JSON.stringify(value).includes('"__proto__"'));
          const { value: copy, bytes } = copyValue(value);
          const real = encodeValue(copy).byteLength;
          expect(bytes).toBeGreaterThanOrEqual(real / 2 - 8);
          expect(bytes).toBeLessThanOrEqual(real * 2 + 8);
        },
      ),
    );
  });
});

describe("errorToData", () => {
  it("keeps code, data and causes of what was thrown", () => {
    const cause = Object.assign(new Error("connect refused"), { code: "ECONNREFUSED" });
    const error = Object.assign(new TypeError("lookup failed", { cause }), { data: { host: "db" } });
    expect(errorToData(error)).toStrictEqual({
      code: "ORCH_AGENT_FAILED",
      message: "lookup failed",
      name: "TypeError",
      data: { host: "db" },
      cause: { code: "ECONNREFUSED", message: "connect refused", name: "Error" },
    });
  });

  it("bounds causes and the message", () => {
    let error = new Error("last");
    for (let i = 0; i < 20; i++) error = new Error("m", { cause: error });
    let links = 0;
    for (let data = errorToData(error).cause; data !== undefined; data = data.cause) links++;
    expect(links).toBe(8);
    expect(errorToData(new Error("x".repeat(100_000))).message.length).toBe(16 * 1024);
  });

  it.each([
    ["a string", "boom", "boom"],
    ["null", null, "null"],
    ["a plain object", { status: 500 }, '{"status":500}'],
    [
      "an accessor that throws",
      {
        get message() {
          throw new Error("no");
        },
      },
      "an object without a message was thrown",
    ],
    [
      "a cause that is itself",
      (() => {
        const e: Error = new Error("round");
        e.cause = e;
        return e;
      })(),
      "round",
    ],
  ])("describes %s", (_, thrown, message) => {
    expect(errorToData(thrown).message).toBe(message);
  });

  it("drops data that cannot be stored", () => {
    expect(errorToData(Object.assign(new Error("x"), { data: { fn: () => 1 } }))).toStrictEqual({
      code: "ORCH_AGENT_FAILED",
      message: "x",
      name: "Error",
    });
  });
});
