import { memoryStorage, next, OrchestraInstance, StateManager, type AgentContext } from "orchestra";

await using orchestra = new OrchestraInstance({
  topology: { nodes: ["Drafter", "Approval", "Sender"], edges: ["Drafter -> Approval -> Sender"] },
  agents: {
    Drafter: (customer: string) => `Dear ${customer}, your refund is on its way.`,
    Approval: (input: string, ctx: AgentContext) => {
      if (ctx.question === undefined) return next.ask(`Send this? "${input}"`);
      return input === "yes" ? ctx.question.input : next.final("not sent");
    },
    Sender: (letter: string) => `sent: ${letter}`,
  },
  communicationConfig: { channel: "none" },
  stateManager: new StateManager({ storage: memoryStorage() }),
});

const waiting = await orchestra.execute("Ms Lovelace", { sessionId: "refund-7" });
console.log(waiting.status, "-", waiting.metadata.questions[0]?.prompt);

const done = await orchestra.resumeSession("refund-7", { userResponse: "yes" });
console.log(done.orThrow().finalResponse);
