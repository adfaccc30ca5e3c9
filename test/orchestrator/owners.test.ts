// Where the steps of runs are done on a bus that several orchestrators share: with who owns the run, whatever others serve.

import { setTimeout } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  createOrchestrator,
  type IterationTask,
  type Orchestrator,
  type OrchestratorConfig,
} from "orchestra/orchestrator";
import { ClusterWorld } from "../runtime/cluster-world.ts";

let cluster: ClusterWorld;
let opened: Orchestrator[];
beforeEach(() => {
  cluster = new ClusterWorld();
  opened = [];
});
afterEach(async () => {
  for (const one of opened) await until(one.close());
  await cluster.close();
});

/** Runs look for commits with git, for which no simulated time has to pass, but some of ours. */
async function until<T>(promise: Promise<T>): Promise<T> {
  let isSettled = false;
  const settle = (): void => void (isSettled = true);
  promise.then(settle, settle);
  while (!isSettled) {
    await cluster.clock.advance(50);
    await setTimeout(1);
  }
  return promise;
}

function orchestrator(config: Partial<OrchestratorConfig>): Orchestrator {
  const made = createOrchestrator({
    agents: { Builder: ({ iteration }: IterationTask) => iteration },
    backend: "test",
    clock: cluster.clock,
    ...config,
    bus: cluster.sharedBus(),
  });
  opened.push(made);
  return made;
}

describe("a run on a bus", () => {
  it("has its team, its commands and its own criteria where it was begun, while others run theirs beside it", async () => {
    const done: string[] = [];
    const note = (what: string): true => (done.push(what), true);
    const runs = ["a", "b", "c"].map((name) =>
      orchestrator({
        agents: { Builder: (task: IterationTask) => note(`${task.runId} built by ${name}`) },
        backend: { runCommand: async ({ runId }) => ({ passed: note(`${runId} tested by ${name}`), output: "" }) },
      }).startRun({
        runId: name,
        description: "build",
        loopPolicy: {
          successCriteria: {
            tests: true,
            custom: ({ runId, iteration }) => note(`${runId} judged by ${name}`) && iteration === 4,
          },
        },
      }),
    );
    for (const { result } of runs) expect(await until(result)).toMatchObject({ reason: "converged", iterations: 4 });
    const own = (name: string): string[] => [
      `${name} built by ${name}`,
      `${name} tested by ${name}`,
      `${name} judged by ${name}`,
    ];
    expect([...new Set(done)].sort()).toEqual([...own("a"), ...own("b"), ...own("c")].sort());
    expect(done).toHaveLength(36);
  });

  it("is taken over by one that adopts and has its team, and by no other", async () => {
    let begun = (): void => {};
    const began = new Promise<void>((resolve) => (begun = resolve));
    const first = orchestrator({ agents: { Builder: () => (begun(), new Promise(() => undefined)) } });
    orchestrator({ agents: { Other: () => "wrong" }, adopt: true })
      .open()
      .catch(() => undefined);
    orchestrator({ agents: { Builder: () => "does not adopt" } })
      .open()
      .catch(() => undefined);
    const { runId } = first.startRun({ description: "build" });
    await until(began);
    await until(first.close());
    const next = orchestrator({ agents: { Builder: () => "adopted" }, adopt: true });
    await until(next.open());
    expect(await until(next.getRunResult(runId))).toMatchObject({ reason: "converged", output: "adopted" });
  });

  it("fails when its team ends every host that goes on with it", async () => {
    for (let life = 1; life <= 11; life++) {
      let begun = (): void => {};
      const began = new Promise<void>((resolve) => (begun = resolve));
      const one = orchestrator({ agents: { Deadly: () => (begun(), new Promise(() => undefined)) }, adopt: true });
      if (life === 1) one.startRun({ runId: "deadly", description: "end it" });
      else await until(one.open());
      await until(began);
      await until(one.close());
    }
    const last = orchestrator({ agents: { Deadly: () => "alive" }, adopt: true });
    await until(last.open());
    expect(await until(last.getRunResult("deadly"))).toMatchObject({
      reason: "failed",
      error: { code: "ORCH_STEP_POISON" },
    });
  });

  it("is paused and resumed as often as anybody likes in the middle of a step", async () => {
    let begun: () => void = () => {};
    const one = orchestrator({
      agents: {
        Patient: (_task: unknown, { signal }) => {
          begun();
          return new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
        },
      },
    });
    let began = new Promise<void>((resolve) => (begun = resolve));
    const { runId } = one.startRun({ description: "wait" });
    for (let round = 1; round <= 12; round++) {
      await until(began);
      await until(one.instance.pauseSession(runId, "enough", { inFlight: "abort" }));
      while ((await until(one.getRunStatus(runId))).waiting !== "enough") await until(setTimeout(1));
      began = new Promise<void>((resolve) => (begun = resolve));
      await until(one.resumeRun(runId));
    }
    await until(began);
    expect(await one.getRunStatus(runId)).toMatchObject({ phase: "running", iteration: 1 });
  });
});
