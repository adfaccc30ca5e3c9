// The model of `--model`, wherever something speaks OpenAI's protocol: Ollama, llama.cpp, vLLM, or a service.

import type { LanguageModel, ModelPrice } from "orchestra/agents";

export interface ModelOptions {
  readonly name: string;
  readonly baseUrl: string;
  /** The variable with the key, where one is needed. */
  readonly keyFrom?: string;
  readonly price?: ModelPrice;
}

/** @throws {TypeError} when the variable is not set. */
export async function openModel({ name, baseUrl, keyFrom }: ModelOptions): Promise<LanguageModel> {
  const apiKey = keyFrom === undefined ? undefined : process.env[keyFrom];
  if (keyFrom !== undefined && (apiKey === undefined || apiKey === ""))
    throw new TypeError(`--key-from: the variable ${keyFrom} is not set`);
  const { createOpenAICompatible } = await import("@ai-sdk/openai-compatible");
  const provider = createOpenAICompatible({
    name: "model",
    baseURL: baseUrl,
    includeUsage: true,
    ...(apiKey !== undefined && { apiKey }),
  });
  return provider(name);
}
