// The command line at a real terminal, as a person meets it.

import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { afterEach, beforeAll, describe, expect, it } from "vitest";

import { ensureBuilt } from "../package/project.ts";
import { ASKING, place, SLOW } from "./command-line.ts";
import { CTRL_C, terminal, type Terminal, type TerminalOptions } from "./terminal.ts";

beforeAll(ensureBuilt);
const at = place();
const opened: Terminal[] = [];
afterEach(() => {
  for (const one of opened.splice(0)) one.kill();
});
const sit = (args: readonly string[], options: Partial<TerminalOptions> = {}): Terminal => {
  const one = terminal(args, { cwd: at.folder, ...options });
  opened.push(one);
  return one;
};
const store = ["--store", "./state"];
const go = (): void => writeFileSync(join(at.folder, "go"), "");
// oxlint-disable-next-line no-control-regex
const COLOUR = /\u001b\[\d+m/;

describe("progress at a terminal", () => {
  it("draws what runs anew on one line, and leaves only what has happened", async () => {
    at.file("slow.mjs", SLOW.replace('console.error("A works");', ""));
    const run = sit(["run", "slow.mjs", "-t", "x"]);
    await run.shows("⠋ A · 0 done");
    await run.shows("⠙ A");
    go();
    expect(await run.ended).toBe(0);
    expect(run.shown).toMatch(
      /^▶ run \w+ in session \w+ \(2 nodes, 1 edges\)\n {2}A ✓ .*\n {2}B ✓ .*\n■ completed\nXA\n?$/,
    );
    expect(run.raw).toMatch(COLOUR);
  });

  it("keeps out of the way of what agents print themselves", async () => {
    at.file("slow.mjs", SLOW.replace("await sleep(10)", 'await sleep(150), console.log("still at it")'));
    const run = sit(["run", "slow.mjs", "-t", "x"]);
    await run.shows("still at it");
    await run.shows("⠹ A");
    go();
    expect(await run.ended).toBe(0);
    expect(run.shown.split("\n").filter((line) => line.includes("still at it"))).toContain("still at it");
    expect(run.shown).not.toMatch(/[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]/u);
  });

  it("fits a narrow terminal, also with wide letters", async () => {
    const name = "とても長い名前の担当者";
    at.file(
      "narrow.mjs",
      SLOW.replaceAll("A:", `${name}:`)
        .replaceAll('"A"', `"${name}"`)
        .replace("A -> B", `${name} -> B`)
        .replace('console.error("A works");', ""),
    );
    const run = sit(["run", "narrow.mjs", "-t", "x"], { columns: 20 });
    await run.shows("⠹ とても長い");
    const lastLine = (): string => run.shown.split("\n").at(-1) ?? "";
    // A line may come in pieces.
    await expect.poll(lastLine).toMatch(/…$/);
    const live = lastLine();
    const width = [...live].reduce((sum, letter) => sum + (/[\u3000-\u9fff]/.test(letter) ? 2 : 1), 0);
    expect(width).toBeLessThan(20);
    go();
    expect(await run.ended).toBe(0);
    expect(run.shown).not.toContain("…");
  });

  it.each([
    ["NO_COLOR", { NO_COLOR: "1" }],
    ["a dumb terminal", { TERM: "dumb" }],
  ])("has no colours with %s", async (_, env) => {
    at.file("slow.mjs", SLOW);
    go();
    const run = sit(["run", "slow.mjs", "-t", "x"], { env });
    expect(await run.ended).toBe(0);
    expect(run.shown).toContain("A ✓");
    expect(run.raw).not.toMatch(COLOUR);
  });
});

it("has neither colours nor a live line where it is piped", async () => {
  at.file("slow.mjs", SLOW);
  go();
  const { out, err } = await at.start(["run", "slow.mjs", "-t", "x"]).ended;
  expect(out).toBe("XA\n");
  // oxlint-disable-next-line no-control-regex
  expect(err).not.toMatch(/\u001b|⠋/);
  expect(err).toMatch(/ {2}A …\n[^]* {2}A ✓/);
});

it("takes the answer to a question at the prompt", async () => {
  at.file("asking.mjs", ASKING);
  const run = sit(["run", "asking.mjs", "-t", "x"]);
  await run.shows("[Asker] really?");
  run.type("yes, reallu\u007fy\r");
  expect(await run.ended).toBe(0);
  expect(run.shown).toMatch(
    /Asker asks[^]*\[Asker\] really\?\n│ {2}yes, really\n[^]*■ completed\nyou said yes, really\n?$/,
  );
});

describe("Ctrl-C", () => {
  it("lets steps in flight finish, says the command to go on with, and that command works", async () => {
    at.file("slow.mjs", SLOW);
    const run = sit(["run", "slow.mjs", "-t", "x", "-s", "k", ...store]);
    await run.shows("A works");
    run.type(CTRL_C);
    await run.shows("SIGINT: letting steps in flight finish");
    go();
    expect(await run.ended).toBe(130);
    const line = /go on with: orchestra (.*)/.exec(run.shown)?.[1] ?? "";
    expect(line).toBe("resume k --file slow.mjs --store ./state");
    const resumed = sit(line.split(" "));
    expect(await resumed.ended).toBe(0);
    expect(resumed.shown).toMatch(/XA\n?$/);
    expect(resumed.shown).not.toContain("A works");
  });

  it("twice ends it at once", async () => {
    at.file("slow.mjs", SLOW);
    const run = sit(["run", "slow.mjs", "-t", "x", "-s", "k", ...store]);
    await run.shows("A works");
    run.type(CTRL_C);
    await run.shows("SIGINT: letting steps in flight finish");
    run.type(CTRL_C);
    expect(await run.ended).toBe(130);
    expect((await at.call(["sessions", ...store])).out).toMatch(/^k +interrupted/);
  });

  it("at a question leaves it open, to be answered later", async () => {
    at.file("asking.mjs", ASKING);
    const run = sit(["run", "asking.mjs", "-t", "x", "-s", "talk", ...store]);
    await run.shows("[Asker] really?");
    run.type(CTRL_C);
    expect(await run.ended).toBe(130);
    expect(run.shown).toContain("go on with: orchestra resume talk");
    const resumed = sit(["resume", "talk", "--file", "asking.mjs", ...store]);
    await resumed.shows("[Asker] really?");
    resumed.type("now\r");
    expect(await resumed.ended).toBe(0);
    expect(resumed.shown).toMatch(/you said now\n?$/);
  });
});
