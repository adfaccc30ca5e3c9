// Adds to a conversation and never comes to the end of the step.

import { team } from "./team-of-one.ts";

const { orchestra } = team(process.argv[2] ?? "", () => {
  process.stdout.write("added\n");
  return new Promise<void>(() => undefined);
});
await orchestra.execute("hello", { sessionId: "s" });
