// Runs a pipeline on LevelDB in a process of its own; prints what happens. `stuck` never ends its second step.
import { LevelStorage } from "../../src/state/level-store.ts";
import { request, topology, world } from "./world.ts";

const [, , folder = "", mode = ""] = process.argv;
const store = new LevelStorage(folder, { durability: "process" });
const { engine } = world({ store });
const handle = await engine.start(
  request(
    "t",
    topology("A -> B -> C"),
    {
      A: async (x, ctx) => ctx.once("pay", () => `${x}a`),
      B: (x) => {
        if (mode !== "stuck") return `${x}b`;
        process.stdout.write("stuck\n");
        return new Promise(() => undefined);
      },
      C: (x) => `${x}c`,
    },
    { sessionId: "child" },
  ),
);
const outcome = await handle.outcome;
process.stdout.write(`${String(outcome.finalResponse)}\n`);
await store.close();
