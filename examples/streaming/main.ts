import { Orchestra, type AgentContext } from "orchestra";

const handle = Orchestra.stream({
  task: "one two three",
  topology: { nodes: ["Speaker", "Counter"], edges: ["Speaker -> Counter"] },
  agents: {
    Speaker: async (text: string, ctx: AgentContext) => {
      for (const word of text.split(" ")) {
        ctx.emit(word);
        await new Promise(setImmediate);
      }
      return text;
    },
    Counter: (text: string) => text.split(" ").length,
  },
});

for await (const event of handle) {
  if (event.type === "step.chunk") console.log(`${event.node}: ${String(event.chunk)}`);
  if (event.type === "step.succeeded") console.log(`${event.node} is done`);
}
console.log("words:", (await handle.result).orThrow().finalResponse);
