// Runs a team until it is to be killed, and says so. Arguments: the folder, and `asked` or `calling`.
import { callbackChannel } from "../../../src/index.ts";
import { four, paying } from "./teams.ts";

const [, , folder = "", mode = ""] = process.argv;
// A question that nobody answers keeps no process alive.
setInterval(() => undefined, 1000);
const ready = (): void => void process.stdout.write("ready\n");

if (mode === "asked") {
  const channel = callbackChannel(() => {
    ready();
    return new Promise(() => undefined);
  });
  await paying(folder, channel).execute({ task: { amount: 90 }, sessionId: "s" });
} else {
  let stuck = 0;
  await four(folder, () => {
    if (++stuck === 4) ready();
  }).execute({ task: "t", sessionId: "s" });
}
