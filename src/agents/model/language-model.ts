// The AI SDK, which is installed beside Orchestra by those who have models (docs/decisions/030).

import type { LanguageModel as AnyLanguageModel } from "ai";
import { loadedOnFirstUse } from "../../base/on-first-use.ts";
import { optionalPackage } from "../../base/optional-package.ts";

/** A model as the AI SDK's providers make it: `createOpenAICompatible({ … })("llama3.1")`. */
export type LanguageModel = Exclude<AnyLanguageModel, string>;

export type AiSdk = typeof import("ai");

// Not by `import()`: under a loader for TypeScript, such as jiti's, Node.js 20 cannot link a CommonJS package that it needs.
const ai = loadedOnFirstUse<AiSdk>("ai");

/** @throws {OrchestraError} `ORCH_PACKAGE_MISSING` when `ai` is not installed. */
export function loadAi(): Promise<AiSdk> {
  return optionalPackage("ai", async () => ai());
}

export function isLanguageModel(value: unknown): value is LanguageModel {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof Reflect.get(value, "doStream") === "function" &&
    typeof Reflect.get(value, "doGenerate") === "function"
  );
}
