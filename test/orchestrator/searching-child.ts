// Runs an orchestrator with a memory, both on disk, in a process of its own. Its second agent searches, says so and never ends.

import { LevelStorage, StateManager } from "../../src/index.ts";
import { createMemory } from "../../src/memory/index.ts";
import { createOrchestrator } from "../../src/orchestrator/index.ts";

const [, , store = "", folder = ""] = process.argv;
const memory = createMemory({ folder });
await memory.add([{ key: "money", value: "prices are in cents" }], { scope: "global" });
const orchestrator = createOrchestrator({
  stateManager: new StateManager({ storage: new LevelStorage(store) }),
  memory,
  agents: {
    Reader: async (task: unknown, ctx) => {
      await ctx.memory?.search("cents", { scope: "global" });
      return task;
    },
    Builder: async (_task: unknown, ctx) => {
      await ctx.memory?.search("jitter", { scope: "global" });
      process.stdout.write("searched\n");
      return new Promise(() => undefined);
    },
  },
});
await orchestrator.startRun({ runId: "killed", description: "survive", strategy: "sequential" }).result;
