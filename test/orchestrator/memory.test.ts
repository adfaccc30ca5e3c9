// What runs are given to remember, what they learn, and what later runs find of it.

import { afterEach, describe, expect, it } from "vitest";
import { createMemory, type Memory } from "orchestra/memory";
import {
  createOrchestrator,
  type IterationTask,
  type Orchestrator,
  type OrchestratorConfig,
} from "orchestra/orchestrator";

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one[Symbol.asyncDispose]();
});

const PROVENANCE = { project: "till", cardId: "card-7", agent: "Builder" };

function world(config: Partial<OrchestratorConfig> = {}): { orchestrator: Orchestrator; memory: Memory } {
  const memory = config.memory ?? createMemory();
  const orchestrator = createOrchestrator({ agents: { Builder: () => "built" }, backend: "test", ...config, memory });
  open.push(memory, orchestrator);
  return { orchestrator, memory };
}

async function typesOf(orchestrator: Orchestrator, runId: string): Promise<string[]> {
  return (await orchestrator.getRunEvents(runId)).map(({ type }) => type);
}

describe("seeds of a run", () => {
  it("reach its agents, and are told of before the first iteration", async () => {
    const seen: unknown[] = [];
    const { orchestrator } = world({
      agents: { Builder: ({ memory }: IterationTask, ctx) => void seen.push(memory, ctx.context["memory"]) },
    });
    await orchestrator.seedMemory("mine", [{ key: "a", value: "before" }]);
    const { result } = orchestrator.startRun({
      runId: "mine",
      description: "use them",
      memorySeed: [{ key: "b", value: { deep: 1 }, namespace: "facts" }, { value: "no key" }],
    });
    await result;
    const [memory, context] = seen as [{ key: string; value: unknown }[], unknown];
    expect(context).toEqual(memory);
    expect(memory.map(({ value }) => value)).toEqual(expect.arrayContaining(["before", { deep: 1 }, "no key"]));
    expect(memory).toHaveLength(3);
    expect((await typesOf(orchestrator, "mine")).slice(0, 3)).toEqual([
      "run.started",
      "memory.seeded",
      "iteration.started",
    ]);
    await expect(orchestrator.seedMemory("mine", [{ value: "late" }])).rejects.toMatchObject({
      code: "ORCH_SESSION_STATE",
      message: expect.stringContaining("has begun"),
    });
  });

  it("are found by a search of that run, and not of another", async () => {
    const { orchestrator } = world();
    await orchestrator.seedMemory("one", [{ key: "a", value: "otters hold hands" }]);
    const found = await orchestrator.searchMemory("otters", { runId: "one" }, 5);
    expect(found.map(({ key }) => key)).toEqual(["a"]);
    expect(await orchestrator.searchMemory({ runId: "two" }, "otters", 5)).toEqual([]);
    expect(await orchestrator.searchMemory("global", "otters", 5)).toEqual([]);
    await expect(orchestrator.searchMemory("otters", "everywhere" as "global")).rejects.toMatchObject({
      code: "ORCH_BAD_OPTION",
    });
  });
});

describe("what a run has learned", () => {
  it("is told of, harvested once, and recalled by a later run with where it came from", async () => {
    const { orchestrator, memory } = world({
      agents: {
        Builder: async ({ iteration, runId }: IterationTask) => {
          await orchestrator.recordLearning(runId, `round ${iteration}: cents are whole numbers`, 0.9);
          return `built ${iteration}`;
        },
      },
    });
    const { runId, result } = orchestrator.startRun({ description: "format money", provenance: PROVENANCE });
    await expect(orchestrator.harvestMemory("nobody")).rejects.toMatchObject({ code: "ORCH_SESSION_UNKNOWN" });
    await result;
    expect(await typesOf(orchestrator, runId)).toContain("memory.learned");
    const artifacts = [
      { key: "one", value: "money: use toLocaleString for thousands" },
      { key: "two", value: "money: keep two digits" },
      { key: "three", value: "money: tests live in test/money.test.js" },
    ];
    const receipt = await orchestrator.harvestMemory(runId, artifacts, 1);
    expect(receipt).toMatchObject({ runId, entries: [expect.any(String), expect.any(String), expect.any(String)] });
    expect(receipt.learnings).toHaveLength(1);
    expect(await orchestrator.harvestMemory(runId, artifacts, 1)).toEqual(receipt);

    const recalled: IterationTask["memory"][] = [];
    const { orchestrator: later } = world({
      memory,
      agents: { Builder: (task: IterationTask) => void recalled.push(task.memory) },
    });
    const again = later.startRun({ description: "money with two digits and thousands", recall: 4 });
    await again.result;
    expect(recalled[0]?.map(({ value }) => value)).toEqual(
      expect.arrayContaining([...artifacts.map(({ value }) => value), "round 1: cents are whole numbers"]),
    );
    expect(recalled[0]?.[0]?.metadata).toMatchObject({
      provenance: { ...PROVENANCE, runId },
      quality: expect.any(Number),
    });
    expect(await typesOf(later, again.runId)).toContain("memory.searched");
    expect((await orchestrator.getRunArtifacts(runId)).memoryWrites).toEqual([
      { key: expect.any(String), namespace: "default" },
    ]);
  });

  it("is refused without all of its provenance, naming what is missing, and while the run goes on", async () => {
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => (release = resolve));
    const { orchestrator, memory } = world({ agents: { Builder: () => gate } });
    const { runId, result } = orchestrator.startRun({ description: "x", provenance: { project: "till" } });
    await expect(orchestrator.harvestMemory(runId, [], [])).rejects.toMatchObject({ code: "ORCH_SESSION_STATE" });
    release();
    await result;
    await expect(orchestrator.harvestMemory(runId, [{ key: "a", value: 1 }], 1)).rejects.toMatchObject({
      code: "ORCH_MEMORY_PROVENANCE",
      message: expect.stringMatching(/cardId.*agent/),
    });
    expect((await memory.stats()).entries).toBe(0);
  });
});

it("an orchestrator without a memory says so", async () => {
  await using orchestrator = createOrchestrator({ agents: { A: () => "a" } });
  await expect(orchestrator.searchMemory("x", "global")).rejects.toMatchObject({
    code: "ORCH_BAD_OPTION",
    message: expect.stringContaining("createOrchestrator({ memory })"),
  });
  await expect(orchestrator.startRun({ description: "x", recall: 1 }).result).rejects.toMatchObject({
    code: "ORCH_BAD_OPTION",
  });
});
