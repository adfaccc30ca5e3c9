import { Edge, Orchestra } from "orchestra";

interface Draft {
  readonly text: string;
  readonly good: boolean;
}

const result = await Orchestra.run({
  task: "otters",
  topology: {
    nodes: ["Writer", "Editor", "Publisher"],
    entryPoint: "Writer",
    edges: [
      "Writer -> Editor",
      Edge("Editor", "Writer", { condition: "!output.good", maxVisits: 3 }),
      Edge("Editor", "Publisher", { else: true }),
    ],
  },
  agents: {
    Writer: (input: string | Draft) => ({
      text: typeof input === "string" ? input : `${input.text}, better`,
      good: false,
    }),
    Editor: (draft: Draft) => ({ ...draft, good: draft.text.length > 1000 }),
    Publisher: ({ text }: Draft) => text,
  },
});

console.log(result.orThrow().finalResponse);
console.log("bounds hit:", result.metadata.boundsHit.length);
