// The lifecycle of runs and their loop, as a caller sees it.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { memoryStorage, StateManager, type AgentFunction } from "orchestra";
import { SimClock } from "orchestra/testing";
import {
  createOrchestrator,
  scriptedBackend,
  type IterationTask,
  type Orchestrator,
  type OrchestratorConfig,
  type OrchestratorEvent,
} from "orchestra/orchestrator";

const open: Orchestrator[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});

const BUILD: AgentFunction = (task: IterationTask) => `built ${task.iteration}`;

function orchestrator(config: Partial<OrchestratorConfig> = {}): Orchestrator {
  const made = createOrchestrator({ agents: { Builder: BUILD }, backend: "test", ...config });
  open.push(made);
  return made;
}

async function eventsOf(one: Orchestrator, runId: string, after = 0): Promise<OrchestratorEvent[]> {
  const events: OrchestratorEvent[] = [];
  for await (const event of one.subscribeRunEvents(runId, { after })) events.push(event);
  return events;
}

describe("a run", () => {
  it("is handed out before its agent has done anything, and tells where it stands", async () => {
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => (release = resolve));
    let isAsked = false;
    const Slow = (): Promise<string> => ((isAsked = true), gate.then(() => "done"));
    const one = orchestrator({ agents: { Slow } });
    const { runId, result } = one.startRun({ description: "wait" });
    expect(isAsked).toBe(false);
    expect(["pending", "running"]).toContain((await one.getRunStatus(runId)).phase);
    release();
    expect(await result).toMatchObject({ runId, reason: "converged", iterations: 1, output: "done" });
    expect(await one.getRunStatus(runId)).toMatchObject({ phase: "completed", progress: 100, finished: true });
  });

  it("that nobody knows has the phase unknown, and cannot be cancelled", async () => {
    const one = orchestrator();
    expect(await one.getRunStatus("nope")).toEqual({ phase: "unknown", progress: 0, finished: false, iteration: 0 });
    expect(await one.cancelRun("nope")).toEqual({ success: false, error: 'no run "nope"' });
  });

  it("has converged in the iteration in which its checks pass", async () => {
    const one = orchestrator({ backend: scriptedBackend({ tests: [1, 1, 0] }) });
    const { runId, result } = one.startRun({
      description: "make it pass",
      loopPolicy: { maxIterations: 5, successCriteria: { tests: true } },
    });
    expect(await result).toMatchObject({ reason: "converged", iterations: 3, output: "built 3" });
    expect((await eventsOf(one, runId)).map(({ type }) => type)).toEqual([
      "run.started",
      ...["iteration.started", "check.started", "check.failed", "iteration.completed"],
      ...["iteration.started", "check.started", "check.failed", "iteration.completed"],
      ...["iteration.started", "check.started", "check.passed", "iteration.completed"],
      "run.terminal",
    ]);
  });

  it("ends after maxIterations when they never pass", async () => {
    const one = orchestrator({ backend: scriptedBackend({ tests: [1] }) });
    const { runId, result } = one.startRun({
      description: "cannot be done",
      loopPolicy: { maxIterations: 2, successCriteria: { unit: true } },
    });
    expect(await result).toMatchObject({ reason: "budget_exhausted", budget: "iterations", iterations: 2 });
    expect(await one.getRunStatus(runId)).toMatchObject({ phase: "failed", finished: true, iteration: 2 });
  });

  it("is ended by maxDurationMs, and its agent told", async () => {
    const aborted: unknown[] = [];
    const clock = new SimClock();
    let begin = (): void => {};
    const begun = new Promise<void>((resolve) => (begin = resolve));
    const one = orchestrator({
      clock,
      agents: {
        Slow: (_task, { signal }) =>
          new Promise((resolve) => {
            signal.addEventListener("abort", () => resolve(aborted.push("told")), { once: true });
            begin();
          }),
      },
    });
    const { result } = one.startRun({ description: "too long", loopPolicy: { maxDurationMs: 100 } });
    await begun;
    await clock.advance(100);
    expect(await result).toMatchObject({ reason: "budget_exhausted", budget: "duration", iterations: 0 });
    expect(aborted).toEqual(["told"]);
  });

  it.each([
    ["tokens", { budgetLimits: { tokens: 1_000 } }, { inputTokens: 600 }],
    ["tokens", { tokenBudget: 1_000 }, { outputTokens: 600 }],
    ["cost", { budgetLimits: { costUsd: 1 } }, { costUsd: 0.6 }],
  ] as const)("is ended by its budget of %s (%j)", async (budget, limits, used) => {
    let calls = 0;
    const one = orchestrator({
      agents: {
        Spender: (_task, ctx) => {
          calls += 1;
          ctx.usage(used);
          return "spent";
        },
      },
      backend: scriptedBackend({ lint: [1] }),
    });
    const { result } = one.startRun({
      description: "spend",
      loopPolicy: { ...limits, maxIterations: 10, successCriteria: { lint: true } },
    });
    expect(await result).toMatchObject({ reason: "budget_exhausted", budget });
    expect(calls).toBe(2);
  });

  it("feeds what a failed check said to the next iteration", async () => {
    const feedback: unknown[] = [];
    const one = orchestrator({
      agents: {
        Builder: (task: IterationTask) => {
          feedback.push(task.feedback);
          return task.iteration;
        },
      },
      backend: scriptedBackend({ lint: [1, 0] }),
    });
    const { result } = one.startRun({
      description: "lint",
      loopPolicy: { successCriteria: { lint: true, typecheck: true } },
    });
    expect(await result).toMatchObject({ reason: "converged", iterations: 2 });
    expect(feedback).toEqual([[], [{ name: "lint", passed: false, exitCode: 1, output: "lint exited with 1" }]]);
  });

  it("takes a criterion that throws for one that does not hold, and waits for one that takes its time", async () => {
    const one = orchestrator();
    const { runId, result } = one.startRun({
      description: "judge",
      loopPolicy: {
        successCriteria: {
          custom: {
            throws: ({ iteration }) => {
              if (iteration === 1) throw new Error("no idea yet");
              return true;
            },
            waits: async ({ output }) => Promise.resolve(output === "built 2" || { passed: false, output: "not two" }),
          },
        },
      },
    });
    expect(await result).toMatchObject({ reason: "converged", iterations: 2 });
    const failed = (await eventsOf(one, runId)).filter(({ type }) => type === "check.failed");
    expect(failed.map(({ payload }) => payload)).toEqual([
      { iteration: 1, name: "throws", passed: false, output: "no idea yet" },
      { iteration: 1, name: "waits", passed: false, output: "not two" },
    ]);
  });

  it("tries transient failures again within the iteration, later each time", async () => {
    const clock = new SimClock();
    const attemptedAtMs: number[] = [];
    const one = orchestrator({
      clock,
      agents: {
        Shaky: () => {
          attemptedAtMs.push(clock.nowMs());
          if (attemptedAtMs.length < 3) throw Object.assign(new Error("connection lost"), { code: "ECONNRESET" });
          return "there";
        },
      },
    });
    const { result } = one.startRun({
      description: "call",
      loopPolicy: { retryPolicy: { maxAttempts: 3, backoffMs: 10 } },
    });
    let hasEnded = false;
    void result.finally(() => (hasEnded = true));
    while (!hasEnded) await clock.advance(1);
    expect(await result).toMatchObject({ reason: "converged", iterations: 1, output: "there" });
    const [first = 0, second = 0, third = 0, ...more] = attemptedAtMs;
    expect(more).toEqual([]);
    expect(second - first).toBeGreaterThanOrEqual(10);
    expect(third - second).toBeGreaterThanOrEqual(20);
  });

  it("fails of a permanent failure, at once and with its error", async () => {
    let attempts = 0;
    const one = orchestrator({
      agents: {
        Broken: () => {
          attempts += 1;
          throw new Error("no such table");
        },
      },
    });
    const { runId, result } = one.startRun({ description: "query" });
    const error = { message: "no such table" };
    expect(await result).toMatchObject({ reason: "failed", error });
    expect(await one.getRunStatus(runId)).toMatchObject({ phase: "failed", reason: "failed", error });
    expect(attempts).toBe(1);
  });

  it("can be cancelled once; its agent is told, and what it gives later is ignored", async () => {
    let begun = (): void => {};
    const running = new Promise<void>((resolve) => (begun = resolve));
    const one = orchestrator({
      agents: {
        Slow: (_task, { signal }) =>
          new Promise((resolve) => {
            signal.addEventListener("abort", () => resolve("too late"), { once: true });
            begun();
          }),
      },
    });
    const { runId, result } = one.startRun({ description: "cancel me" });
    await running;
    expect(await one.cancelRun(runId)).toEqual({ success: true });
    expect(await result).toMatchObject({ reason: "cancelled", output: null });
    expect(await one.cancelRun(runId)).toMatchObject({ success: false });
    expect(await one.getRunStatus(runId)).toMatchObject({ phase: "cancelled", finished: true });
  });

  it("is refused with everything that is wrong, naming what was expected", () => {
    const one = orchestrator();
    const refused = (input: object): string => {
      try {
        one.startRun(input);
      } catch (error) {
        expect(error).toMatchObject({ code: "ORCH_BAD_OPTION" });
        return (error as Error).message;
      }
      throw new Error("it was taken");
    };
    expect(refused({ description: "" })).toMatch(/description: expected a text/);
    expect(refused({ description: "x".repeat(10_001) })).toMatch(/at most 10000 characters, got 10001/);
    expect(refused({ description: "x", strategy: "foo" })).toMatch(
      /strategy: expected "parallel", "sequential", "adaptive", "balanced", got "foo"/,
    );
    expect(refused({ description: "x", loopPolicy: { maxIterations: 0 } })).toMatch(
      /maxIterations: expected a whole number/,
    );
    expect(refused({ description: "x", loopPolicy: { successCriteria: { lint: "eslint . && echo" } } })).toMatch(
      /shell/,
    );
    expect(refused({ description: "x", forbiddenPaths: ["../up"] })).toMatch(
      /forbiddenPaths: expected a path below cwd/,
    );
    expect(refused({ description: "x", acceptanceCriteria: ["good"] })).toMatch(/nobody can judge them/);
    expect(refused({ description: "x", loopPolicy: { tokenBudget: 1, budgetLimits: { tokens: 1 } } })).toMatch(
      /is the same as/,
    );
  });

  it("is refused under the id of another", async () => {
    const one = orchestrator();
    await one.startRun({ description: "first", runId: "mine" }).result;
    await expect(one.startRun({ description: "second", runId: "mine" }).result).rejects.toMatchObject({
      code: "ORCH_SESSION_BUSY",
    });
  });

  it("is refused under the id of one that is just beginning", async () => {
    const one = orchestrator();
    const [first, second] = [1, 2].map((n) => one.startRun({ description: `number ${n}`, runId: "mine" }));
    await expect(second?.result).rejects.toMatchObject({ code: "ORCH_SESSION_BUSY" });
    expect(await first?.result).toMatchObject({ reason: "converged", iterations: 1 });
  });

  it("is listed a page at a time, whatever is nested in runs", async () => {
    const one = orchestrator();
    const ids = ["a", "b", "c"];
    for (const runId of ids) await one.startRun({ description: "x", runId }).result;
    expect(await one.listRuns()).toEqual(ids);
    expect(await one.listRuns({ limit: 2 })).toEqual(["a", "b"]);
    expect(await one.listRuns({ limit: 2, cursor: "b" })).toEqual(["c"]);
  });

  it("is judged by the acceptance agent", async () => {
    const one = orchestrator({
      acceptance: ({ acceptanceCriteria, output }: { acceptanceCriteria: string[]; output: string }) =>
        output === "built 2" || { passed: false, output: `misses ${acceptanceCriteria[0]}` },
    });
    const { runId, result } = one.startRun({ description: "build", acceptanceCriteria: ["two of them"] });
    expect(await result).toMatchObject({ reason: "converged", iterations: 2 });
    const [failed] = (await eventsOf(one, runId)).filter(({ type }) => type === "check.failed");
    expect(failed?.payload).toMatchObject({ name: "acceptance", output: "misses two of them" });
  });
});

describe("events of a run", () => {
  it("are numbered without a hole, and replayed from any number after it has ended", async () => {
    const one = orchestrator({ backend: scriptedBackend({ tests: [1, 0] }) });
    const { runId, result } = one.startRun({ description: "x", loopPolicy: { successCriteria: { tests: true } } });
    const live = eventsOf(one, runId);
    await result;
    const all = await eventsOf(one, runId);
    expect(await live).toEqual(all);
    expect(all.map(({ seq }) => seq)).toEqual(all.map((_, i) => i + 1));
    expect(await eventsOf(one, runId, 4)).toEqual(all.slice(4));
  });

  it("go on for a run whose subscriber throws, which is told to the logger once", async () => {
    const errors: unknown[] = [];
    const logger = {
      info() {},
      warn() {},
      debug() {},
      error: (...args: unknown[]) => void errors.push(args),
      child: () => logger,
    };
    const one = orchestrator({ logger: logger as never });
    let told = 0;
    const { runId, result } = one.startRun({ description: "x" });
    one.subscribeRunEvents(runId, () => {
      told += 1;
      throw new Error("subscriber");
    });
    expect(await result).toMatchObject({ reason: "converged" });
    await expect.poll(() => told).toBe(4);
    expect(errors).toHaveLength(1);
  });

  it("reach a handler until it stops", async () => {
    const one = orchestrator();
    const { runId, result } = one.startRun({ description: "x" });
    await result;
    const seen: string[] = [];
    const stop = one.subscribeRunEvents(runId, ({ type }) => {
      seen.push(type);
      stop();
    });
    await expect.poll(() => seen).toEqual(["run.started"]);
  });
});

describe("an orchestrator", () => {
  it("is refused with the path of what is wrong", () => {
    const refused: readonly [Partial<OrchestratorConfig>, RegExp][] = [
      [{ commands: { lint: "a && b" } }, /^createOrchestrator\.commands\.lint: .*needs a shell/],
      [
        { commands: { lint: { command: "a", timeoutMs: 0 } } },
        /^createOrchestrator\.commands\.lint\.timeoutMs: expected/,
      ],
      [{ executionConfig: { maxConcurrency: 0 } }, /^createOrchestrator\.executionConfig\.maxConcurrency: expected/],
      [{ maxSteps: 0 }, /^createOrchestrator\.maxSteps: expected/],
    ];
    for (const [config, message] of refused)
      expect(() => createOrchestrator({ agents: { Builder: BUILD }, ...config })).toThrow(message);
  });
});

describe("two orchestrators", () => {
  it("share nothing but a store that both were given", async () => {
    const shared = new StateManager({ storage: memoryStorage() });
    const [a, b, c] = [orchestrator({ stateManager: shared }), orchestrator({ stateManager: shared }), orchestrator()];
    const { runId, result } = a.startRun({ description: "x" });
    await result;
    expect((await b.getRunStatus(runId)).phase).toBe("completed");
    expect((await c.getRunStatus(runId)).phase).toBe("unknown");
    expect(await b.listRuns()).toEqual([runId]);
  });
});

describe("files", () => {
  it("that an agent changes outside of the allowed paths fail the iteration, by name", async () => {
    const { mkdir, writeFile } = await import("node:fs/promises");
    const cwd = await mkdtemp(join(tmpdir(), "orchestrator-"));
    try {
      await mkdir(join(cwd, "src"));
      await writeFile(join(cwd, "src", "a.ts"), "1");
      await writeFile(join(cwd, "package.json"), "{}");
      const one = orchestrator({
        agents: {
          Writer: async ({ iteration }: IterationTask) => {
            await writeFile(join(cwd, "src", "a.ts"), String(iteration + 1));
            await writeFile(join(cwd, "package.json"), iteration === 1 ? "changed" : "{}");
            await (iteration === 1 ? writeFile(join(cwd, "src", "secret.ts"), "") : rm(join(cwd, "src", "secret.ts")));
            return iteration;
          },
        },
      });
      const { runId, result } = one.startRun({
        description: "edit",
        cwd,
        allowedPaths: ["src"],
        forbiddenPaths: ["src/secret.ts"],
      });
      expect(await result).toMatchObject({ reason: "converged", iterations: 2 });
      const [failed] = (await eventsOf(one, runId)).filter(({ type }) => type === "check.failed");
      expect(failed?.payload).toMatchObject({
        name: "paths",
        output:
          "package.json has changed, and is in none of the allowed paths (src)\n" +
          "src/secret.ts has changed, and src/secret.ts is forbidden",
      });
    } finally {
      await rm(cwd, { recursive: true, force: true });
    }
  });
});
