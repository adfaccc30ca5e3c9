// Runs an orchestrator on LevelDB in a process of its own. In its second iteration the agent says so and never ends.

import { LevelStorage, StateManager } from "../../src/index.ts";
import { createOrchestrator } from "../../src/orchestrator/index.ts";
import type { IterationTask } from "../../src/orchestrator/team.ts";

const [, , folder = "", command = ""] = process.argv;
const orchestrator = createOrchestrator({
  stateManager: new StateManager({ storage: new LevelStorage(folder) }),
  agents: {
    Builder: ({ iteration }: IterationTask, ctx) => {
      ctx.usage({ inputTokens: 400 });
      if (iteration === 1) return "first";
      process.stdout.write("second\n");
      return new Promise(() => undefined);
    },
  },
});
await orchestrator.startRun({
  runId: "killed",
  description: "survive",
  loopPolicy: { maxIterations: 3, tokenBudget: 1_000, successCriteria: { tests: [process.execPath, "-e", command] } },
}).result;
