// The cluster demonstration, as a reader of its page would run it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";

import { describe, expect, it } from "vitest";

import { judge, type Start } from "../../../examples/cluster/verdict.ts";
import type { RunEvent } from "../../../src/index.ts";

const PROJECT = new URL("../../../", import.meta.url);

describe("npm run demo:cluster", () => {
  it("kills the owner in mid-run, and the run finishes with nothing lost or repeated", async () => {
    const child = spawn(process.execPath, ["--import", "jiti/register", "examples/cluster/main.ts"], {
      cwd: PROJECT,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
    expect(code, `${err}${out}`).toBe(0);
    expect(err).toContain("killed with SIGKILL; another takes over");
    expect(out).toContain("16, each with exactly one result");
    expect(out).toContain("none of them run again");
  });
});

describe("the verdict", () => {
  const finished = (stepId: string, seq: number): RunEvent =>
    ({ type: "step.succeeded", stepId, node: "A", seq }) as RunEvent;
  const end = { type: "run.completed", seq: 9 } as RunEvent;
  const start = (stepId: string, host: string): Start => ({ host, sessionId: "s", node: "A", stepId });
  const kill = { killed: "north", shown: ["1"] };

  it("is clean when only what was in flight on the killed host ran again", () => {
    const starts = [start("1", "north"), start("2", "north"), start("2", "east")];
    const verdict = judge([finished("1", 1), finished("2", 2), end], starts, kill);
    expect(verdict).toMatchObject({ violations: [], runAgain: ["A (2)"] });
  });

  it.each([
    ["a finished step that ran again", [finished("1", 1), end], [start("1", "north"), start("1", "east")], "ran again"],
    ["a result recorded twice", [finished("1", 1), finished("1", 2), end], [start("1", "north")], "2 recorded results"],
    ["a finished step that is lost", [end], [start("1", "north")], "no result of it"],
    ["a run that never completed", [finished("1", 1)], [start("1", "north")], "completed 0 times"],
    ["events out of order", [finished("1", 2), { ...end, seq: 1 } as RunEvent], [start("1", "north")], "came after"],
    [
      "two hosts that ran one step, neither killed",
      [finished("1", 1), finished("2", 2), end],
      [start("1", "north"), start("2", "east"), start("2", "west")],
      "none of which was killed",
    ],
  ])("finds %s", (_, events, starts, violation) => {
    expect(judge(events, starts, kill).violations.join()).toContain(violation);
  });
});
