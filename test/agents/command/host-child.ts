// A host of one session with a command, to be killed: `host-child.ts <store> <session> <program…>`.

import { commandAgent } from "../../../src/agents/command/command-agent.ts";
import { LevelStorage, OrchestraInstance, StateManager } from "../../../src/index.ts";

const [, , store = "", sessionId = "", command = "", ...args] = process.argv;
const instance = new OrchestraInstance({
  topology: { nodes: ["Command"], edges: [] },
  agents: { Command: commandAgent({ name: "Command", command, args, killGraceMs: 300, value: "text" }) },
  stateManager: new StateManager({ storage: new LevelStorage(store) }),
});
const handle = instance.stream({ task: "t", sessionId });
for await (const event of handle) if (event.type === "step.chunk") console.log(JSON.stringify(event.chunk));
console.log(JSON.stringify((await handle.result).finalResponse));
await instance.close();
