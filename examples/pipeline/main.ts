import { Orchestra } from "orchestra";
import { topology } from "./topology.ts";

const result = await Orchestra.run({
  task: "The quick brown fox",
  topology,
  agents: {
    Reader: (text: string) => text.trim(),
    WordCounter: (text: string) => text.split(/\s+/).length,
    VowelCounter: (text: string) => text.match(/[aeiou]/gi)?.length ?? 0,
    Reporter: (found: { from: string; value: number }[]) =>
      found.map(({ from, value }) => `${from}: ${value}`).join(", "),
  },
});

console.log(result.orThrow().finalResponse);
