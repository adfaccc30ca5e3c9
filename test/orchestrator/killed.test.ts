// A run whose process is killed in the middle of an iteration, gone on with by another process. The checks are real commands.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { LevelStorage, StateManager } from "orchestra";
import { createOrchestrator, type IterationTask, type OrchestratorEvent } from "orchestra/orchestrator";
import { childProgram } from "../support/child-program.ts";

const CHILD = await childProgram(new URL("./killed-child.ts", import.meta.url));

it("goes on at the iteration that was begun, with the budget that is left", async () => {
  const folder = await mkdtemp(join(tmpdir(), "orchestrator-"));
  const log = join(folder, "checks");
  const store = join(folder, "store");
  // Fails, and notes that it was made.
  const command = `require("fs").appendFileSync(${JSON.stringify(log)}, "x"); console.error("red"); process.exit(1)`;
  const child = spawn(process.execPath, [CHILD, store, command], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    await once(child.stdout, "data");
    child.kill("SIGKILL");
    await once(child, "exit");

    const iterations: number[] = [];
    await using again = createOrchestrator({
      stateManager: new StateManager({ storage: new LevelStorage(store) }),
      agents: {
        Builder: ({ iteration, feedback }: IterationTask, ctx) => {
          iterations.push(iteration);
          expect(feedback).toMatchObject([{ name: "tests", output: "red", exitCode: 1 }]);
          ctx.usage({ inputTokens: 700 });
          return "again";
        },
      },
    });
    const events: OrchestratorEvent[] = [];
    for await (const event of again.subscribeRunEvents("killed")) events.push(event);
    expect(iterations).toEqual([2]);
    // 400 of the first process and 700 of the second are more than 1,000; so there is no third iteration.
    expect(await again.getRunStatus("killed")).toMatchObject({ reason: "budget_exhausted", budget: "tokens" });
    expect(await readFile(log, "utf8")).toBe("x");
    expect(events.filter(({ type }) => type === "iteration.started")).toHaveLength(2);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1));
  } finally {
    child.kill("SIGKILL");
    await rm(folder, { recursive: true, force: true });
  }
});

it("waits for a process that has its criterion", async () => {
  const folder = await mkdtemp(join(tmpdir(), "orchestrator-"));
  const open = (criteria = {}) =>
    createOrchestrator({
      stateManager: new StateManager({ storage: new LevelStorage(folder) }),
      agents: { Builder: () => "built" },
      criteria,
    });
  try {
    const first = open();
    let judged = (): void => {};
    const judging = new Promise<void>((resolve) => (judged = resolve));
    const { runId, result } = first.startRun({
      description: "judge",
      loopPolicy: {
        successCriteria: {
          custom: { mine: () => (judged(), new Promise<boolean>(() => undefined)) },
        },
      },
    });
    const closed = expect(result).rejects.toMatchObject({ code: "ORCH_CLOSED" });
    await judging;
    await first.close();
    await closed;

    const without = open();
    await expect
      .poll(async () => (await without.getRunStatus(runId)).waiting)
      .toMatch(/no process here has the criterion "mine"/);
    const resumed = await without.resumeRun(runId, { custom: { mine: () => true } });
    expect(await resumed.result).toMatchObject({ reason: "converged", iterations: 1, output: "built" });
    await without.close();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
