// Callers, criteria, commands and folders that do what nobody should.

import { mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { memoryStorage, StateManager, type Logger } from "orchestra";
import {
  createOrchestrator,
  scriptedBackend,
  type IterationTask,
  type LoopPolicy,
  type Orchestrator,
  type OrchestratorConfig,
  type OrchestratorEvent,
  type StartRunInput,
} from "orchestra/orchestrator";

const PATIENT = { timeout: 60_000 };

let cwd: string;
let opened: Orchestrator[];
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), "orchestrator-"));
  opened = [];
});
afterEach(async () => {
  for (const one of opened) await one.close();
  await rm(cwd, { recursive: true, force: true });
});

function orchestrator(config: Partial<OrchestratorConfig> = {}): Orchestrator {
  const made = createOrchestrator({ agents: { Builder: ({ iteration }: IterationTask) => iteration }, ...config });
  opened.push(made);
  return made;
}

/** An agent that says when it is at work, and ends by its signal only. */
function endless(): { readonly agents: OrchestratorConfig["agents"]; readonly began: Promise<void> } {
  let begun = (): void => {};
  const began = new Promise<void>((resolve) => (begun = resolve));
  const run: OrchestratorConfig["agents"] = {
    Endless: (_task: unknown, { signal }) => {
      begun();
      return new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    },
  };
  return { agents: run, began };
}

async function failedChecks(one: Orchestrator, runId: string): Promise<string[]> {
  const events = await one.getRunEvents(runId);
  return events.flatMap((event) => (event.type === "check.failed" ? [event.payload.output] : []));
}

function refused(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    expect(error).toMatchObject({ code: "ORCH_BAD_OPTION" });
    return (error as Error).message;
  }
  throw new Error("it was taken");
}

describe("names of runs that cannot be", () => {
  it.each(["", "no such run!", "../../etc/passwd", "x".repeat(300), "ü"])("are unknown: %j", async (runId) => {
    const one = orchestrator();
    expect(await one.getRunStatus(runId)).toMatchObject({ phase: "unknown", progress: 0, finished: false });
    expect(await one.cancelRun(runId)).toMatchObject({ success: false, error: expect.stringContaining("no run") });
    expect(await one.getRunArtifacts(runId)).toEqual({ commits: [], testLogs: [], memoryWrites: [] });
    expect(await one.getRunEvents(runId)).toEqual([]);
    await expect(one.resumeRun(runId)).rejects.toMatchObject({ code: "ORCH_SESSION_UNKNOWN" });
    await expect(one.getRunResult(runId)).rejects.toMatchObject({ code: "ORCH_SESSION_UNKNOWN" });
  });

  it("are refused for new ones", () => {
    expect(refused(() => orchestrator().startRun({ description: "x", runId: "no such run!" }))).toMatch(
      /expected 1 to 200/,
    );
  });
});

describe("options of wrong sorts", () => {
  it.each([
    [{ maxIterations: 0 }, "maxIterations"],
    [{ maxIterations: Number.NaN }, "maxIterations"],
    [{ maxIterations: Infinity }, "maxIterations"],
    [{ maxIterations: 1.5 }, "maxIterations"],
    [{ maxDurationMs: 0 }, "maxDurationMs"],
    [{ maxDurationMs: -1 }, "maxDurationMs"],
    [{ maxDurationMs: Infinity }, "maxDurationMs"],
    [{ budgetLimits: { timeMs: Number.NaN } }, "timeMs"],
    [{ tokenBudget: -1 }, "tokenBudget"],
    [{ tokenBudget: Number.NaN }, "tokenBudget"],
    [{ budgetLimits: { tokens: Infinity } }, "tokens"],
    [{ budgetLimits: { costUsd: Number.NaN } }, "costUsd"],
    [{ budgetLimits: { costUsd: -0.5 } }, "costUsd"],
    [{ retryPolicy: { maxAttempts: 0 } }, "maxAttempts"],
    [{ retryPolicy: { backoffMs: -1 } }, "backoffMs"],
    [{ successCriteria: { custom: ["nobody"] } }, "nobody"],
    [{ unheardOf: true } as LoopPolicy, "unheardOf"],
  ] as readonly [LoopPolicy, string][])("are refused by name: %j", (loopPolicy, name) => {
    expect(refused(() => orchestrator().startRun({ description: "x", loopPolicy }))).toContain(name);
  });

  it("are refused where there is no input at all, or one of another sort", () => {
    const one = orchestrator();
    for (const input of [undefined, null, "x", [], 1])
      expect(refused(() => one.startRun(input as unknown as StartRunInput))).toMatch(/^startRun: expected an object/);
  });

  it("are refused of subscriptions and lists", async () => {
    const one = orchestrator();
    const { runId, result } = one.startRun({ description: "x" });
    await result;
    for (const after of [Number.NaN, -1, 1.5, "2"]) {
      expect(refused(() => one.subscribeRunEvents(runId, { after: after as number }))).toMatch(/after/);
      expect(refused(() => one.subscribeRunEvents(runId, () => undefined, { after: after as number }))).toMatch(
        /after/,
      );
    }
    for (const limit of [0, -1, Number.NaN, 1.5])
      await expect(one.listRuns({ limit })).rejects.toMatchObject({ code: "ORCH_BAD_OPTION" });
  });

  it("are refused of commands that nothing would ever run", () => {
    expect(refused(() => orchestrator({ commands: { test: "npm test" } }))).toMatch(
      /createOrchestrator\.commands\.test: .*tests/,
    );
  });

  it("are refused of criteria that are brought and are no functions", async () => {
    const one = orchestrator();
    const { runId, result } = one.startRun({ description: "x" });
    await result;
    await expect(one.resumeRun(runId, { custom: { mine: true as never } })).rejects.toMatchObject({
      code: "ORCH_BAD_OPTION",
      message: expect.stringContaining("resumeRun.custom"),
    });
  });
});

describe("budgets", () => {
  it.each([
    [1_001, 2, "converged"],
    // Of what is used up to the last, nothing is left for the checks of the second.
    [1_000, 1, "budget_exhausted"],
  ] as const)(
    "of %i tokens, where each of two iterations uses 500, allow %i and end as %s",
    async (tokenBudget, iterations, reason) => {
      const one = orchestrator({
        agents: { Spender: (_task: unknown, ctx) => ctx.usage({ inputTokens: 500 }) },
        backend: scriptedBackend({ lint: [1, 0] }),
      });
      const { result } = one.startRun({
        description: "x",
        loopPolicy: { tokenBudget, successCriteria: { lint: true } },
      });
      expect(await result).toMatchObject({ reason, iterations });
    },
  );
});

describe("a subscriber", () => {
  it("that throws later is reported once, and ends nothing", async () => {
    const errors: unknown[] = [];
    const logger: Logger = {
      ...{ info() {}, warn() {}, debug() {} },
      error: (...args: unknown[]) => void errors.push(args),
      child: () => logger,
    } as unknown as Logger;
    const one = orchestrator({ logger });
    const { runId, result } = one.startRun({ description: "x" });
    let told = 0;
    one.subscribeRunEvents(runId, async () => {
      told += 1;
      await Promise.reject(new Error("later"));
    });
    expect(await result).toMatchObject({ reason: "converged" });
    await expect.poll(() => told, PATIENT).toBe(4);
    await expect.poll(() => errors, PATIENT).toHaveLength(1);
  });

  it("of a run that goes on is let go when the orchestrator is closed", async () => {
    const { agents, began } = endless();
    const one = orchestrator({ agents });
    const { runId, result } = one.startRun({ description: "x" });
    const closed = expect(result).rejects.toMatchObject({ code: "ORCH_CLOSED" });
    const seen: OrchestratorEvent[] = [];
    const following = (async () => {
      for await (const event of one.subscribeRunEvents(runId)) seen.push(event);
    })();
    await began;
    await one.close();
    await following;
    await closed;
    expect(seen.some(({ type }) => type === "run.terminal")).toBe(false);
  });
});

describe("cancelling", () => {
  it("before anything has begun ends the run, once", async () => {
    const one = orchestrator();
    const { runId, result } = one.startRun({
      description: "x",
      loopPolicy: { successCriteria: { custom: () => new Promise<boolean>(() => undefined) } },
    });
    const answers = await Promise.all([one.cancelRun(runId), one.cancelRun(runId), one.cancelRun(runId)]);
    expect(answers.filter(({ success }) => success)).toHaveLength(1);
    expect(await result).toMatchObject({ reason: "cancelled" });
  });

  it("ends a criterion that never answers, and a command with what it has started", async () => {
    const pids = join(cwd, "pid");
    const one = orchestrator();
    const child = `require("fs").writeFileSync(${JSON.stringify(pids)}, String(process.pid)); setInterval(() => {}, 1000)`;
    const script = `require("child_process").spawn(process.execPath, ["-e", ${JSON.stringify(child)}], { stdio: "ignore" }); setInterval(() => {}, 1000)`;
    const { runId, result } = one.startRun({
      description: "x",
      cwd,
      loopPolicy: { successCriteria: { tests: [process.execPath, "-e", script] } },
    });
    const pid = await vi.waitUntil(async () => Number(await readFile(pids, "utf8").catch(() => "0")), {
      timeout: 60_000,
    });
    expect(await one.cancelRun(runId)).toEqual({ success: true });
    expect(await result).toMatchObject({ reason: "cancelled" });
    await vi.waitUntil(() => !isAlive(pid), PATIENT);
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe("resuming", () => {
  it("twice at once, and while it runs, follows the same run", async () => {
    const stateManager = new StateManager({ storage: memoryStorage() });
    const { agents, began } = endless();
    const one = orchestrator({ agents, stateManager });
    const { runId, result } = one.startRun({ description: "x" });
    await began;
    await one.instance.pauseSession(runId, "enough", { inFlight: "abort" });
    const handles = await Promise.all([one.resumeRun(runId), one.resumeRun(runId)]);
    handles.push(await one.resumeRun(runId));
    await expect.poll(async () => (await one.getRunStatus(runId)).waiting).toBe(undefined);
    await one.cancelRun(runId);
    for (const handle of [{ result }, ...handles]) expect(await handle.result).toMatchObject({ reason: "cancelled" });
  });

  it("of a run that has ended is refused", async () => {
    const one = orchestrator();
    const { runId, result } = one.startRun({ description: "x" });
    await result;
    const again = await one.resumeRun(runId);
    await expect(again.result).rejects.toMatchObject({ code: "ORCH_SESSION_STATE" });
  });

  it("does not take a property that every object has for a criterion", async () => {
    const stateManager = new StateManager({ storage: memoryStorage() });
    const config = { stateManager, backend: "test" } as const;
    const first = orchestrator({ ...config, criteria: { toString: () => false } });
    const { runId } = first.startRun({
      description: "x",
      loopPolicy: { maxIterations: 1_000, successCriteria: { custom: ["toString"] } },
    });
    await expect.poll(async () => (await first.getRunStatus(runId)).iteration).toBeGreaterThan(1);
    await first.instance.pauseSession(runId, "enough");
    await first.close();
    const second = orchestrator(config);
    void second.resumeRun(runId);
    await expect
      .poll(async () => (await second.getRunStatus(runId)).waiting)
      .toMatch(/no process here has the criterion "toString"/);
  });
});

describe("a command", () => {
  it("that cannot be found, hangs, or writes without end fails its check and says so", async () => {
    const one = orchestrator();
    const policy = (tests: NonNullable<LoopPolicy["successCriteria"]>["tests"]): LoopPolicy => ({
      maxIterations: 1,
      successCriteria: { tests: tests! },
    });
    const outputs: string[] = [];
    for (const tests of [
      "no-such-program-anywhere",
      {
        command: process.execPath,
        args: ["-e", "console.log('so far'); setInterval(() => {}, 1000)"],
        timeoutMs: 2_000,
      },
      [process.execPath, "-e", "for (let i = 0; i < 300000; i++) console.log('line ' + i); process.exitCode = 1"],
    ]) {
      const { runId, result } = one.startRun({ description: "x", cwd, loopPolicy: policy(tests) });
      expect(await result).toMatchObject({ reason: "budget_exhausted", budget: "iterations" });
      outputs.push(...(await failedChecks(one, runId)));
    }
    expect(outputs[0]).toMatch(/no-such-program-anywhere could not be started/);
    expect(outputs[1]).toMatch(/so far[^]*took longer than 2000 ms/);
    expect(outputs[2]).toMatch(/line 299999$/);
    expect(Buffer.byteLength(outputs[2]!)).toBeLessThan(4_200);
  });

  it("has the end of both of its streams told", async () => {
    const one = orchestrator();
    const script = `console.log("expected 1, got 2"); for (let i = 0; i < 2000; i++) console.error("npm warn " + i); process.exitCode = 1`;
    const { runId, result } = one.startRun({
      description: "x",
      cwd,
      loopPolicy: { maxIterations: 1, successCriteria: { tests: [process.execPath, "-e", script] } },
    });
    await result;
    expect(await failedChecks(one, runId)).toEqual([expect.stringMatching(/^expected 1, got 2\n[^]*npm warn 1999$/)]);
  });
});

describe("folders", () => {
  async function changed(
    change: (iteration: number) => Promise<unknown>,
    paths: Partial<StartRunInput>,
  ): Promise<string> {
    const one = orchestrator({
      agents: { Changer: ({ iteration }: IterationTask) => change(iteration).then(() => null) },
    });
    const { runId, result } = one.startRun({ description: "x", cwd, loopPolicy: { maxIterations: 1 }, ...paths });
    await result;
    return (await failedChecks(one, runId)).join("\n");
  }

  it("tell what was removed, renamed, linked, or made under a name that objects have", async () => {
    await mkdir(join(cwd, "src"));
    for (const name of ["gone", "old", "linked"]) await writeFile(join(cwd, "src", name), name);
    const said = await changed(
      async () => {
        await rm(join(cwd, "src", "gone"));
        await rename(join(cwd, "src", "old"), join(cwd, "new"));
        await rm(join(cwd, "src", "linked"));
        await symlink("/etc/passwd", join(cwd, "src", "linked"));
        await writeFile(join(cwd, "__proto__"), "");
      },
      { allowedPaths: ["docs"] },
    );
    expect(said.split("\n").map((line) => line.split(" ")[0])).toEqual([
      "__proto__",
      "new",
      "src/gone",
      "src/linked",
      "src/old",
    ]);
  });

  it("are told apart from files of the same beginning", async () => {
    const said = await changed(
      async () => {
        await mkdir(join(cwd, "src-generated"));
        await writeFile(join(cwd, "src-generated", "a"), "");
      },
      { allowedPaths: ["src/", "./lib/../src"] },
    );
    expect(said).toMatch(/^src-generated\/a has changed/);
  });

  it("that are left out of the look cannot be forbidden", () => {
    const one = orchestrator();
    for (const path of [".git", ".git/hooks", "packages/a/node_modules/b"])
      expect(refused(() => one.startRun({ description: "x", forbiddenPaths: [path] }))).toMatch(
        /forbiddenPaths: .*is not looked at/,
      );
  });

  it("that are not there fail the run that bounds what may change in them, by name", async () => {
    const one = orchestrator();
    const { result } = one.startRun({ description: "x", cwd: join(cwd, "nowhere"), allowedPaths: ["src"] });
    expect(await result).toMatchObject({ reason: "failed", error: { message: expect.stringContaining("nowhere") } });
  });
});
