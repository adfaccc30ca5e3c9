// One run of a model-backed agent with a tool, on a folder, for a parent to kill; with `die` it kills itself between the
// model's last answer and the commit of the step.

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import type { AgentContext } from "../../../src/index.ts";
import { LevelStorage, OrchestraInstance, StateManager } from "../../../src/index.ts";
import { defineTool, modelAgent } from "../../../src/agents/index.ts";

const [url = "", folder = "", how = ""] = process.argv.slice(2);

const model = createOpenAICompatible({ name: "test", baseURL: url, includeUsage: true })("m");
const note = defineTool({ name: "note", run: () => "noted" });
const inner = modelAgent({ name: "M", model, tools: [note], price: { input: 1, output: 1 } });
const instance = new OrchestraInstance({
  topology: { nodes: ["M"] },
  agents: {
    M: {
      ...inner,
      run: async (input: unknown, ctx: AgentContext) => {
        const outcome: unknown = await inner.run(input, ctx);
        if (how === "die") process.kill(process.pid, "SIGKILL");
        return outcome;
      },
    },
  },
  stateManager: new StateManager({ storage: new LevelStorage(folder, { durability: "process" }) }),
});
const result = await instance.execute({ task: "go", sessionId: "s" });
await instance.close();
console.log(result.status);
