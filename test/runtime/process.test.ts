import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LevelStorage } from "../../src/state/level-store.ts";
import { code, world } from "./world.ts";
import { childProgram } from "../support/child-program.ts";

const CHILD = await childProgram(new URL("./fixture-child.ts", import.meta.url));

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "orchestra-process-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function start(mode: string): { child: ReturnType<typeof spawn>; said: Promise<string> } {
  const child = spawn(process.execPath, [CHILD, folder, mode], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const said = once(child.stdout!, "data").then(([data]) => String(data).trim());
  return { child, said };
}

describe("a process", () => {
  it("ends by itself after its run, without closing the engine", async () => {
    const { child, said } = start("whole");
    expect(await said).toBe("tabc");
    const [exitCode] = await once(child, "exit");
    expect(exitCode).toBe(0);
  });

  it("that is killed in the middle of a step leaves a session that another one brings to its end", async () => {
    const { child, said } = start("stuck");
    expect(await said).toBe("stuck");
    child.kill("SIGKILL");
    await once(child, "exit");
    const store = new LevelStorage(folder, { durability: "process" });
    const { engine } = world({ store });
    const calls: string[] = [];
    const agents = code({
      A: () => {
        calls.push("A");
        return "?";
      },
      B: (x) => {
        calls.push("B");
        return `${x}B`;
      },
      C: (x) => `${x}C`,
    });
    const [recovered] = await engine.recover({ code: () => agents });
    expect((await recovered!.handle!.outcome).finalResponse).toBe("taBC");
    expect(calls).toEqual(["B"]);
    await engine.close();
    await store.close();
  });
});
