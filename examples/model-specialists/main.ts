import { Orchestra } from "orchestra";
import { modelAgent } from "orchestra/agents";
import { ScriptedModel } from "orchestra/testing";

// In place of a model, so that this runs without one. A real one: createOpenAICompatible({ name, baseURL })("llama3.1").
const model = new ScriptedModel([
  { toolCalls: [{ name: "invoke_agent", input: { agent: "Lawyer", input: "Is it allowed?" } }] },
  {
    toolCalls: [
      { name: "invoke_agent", input: { agent: "Accountant", input: "What does it cost?" } },
      { name: "invoke_agent", input: { agent: "Engineer", input: "Does it hold?" } },
    ],
  },
  "It holds, and costs 12 a day.",
]);

const topology = {
  nodes: ["Planner", "Lawyer", "Accountant", "Engineer"],
  edges: ["Planner <-> Lawyer", "Planner <-> Accountant", "Planner <-> Engineer"],
};

const result = await Orchestra.run({
  task: "May we close the bridge for a day?",
  // Who is at work today. The topology says who could ever be asked.
  context: { onDuty: ["Accountant", "Engineer"] },
  topology,
  agents: {
    Planner: modelAgent({
      name: "Planner",
      model,
      instructions: "Ask those who know, then answer in one sentence.",
      mayCall: (agent, { context }) => (context["onDuty"] as string[]).includes(agent),
    }),
    Lawyer: { description: "Knows contracts and the law.", run: () => "it depends" },
    Accountant: { description: "Knows what things cost.", run: () => "12 a day" },
    Engineer: { description: "Knows bridges.", run: () => "it holds" },
  },
});

console.log(result.orThrow().finalResponse);
console.log("lawyer asked:", result.wasAgentInvoked("Lawyer"));
console.log(
  "the model was told:",
  /You may call.*Knows bridges\./s.exec(JSON.stringify(model.calls[0]?.prompt)) !== null,
);
console.log("and corrected:", model.calls[1]?.lastText.includes('"Lawyer" may not be called from here'));
