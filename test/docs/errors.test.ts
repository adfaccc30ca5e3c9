import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { ERROR_CODES, OrchestraError } from "../../src/base/errors.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const page = readFileSync(`${root}/docs/errors.md`, "utf8");
const sections = page.split(/^### /m).slice(1);
const documented = sections.map((section) => section.slice(0, section.indexOf("\n")));

function sourcesOf(folder: string): string {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts") && !path.endsWith("base/errors.ts"))
    .map((path) => readFileSync(`${folder}/${path}`, "utf8"))
    .join("\n");
}

describe("docs/errors.md", () => {
  it("explains every code, and no other, in order", () => {
    expect(documented).toEqual(ERROR_CODES.toSorted());
  });

  it.each(sections.map((section) => [section.slice(0, section.indexOf("\n")), section]))(
    "gives a cause and a cure for %s",
    (_, section) => {
      expect(section).toMatch(/\*\*Cause\.\*\* \S/);
      expect(section).toMatch(/\*\*Cure\.\*\* \S/);
    },
  );

  it("lists every code once in the table at its head", () => {
    const linked = [...page.matchAll(/\[(ORCH_\w+)\]\(#(\w+)\)/g)];
    expect(linked.map(([, code = ""]) => code).toSorted()).toEqual(ERROR_CODES.toSorted());
    for (const [, code, anchor] of linked) expect(anchor).toBe(code?.toLowerCase());
  });

  it("is where an error points", () => {
    expect(new OrchestraError("ORCH_TIMEOUT", "too late").docs).toBe("docs/errors.md#orch_timeout");
  });

  it("holds no code that the source never raises, and misses none that it does", () => {
    const raised = new Set([...sourcesOf(`${root}/src`).matchAll(/"(ORCH_[A-Z_]*[A-Z])"/g)].map(([, code]) => code));
    expect(documented.filter((code) => !raised.has(code))).toEqual([]);
    expect([...raised].filter((code) => code !== undefined && !documented.includes(code))).toEqual([]);
  });
});
