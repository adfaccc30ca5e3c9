// Nothing a command starts outlives it: not what ignores SIGTERM, not what it leaves behind, not what left its group, and
// not when the host is killed.

import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, describe, expect, it } from "vitest";

import { commandAgent, type CommandAgentOptions } from "orchestra/agents";
import { LevelStorage, Orchestra, OrchestraInstance, StateManager } from "orchestra";
import { childProgram } from "../../support/child-program.ts";

const folders: string[] = [];
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** Says the process ids of the leader and of what it started, in one line. */
const UNWILLING = ["-c", `trap "" TERM; sh -c 'trap "" TERM; while :; do sleep 0.1; done' & echo $$ $!; wait`];
/** The process id of one that left the group, and of two that did not and ignore SIGTERM. */
const BOTH = [
  "-c",
  `trap "" TERM; setsid sleep 1000 & escaped=$!; sh -c 'trap "" TERM; while :; do sleep 0.1; done' & echo $escaped $$ $!; wait`,
];
/** Its child leads a session of its own, so no signal to the group reaches it. */
const ESCAPING = ["-c", "setsid sleep 1000 & echo $$ $!; sleep 1000"];

const sh = (args: readonly string[], more: Partial<CommandAgentOptions> = {}) =>
  commandAgent({ name: "Command", command: "/bin/sh", args, killGraceMs: 300, ...more });

function start(agent: ReturnType<typeof commandAgent>) {
  const topology = { nodes: ["Command"], edges: [] };
  return Orchestra.stream({ task: "t", topology, agents: { Command: agent } });
}

async function pidsSaid(run: ReturnType<typeof start>): Promise<number[]> {
  for await (const event of run)
    if (event.type === "step.chunk") return (event.chunk as { text: string }).text.trim().split(" ").map(Number);
  throw new Error("the command said nothing");
}

/** Dead ones that nobody has collected yet are dead. */
function isAlive(pid: number): boolean {
  const { stdout } = spawnSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" });
  return stdout.trim() !== "" && !stdout.startsWith("Z");
}

async function gone(pids: readonly number[]): Promise<void> {
  await expect.poll(() => pids.filter(isAlive)).toEqual([]);
}

describe("a command and everything it started", () => {
  it.each([
    ["ignores SIGTERM", UNWILLING],
    ["left its group", ESCAPING],
  ])("is ended when it takes too long, also what %s", async (_, args) => {
    const run = start(sh(args, { timeoutMs: 400 }));
    const pids = await pidsSaid(run);
    expect(pids.map(isAlive)).toEqual([true, true]);
    const { error } = await run.result;
    expect(error).toMatchObject({ code: "ORCH_TIMEOUT", message: /took longer than 400 ms and was ended/ });
    // The step ends only when they have.
    expect(pids.map(isAlive)).toEqual([false, false]);
  });

  it("is ended when the run is cancelled", async () => {
    const run = start(sh(UNWILLING));
    const pids = await pidsSaid(run);
    await run.cancel("enough");
    expect((await run.result).status).toBe("cancelled");
    await gone(pids);
  });

  it("has time to put things in order after SIGTERM", async () => {
    const run = start(
      sh(["-c", `trap 'echo tidied; exit 0' TERM; echo $$; while :; do sleep 0.02; done`], {
        killGraceMs: 10_000,
        timeoutMs: 300,
      }),
    );
    const { error } = await run.result;
    expect(error).toMatchObject({ code: "ORCH_TIMEOUT", data: { stdout: /tidied/ } });
  });

  it("is ended when its leader exits and leaves it behind, with all that was written", async () => {
    const run = start(sh(["-c", `sh -c 'trap "" TERM; while :; do sleep 0.1; done' & echo $$ $!`]));
    const pids = await pidsSaid(run);
    expect((await run.result).orThrow().finalResponse).toMatchObject({ exitCode: 0, stdout: `${pids.join(" ")}\n` });
    expect(pids.map(isAlive)).toEqual([false, false]);
  });

  it("does not hold the step up when it left the group and keeps the output open", async () => {
    const run = start(sh(["-c", "setsid sleep 1000 & echo $$ $!"]));
    const pids = await pidsSaid(run);
    expect((await run.result).success).toBe(true);
    await gone(pids);
  });

  it("is ended when its host is killed; what left its group, before the step runs anew", async () => {
    const { child, pids, store } = await hosted();
    child.kill("SIGKILL");
    const [escaped = 0, ...group] = pids;
    await gone(group);
    expect(isAlive(escaped)).toBe(true);
    await using instance = new OrchestraInstance({
      agents: {
        Command: sh(["-c", `ps -o stat= -p ${escaped} | grep -q '^[^Z]' && echo alive || echo gone`], {
          value: "text",
        }),
      },
      stateManager: new StateManager({ storage: new LevelStorage(store) }),
    });
    expect((await instance.resumeSession("killed")).orThrow().finalResponse).toBe("gone");
  });
});

async function hosted(): Promise<{ child: ChildProcess; pids: number[]; store: string }> {
  const store = mkdtempSync(join(tmpdir(), "orchestra-command-"));
  folders.push(store);
  const program = await childProgram(new URL("./host-child.ts", import.meta.url));
  const child = spawn(process.execPath, [program, store, "killed", "/bin/sh", ...BOTH], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  for await (const line of createInterface({ input: child.stdout }))
    return { child, store, pids: (JSON.parse(line) as { text: string }).text.trim().split(" ").map(Number) };
  throw new Error("the host said nothing");
}
