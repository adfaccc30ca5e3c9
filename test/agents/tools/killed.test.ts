// What becomes of tool calls and approvals when processes are killed with SIGKILL.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { effects, four, paying } from "./teams.ts";
import { childProgram } from "../../support/child-program.ts";

const CHILD = await childProgram(new URL("./killed-child.ts", import.meta.url));
const CLI = fileURLToPath(new URL("../../../src/cli/main.ts", import.meta.url));

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "orchestra-tools-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function killedWhenReady(mode: string): Promise<void> {
  const child = start(CHILD, folder, mode);
  const ended = once(child, "exit");
  const said = once(child.stdout, "data").then(([data]) => String(data));
  expect(await Promise.race([said, ended.then(() => "ended")])).toBe("ready\n");
  child.kill("SIGKILL");
  expect(await ended).toEqual([null, "SIGKILL"]);
}

const start = (...args: string[]) => spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });

describe("an approval", () => {
  it("outlives who asked; another process answers, a third runs the tool, once", async () => {
    await killedWhenReady("asked");
    const answering = start(
      "--import",
      "jiti/register",
      CLI,
      "answer",
      "s",
      "approve",
      "--store",
      join(folder, "state"),
    );
    const [code] = await once(answering, "exit");
    expect(code).toBe(0);
    expect(effects(folder)).toEqual([]);

    await using instance = paying(folder);
    expect((await instance.resumeSession("s")).orThrow().finalResponse).toBe("paid 90");
    expect(effects(folder)).toEqual(["paid 90"]);
  });
});

describe("a tool whose process was killed", () => {
  it("is not run again unless it is idempotent or a person says so, nor when its outcome was recorded", async () => {
    await killedWhenReady("calling");
    expect(effects(folder)).toEqual(["again", "ask", "once", "report"]);

    await using instance = four(folder);
    const waiting = await instance.resumeSession("s");
    expect(waiting.metadata.questions).toMatchObject([
      { node: "Ask", prompt: { kind: "approval", tool: "ask", why: "outcome-unknown" } },
    ]);
    expect(effects(folder)).toEqual(["again", "again", "ask", "once", "report"]);

    const result = (await instance.resumeSession("s", { userResponse: "approve" })).orThrow();
    expect(result.finalResponse).toEqual([
      { type: "failed", error: expect.objectContaining({ code: "ORCH_TOOL_OUTCOME_UNKNOWN" }) },
      { type: "value", value: "ask done" },
      { type: "value", value: "again done" },
      { type: "value", value: "once done" },
    ]);
    expect(effects(folder)).toEqual(["again", "again", "ask", "ask", "once", "report"]);
  });
});
