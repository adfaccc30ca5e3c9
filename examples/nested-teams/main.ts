import { Orchestra } from "orchestra";

const review = {
  topology: { nodes: ["Spelling", "Tone"], edges: ["Spelling -> Tone"] },
  agents: { Spelling: (text: string) => text.replace("teh", "the"), Tone: (text: string) => `${text}, please` },
};

const result = await Orchestra.run({
  task: "close teh door",
  topology: { nodes: ["Draft", "Review", "Send"], edges: ["Draft -> Review -> Send"] },
  agents: { Draft: (text: string) => text, Review: review, Send: (text: string) => `sent: ${text}` },
});

console.log(result.orThrow().finalResponse);
console.log("steps, those of the inner team included:", result.totalSteps);
