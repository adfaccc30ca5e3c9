import { next, Orchestra, type AgentContext } from "orchestra";

const EXPERTISE = { Lawyer: /contract|law/i, Accountant: /tax|cost/i, Engineer: /bridge|machine/i };

function planner(question: string, ctx: AgentContext): unknown {
  if (ctx.replies !== undefined) return ctx.replies.map(({ from, value }) => `${from}: ${String(value)}`);
  const chosen = Object.entries(EXPERTISE).filter(([, words]) => words.test(question));
  return next.parallel(chosen.map(([agent]) => ({ agent, input: question })));
}

const result = await Orchestra.run({
  task: "Who pays the tax when the bridge is late?",
  topology: {
    nodes: ["Planner", "Lawyer", "Accountant", "Engineer"],
    edges: ["Planner <-> Lawyer", "Planner <-> Accountant", "Planner <-> Engineer"],
  },
  agents: {
    Planner: planner,
    Lawyer: () => "it depends",
    Accountant: () => "the builder",
    Engineer: () => "bridges take time",
  },
});

console.log(result.orThrow().finalResponse);
console.log("lawyer asked:", result.wasAgentInvoked("Lawyer"));
