// Serves an agent from a store on disk, and writes down what the agent does. `stuck`: the agent never ends.

import { appendFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";

import { LevelStorage, StateManager } from "../../../src/index.ts";
import { serveAgent } from "../../../src/agents/serving/serve-agent.ts";

const [, , folder = "", port = "", mode = ""] = process.argv;
const note = (effect: string): void => appendFileSync(join(folder, "effects"), `${effect}\n`);

const handler = serveAgent(
  async (input, ctx) => {
    note(`begun ${mode}`);
    await ctx.once("pay", () => note("paid"));
    ctx.emit("paid");
    return mode === "stuck" ? new Promise<never>(() => undefined) : `${String(input)}, ${mode}`;
  },
  {
    name: "Writer",
    stateManager: new StateManager({ storage: new LevelStorage(join(folder, "calls"), { durability: "process" }) }),
  },
);
createServer(handler).listen(Number(port), "127.0.0.1", () => process.stdout.write("listening\n"));
