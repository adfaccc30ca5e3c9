import { memoryStorage, OrchestraInstance, StateManager, type AgentContext } from "orchestra";

await using orchestra = new OrchestraInstance({
  topology: { nodes: ["Plan", "Cook"], edges: ["Plan -> Cook"] },
  agents: {
    Plan: async (dish: string, ctx: AgentContext) => {
      await orchestra.pauseSession(ctx.sessionId, "which spice?");
      return dish;
    },
    Cook: (dish: string, ctx: AgentContext) => `${dish} with ${String(ctx.context["spice"])}`,
  },
  stateManager: new StateManager({ storage: memoryStorage() }),
});

const paused = await orchestra.execute("soup", { sessionId: "kitchen" });
console.log(paused.status, "-", paused.metadata.pausedReason);

const checkpoint = await orchestra.createCheckpoint("kitchen", "before-spice");
const other = await orchestra.forkCheckpoint(checkpoint, { sessionId: "other-kitchen" });

for (const [session, spice] of [
  ["kitchen", "pepper"],
  [other, "saffron"],
] as const) {
  const cooked = await orchestra.resumeSession(session, { additionalContext: { spice } });
  console.log(`${session}: ${String(cooked.orThrow().finalResponse)}`);
}
console.log("same history:", (await orchestra.diff("kitchen", other)).equal);
