// `orchestra check` as a user meets it.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";

import { beforeEach, describe, expect, it } from "vitest";

import type { Io } from "../../src/cli/io.ts";
import { NO_TERMINAL } from "./command-line.ts";
import { runCli } from "../../src/cli/program.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "orchestra-check-"));
  return () => rmSync(folder, { recursive: true, force: true });
});

async function orchestra(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const said = { out: "", err: "" };
  const io: Io = {
    ...NO_TERMINAL,
    out: (text) => void (said.out += `${text}\n`),
    err: (text) => void (said.err += `${text}\n`),
    env: {},
    stdin: new PassThrough(),
    cwd: folder,
    onSignal: () => () => undefined,
    exit: () => undefined,
  };
  return { code: await runCli(args, io), ...said };
}

function file(name: string, topology: object): string {
  writeFileSync(join(folder, name), JSON.stringify(topology));
  return name;
}

const sound = { nodes: ["A", "B"], edges: ["A -> B"] };
const endless = { nodes: ["A", "B", "C"], edges: ["A -> B", "B -> C", "C -> B"] };

describe("orchestra check", () => {
  it("proves a sound topology and answers 0", async () => {
    const { code, out } = await orchestra("check", file("team.json", sound));
    expect(code).toBe(0);
    expect(out.trimEnd().split("\n").at(-1)).toMatch(
      /^team\.json: \d+ states looked at, which is all; at most 2 steps in the longest run; every run ends; every run in which no step fails delivers$/,
    );
  });

  it("tells an error with its run and answers 2", async () => {
    const { code, out } = await orchestra("check", file("team.json", endless));
    expect(code).toBe(2);
    expect(out.split("\n").slice(0, 6)).toEqual([
      "team.json: error: nothing but a failure or a command ends a run that has come to B and C [cycle_without_exit]",
      "    A is given the task",
      "    A returns a value",
      "    from here on it goes round:",
      "    B returns a value",
      "    C returns a value",
    ]);
  });

  it("says when it did not look at all states", async () => {
    const { code, out } = await orchestra("check", file("team.json", sound), "--max-states", "2");
    expect(code).toBe(0);
    expect(out).toContain("2 states looked at, not all: ");
    expect(out).not.toContain("every run");
  });

  it("prints the report as JSON, without an infinity", async () => {
    const report = JSON.parse((await orchestra("check", file("team.json", endless), "--json")).out) as object;
    expect(report).toMatchObject({
      ok: false,
      worstCaseSteps: null,
      complete: true,
      proven: { alwaysEnds: false },
      findings: [
        {
          code: "cycle_without_exit",
          schedule: expect.arrayContaining([
            { of: "step", id: "1.0.1", node: "A", end: "value", to: [], held: [], notHeld: [] },
          ]),
        },
        {},
      ],
    });
  });

  it("prints drawings as Markdown", async () => {
    const { out } = await orchestra("check", file("team.json", endless), "--mermaid");
    expect(out).toMatch(/^# team\.json\n[^]*## error: [^]*\n\n```mermaid\nflowchart TD\n[^]*```\n/);
  });

  it("takes condition functions from a module, and error routing away", async () => {
    writeFileSync(
      join(folder, "team.ts"),
      `export const topology = { nodes: ["A", "B", "H"], edges: [{ from: "A", to: "B", condition: "is it so?" }, { from: "A", to: "H", on: "error" }] };
       export const conditions = { "is it so?": () => true };`,
    );
    const routed = await orchestra("check", "team.ts", "--json");
    expect(JSON.parse(routed.out)).toMatchObject({ ok: true, worstCaseSteps: 2 });
    const alone = await orchestra("check", "team.ts", "--no-error-routing");
    expect(alone.out).toContain("the failure of A or B can end the run");
  });

  it("says what is wrong with a topology that cannot run, and answers 2", async () => {
    const { code, out, err } = await orchestra("check", file("team.json", { nodes: ["A"], edges: ["A -> B"] }));
    expect([code, out]).toEqual([2, ""]);
    expect(err).toContain("[unknown_node]");
  });

  it("refuses a bound that is none, and teaches by --help", async () => {
    expect((await orchestra("check", file("team.json", sound), "--max-states", "0")).code).toBe(2);
    expect((await orchestra("check", "team.json", "--json", "--mermaid")).err).toContain("leave out --mermaid");
    const { code, out } = await orchestra("check", "--help");
    expect(code).toBe(0);
    for (const part of ["Examples:", "--max-states", "Exit codes:"]) expect(out).toContain(part);
  });
});
