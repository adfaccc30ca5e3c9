// Serves an orchestrator with a memory in a folder to a client on standard input and output.

import { createMemory } from "../../src/memory/index.ts";
import { createOrchestrator, serveMcpStdio } from "../../src/orchestrator/index.ts";

const [, , folder = ""] = process.argv;
const memory = createMemory({ folder });
const orchestrator = createOrchestrator({ agents: { A: () => "a" }, memory });
const server = await serveMcpStdio(orchestrator);
process.stdin.once("close", () => {
  void server
    .close()
    .then(() => orchestrator.close())
    .then(() => memory.close());
});
