// The contract of entry points that have one: what they declare is what docs/api says.

import { existsSync, readFileSync } from "node:fs";
import { beforeAll, expect, it } from "vitest";
import { CONTRACT_VERSION } from "orchestra/orchestrator";
import { apiReport, reportPath } from "../../scripts/api-report.ts";
import { ensureBuilt } from "./project.ts";

beforeAll(ensureBuilt);

it("orchestra/orchestrator declares what docs/api/orchestrator.d.ts.txt says; if that is meant: npm run api-report, and CONTRACT_VERSION", () => {
  const path = reportPath("orchestrator");
  expect(apiReport("orchestrator")).toBe(existsSync(path) ? readFileSync(path, "utf8") : "");
});

it("its version is in its report", () => {
  expect(readFileSync(reportPath("orchestrator"), "utf8")).toContain(`CONTRACT_VERSION = "${CONTRACT_VERSION}"`);
});

it("every name in it can be imported: from itself, or from an entry point that its users have anyway", () => {
  const report = readFileSync(reportPath("orchestrator"), "utf8").replace(/\/\*\*[^]*?\*\/|\/\/.*|"[^"]*"/g, "");
  const declared = report.matchAll(
    /^export (?:declare )?(?:abstract )?(?:type|interface|class|const|function) (\w+)/gm,
  );
  const others = ["index", "memory/index", "agents/index"].map((entry) =>
    readFileSync(new URL(`../../src/${entry}.ts`, import.meta.url), "utf8"),
  );
  const offered = new Set([...declared, ...others.join("\n").matchAll(/\b([A-Z]\w+)\b/g)].map(([, name]) => name));
  const used = [...report.matchAll(/\b[A-Z]\w+\b/g)].map(([name]) => name);
  expect([...new Set(used)].filter((name) => !offered.has(name) && !LANGUAGE.has(name))).toEqual([]);
});

const LANGUAGE = new Set([
  "AbortSignal",
  "AsyncDisposable",
  "AsyncIterable",
  "Exclude",
  "Promise",
  "Readonly",
  "Record",
  "Symbol",
]);
