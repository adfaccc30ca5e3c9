import { Orchestra } from "orchestra";

const result = await Orchestra.run({
  task: "sea otters",
  topology: { nodes: ["Researcher", "Writer"], edges: ["Researcher -> Writer"] },
  agents: {
    Researcher: (topic: string) => [`${topic} hold hands while they sleep`, `${topic} use tools`],
    Writer: (facts: string[]) => `Did you know? ${facts.join("; ")}.`,
  },
});

console.log(result.orThrow().getFinalResponseAsText());
