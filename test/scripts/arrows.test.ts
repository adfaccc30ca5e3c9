import { describe, expect, it } from "vitest";
import { findViolations } from "../../scripts/arrows.ts";

function broken(files: Record<string, string>): string[] {
  return findViolations(new Map(Object.entries(files))).map(({ rule, file, line }) => `${rule} ${file}:${line}`);
}

describe("the arrows", () => {
  it("allow what points down", () => {
    expect(
      broken({
        "src/base/ids.ts": "export type Id = string;",
        "src/topology/plan.ts": 'import type { Id } from "../base/ids.ts"; export type Plan = Id;',
        "src/actors/reduce.ts":
          'import { plan } from "../topology/plan.ts"; import { setup } from "xstate"; setup(plan);',
        "src/state/ports.ts": 'import type { Fact } from "../actors/facts.ts"; export type F = Fact;',
        "src/index.ts": 'export { run } from "./runtime/orchestra.ts";',
        "src/cli/main.ts": 'import { run } from "../index.ts"; run(process.env, Date.now());',
      }),
    ).toEqual([]);
  });

  it("refuse what points up, by line, type imports included", () => {
    expect(
      broken({
        "src/topology/plan.ts": '\nimport { reduce } from "../actors/reduce.ts"; reduce();',
        "src/bus/ports.ts": 'export type S = import("../state/ports.ts").Store;',
        "src/runtime/engine.ts": 'export type { Tool } from "../agents/tool.ts";\nawait import("../cli/main.ts");',
        "src/base/ids.ts": 'import "../../test/world.ts";',
        "src/shelf/new.ts": 'import "../base/ids.ts";',
      }),
    ).toEqual([
      "A1 src/base/ids.ts:1",
      "A1 src/bus/ports.ts:1",
      "A1 src/runtime/engine.ts:1",
      "A1 src/runtime/engine.ts:2",
      "A1 src/shelf/new.ts:1",
      "A1 src/topology/plan.ts:2",
    ]);
  });

  it("tell a type import from a value import where only types may pass", () => {
    const values = 'import { reduce } from "../actors/facts.ts"; reduce();';
    const mixed = 'import { type Fact, reduce } from "../actors/facts.ts"; reduce({} as Fact);';
    const types = 'import { type Fact } from "../actors/facts.ts"; export type F = Fact;';
    expect(broken({ "src/state/a.ts": values, "src/state/b.ts": mixed, "src/state/c.ts": types })).toEqual([
      "A1 src/state/a.ts:1",
      "A1 src/state/b.ts:1",
    ]);
  });

  it("find a circle of type imports once, at the import that closes it", () => {
    expect(
      broken({
        "src/base/a.ts": 'import type { B } from "./b.ts"; export type A = B;',
        "src/base/b.ts": 'import type { C } from "./c.ts"; export type B = C;',
        "src/base/c.ts": '\n\nimport type { A } from "./a.ts"; export type C = A;',
      }),
    ).toEqual(["A2 src/base/c.ts:3"]);
  });

  it.each([
    "Date.now()",
    "new Date()",
    "Math.random()",
    "globalThis.performance.now()",
    "setTimeout(() => undefined, 1)",
    "setInterval(() => undefined, 1)",
    "randomUUID()",
    "crypto.randomUUID()",
    "AbortSignal.timeout(5)",
    'import { setTimeout as sleep } from "node:timers/promises"; sleep(1);',
  ])("refuse %s outside the adapters", (code) => {
    expect(broken({ "src/runtime/timers.ts": code })).toEqual(["A3 src/runtime/timers.ts:1"]);
    expect(broken({ "src/base/clock.ts": code })).toEqual([]);
  });

  it("let a date be made from a number", () => {
    expect(broken({ "src/runtime/timers.ts": "export const at = new Date(5);" })).toEqual([]);
  });

  it("keep the environment to the command line and packages to their folders", () => {
    const level = 'import { Level } from "level"; new Level("x");';
    expect(broken({ "src/runtime/options.ts": "export const home = process.env.HOME;" })).toEqual([
      "A4 src/runtime/options.ts:1",
    ]);
    expect(broken({ "src/state/level-store.ts": level })).toEqual([]);
    expect(broken({ "src/state/level-store.ts": level, "src/state/other.ts": level })).toHaveLength(2);
    expect(broken({ "src/topology/x.ts": 'await import("xstate/graph");' })).toEqual(["A5 src/topology/x.ts:1"]);
  });

  it("refuse a type forced by way of unknown", () => {
    expect(broken({ "src/base/x.ts": "export const n = 'a' as unknown as number;" })).toEqual(["A6 src/base/x.ts:1"]);
  });
});
