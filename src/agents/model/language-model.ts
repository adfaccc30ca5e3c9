import type { LanguageModel as AnyLanguageModel } from "ai";

/** A model as the AI SDK's providers make it: `createOpenAICompatible({ … })("llama3.1")`. */
export type LanguageModel = Exclude<AnyLanguageModel, string>;
