import { MockEmbeddingModelV3 } from "ai/test";
import { expect, it } from "vitest";
import { modelEmbedder } from "orchestra/agents";
import { createMemory } from "orchestra/memory";

it("searches by the vectors of a model of the AI SDK", async () => {
  const model = new MockEmbeddingModelV3({
    provider: "mock",
    modelId: "meanings",
    maxEmbeddingsPerCall: 2,
    doEmbed: async ({ values }) => ({
      embeddings: values.map((text) => [/puppy|dog/.test(text) ? 1 : 0, /bill|invoice/.test(text) ? 1 : 0, 0.1]),
      warnings: [],
    }),
  });
  await using memory = createMemory({ embedder: modelEmbedder(model) });
  await memory.add([{ value: "pay the bill" }, { value: "a puppy" }, { value: "nothing" }], { scope: "global" });
  expect((await memory.searchMemory("my dog", "global", 1))[0]?.value).toBe("a puppy");
  expect(await memory.stats()).toMatchObject({ embedder: "mock:meanings", dimensions: 3 });
});
