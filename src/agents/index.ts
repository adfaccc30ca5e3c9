// What `orchestra/agents` offers.

// Model-backed agents
export type { LanguageModel } from "./model/language-model.ts";
