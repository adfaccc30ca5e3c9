// The AI SDK, which is installed beside Orchestra by those who have models (docs/decisions/030).

import type { LanguageModel as AnyLanguageModel } from "ai";
import { optionalPackage } from "../../base/optional-package.ts";

/** A model as the AI SDK's providers make it: `createOpenAICompatible({ … })("llama3.1")`. */
export type LanguageModel = Exclude<AnyLanguageModel, string>;

export type AiSdk = typeof import("ai");

let loaded: AiSdk | undefined;

/** @throws {OrchestraError} `ORCH_PACKAGE_MISSING` when `ai` is not installed. */
export async function loadAi(): Promise<AiSdk> {
  return (loaded ??= await optionalPackage("ai", () => import("ai")));
}

export function isLanguageModel(value: unknown): value is LanguageModel {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof Reflect.get(value, "doStream") === "function" &&
    typeof Reflect.get(value, "doGenerate") === "function"
  );
}
