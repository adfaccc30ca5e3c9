import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { isAtLeast } from "../../src/cli/doctor-checks.ts";
import { ASKING, place } from "./command-line.ts";

const at = place();

interface Report {
  ok: boolean;
  findings: { name: string; verdict: string; found: string; cure?: string }[];
}
async function examine(...args: string[]): Promise<Report & { code: number | null }> {
  const { code, out } = await at.call(["doctor", "--json", ...args]);
  return { ...(JSON.parse(out) as Report), code };
}
const verdicts = ({ findings }: Report): Record<string, string> =>
  Object.fromEntries(findings.map(({ name, verdict }) => [name, verdict]));

describe("orchestra doctor", () => {
  it("finds this machine fit, measures what a durable write costs, and leaves nothing behind", async () => {
    const report = await examine();
    expect(report).toMatchObject({ ok: true, code: 0 });
    expect(verdicts(report)).toMatchObject({ node: "ok", versions: "ok", "classic-level": "ok", disk: "ok" });
    expect(report.findings.find(({ name }) => name === "fsync")?.found).toMatch(/^\d+\.\d+ ms median/);
    expect(report.findings.find(({ name }) => name === "versions")?.found).toMatch(
      /orchestra \d.*classic-level \d.*xstate \d/,
    );
    expect(readdirSync(at.folder)).toEqual([]);
    expect((await at.call(["doctor"])).out).toMatch(/^✓ node +v\d/);
  });

  it("looks at a store without making one, and says what it holds", async () => {
    expect(verdicts(await examine("--store", "./state"))["store"]).toBe("note");
    expect(readdirSync(at.folder)).toEqual([]);
    at.file("asking.mjs", ASKING);
    await at.call(["run", "asking.mjs", "-t", "x", "-q", "--store", "./state"]);
    const { findings } = await examine("--store", "./state");
    expect(findings.at(-1)).toMatchObject({
      name: "store",
      verdict: "ok",
      found: expect.stringContaining("1 sessions"),
    });
  });

  it("says what is wrong with a store and how to mend it, with code 1", async () => {
    at.file("state", "a file");
    const file = await examine("--store", "./state");
    expect(file).toMatchObject({ ok: false, code: 1 });
    expect(verdicts(file)).toMatchObject({ fsync: "wrong", store: "wrong" });
    for (const { verdict, cure } of file.findings) if (verdict === "wrong") expect(cure).toMatch(/\w/);
    rmSync(join(at.folder, "state"));
    mkdirSync(join(at.folder, "state"));
    writeFileSync(join(at.folder, "state/CURRENT"), "MANIFEST-000099\n");
    const broken = await examine("--store", "./state");
    expect(broken).toMatchObject({ ok: false, code: 1 });
    expect(broken.findings.at(-1)).toMatchObject({
      verdict: "wrong",
      cure: expect.stringMatching(/docs\/errors.md#orch_store/),
    });
    expect((await at.call(["doctor", "--store", "./state"])).out).toMatch(/✗ store +ORCH_STORE_\w+[^]*→ see/);
  });

  it.each([
    ["20.19.0", true],
    ["20.20.1", true],
    ["22.0.0", true],
    ["20.18.9", false],
    ["18.20.0", false],
  ])("compares versions: %s is enough: %s", (version, enough) => {
    expect(isAtLeast(version, ">=20.19.0")).toBe(enough);
  });
});
