// Calls a remote agent from a store on disk. `killed`: ends at once, by SIGKILL, when it has the answer and before it is recorded.

import { LevelStorage, OrchestraInstance, StateManager, type AgentContext } from "../../../src/index.ts";
import { remoteAgent } from "../../../src/agents/remote/remote-agent.ts";

const [, , folder = "", endpoint = "", mode = ""] = process.argv;
const remote = remoteAgent({ name: "Remote", endpoint, allow: ["127.0.0.1"] });

/** The step's own context, but for what comes between a call and its record. */
function killed(ctx: AgentContext): AgentContext {
  const once: AgentContext["once"] = (key, call) =>
    ctx.once(key, async () => {
      await call();
      process.kill(process.pid, "SIGKILL");
      return new Promise<never>(() => undefined);
    });
  return new Proxy(ctx, { get: (target, key) => (key === "once" ? once : Reflect.get(target, key, target)) });
}

const instance = new OrchestraInstance({
  topology: { nodes: ["Remote"], edges: [] },
  agents: { Remote: (input, ctx) => remote.run(input, mode === "killed" ? killed(ctx) : ctx) },
  stateManager: new StateManager({ storage: new LevelStorage(folder, { durability: "process" }) }),
});
const result =
  mode === "killed" ? await instance.execute("otters", { sessionId: "s1" }) : await instance.resumeSession("s1");
process.stdout.write(`${String(result.finalResponse)}\n`);
await instance.close();
