// Asks two people on LevelDB in a process of its own, and waits for ever. Says so once both questions are out.

import { callbackChannel, LevelStorage, Orchestra, StateManager } from "../../../src/index.ts";
import { teamOf } from "./asking-team.ts";

const [, , folder = "", timeoutMs = ""] = process.argv;
let asked = 0;
await Orchestra.run({
  task: "may I?",
  sessionId: "s",
  ...teamOf(Number(timeoutMs)),
  stateManager: new StateManager({ storage: new LevelStorage(folder, { durability: "process" }) }),
  communicationConfig: {
    channel: callbackChannel(() => {
      if (++asked === 2) process.stdout.write("asked\n");
      return new Promise(() => undefined);
    }),
  },
});
