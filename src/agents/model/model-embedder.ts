// Model embedder: vectors by an embedding model of the AI SDK.

import type { EmbeddingModel } from "ai";
import type { Embedder } from "../../memory/ports.ts";
import { loadAi } from "./language-model.ts";

export interface ModelEmbedderOptions {
  /** Pinned with the entries. Default: provider and id of the model. */
  readonly name?: string;
  /** Of its vectors. Default: as the first one has. */
  readonly dimensions?: number;
  /** Times a call that failed is made again. Default 2. */
  readonly maxRetries?: number;
}

/** For `createMemory({ embedder })`: `modelEmbedder(openai.embeddingModel("text-embedding-3-small"))`. */
export function modelEmbedder(
  model: Exclude<EmbeddingModel, string>,
  { name = `${model.provider}:${model.modelId}`, dimensions, maxRetries = 2 }: ModelEmbedderOptions = {},
): Embedder {
  return {
    name,
    dimensions: dimensions ?? null,
    async embed(texts, { signal }) {
      const { embedMany } = await loadAi();
      const { embeddings } = await embedMany({
        model,
        values: [...texts],
        maxRetries,
        ...(signal === undefined ? {} : { abortSignal: signal }),
      });
      return embeddings;
    },
  };
}
