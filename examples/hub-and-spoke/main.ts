import { memoryStorage, Orchestra, PatternConfig, StateManager, type AgentContext } from "orchestra";

const stateManager = new StateManager({ storage: memoryStorage() });

function coordinator(input: unknown, ctx: AgentContext): unknown {
  if (ctx.replies === undefined) return input;
  const visits = (ctx.state.get<number>("visits") ?? 0) + 1;
  ctx.state.set("visits", visits);
  return `visit ${visits}: ${ctx.replies.map(({ from, value }) => `${from} says ${String(value)}`).join("; ")}`;
}

for (const day of ["Monday", "Tuesday"]) {
  const result = await Orchestra.run({
    task: day,
    sessionId: "trip",
    topology: PatternConfig.hubAndSpoke({ hub: "Coordinator", spokes: ["Weather", "Trains"], parallelSpokes: true }),
    agents: {
      Coordinator: coordinator,
      Weather: (when: string) => `sun on ${when}`,
      Trains: (when: string) => `no strike on ${when}`,
    },
    stateManager,
  });
  console.log(result.orThrow().finalResponse);
}
