// Runs whose values are too large to stand in events: more than 16 KiB.

import { expect, it } from "vitest";
import { createMemory } from "orchestra/memory";
import { createOrchestrator } from "orchestra/orchestrator";

it("have their output, and the provenance that harvests take over, in full", async () => {
  await using memory = createMemory();
  await using orchestrator = createOrchestrator({ agents: { Builder: () => "x".repeat(50_000) }, memory });
  const { runId, result } = orchestrator.startRun({
    description: "build",
    memorySeed: [{ key: "large", value: "y".repeat(50_000) }],
    provenance: { project: "till", cardId: "card-7", agent: "Builder" },
  });
  expect(((await result).output as string).length).toBe(50_000);
  expect(((await orchestrator.getRunResult(runId)).output as string).length).toBe(50_000);
  const [id = ""] = (await orchestrator.harvestMemory(runId, [{ key: "a", value: 1 }], 1)).entries;
  expect(await memory.get(id)).toMatchObject({ provenance: { project: "till", cardId: "card-7", runId } });
});
