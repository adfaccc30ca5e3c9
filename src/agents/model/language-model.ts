// The AI SDK, which is installed beside Orchestra by those who have models (docs/decisions/030).

import type { LanguageModel as AnyLanguageModel } from "ai";
import { loadedOnFirstUse } from "../../base/on-first-use.ts";
import { optionalPackage } from "../../base/optional-package.ts";

/** A model as the AI SDK's providers make it: `createOpenAICompatible({ … })("llama3.1")`. */
export type LanguageModel = Exclude<AnyLanguageModel, string>;

/** Its newest interface. A model of the one before differs in what it gives, not in how it is called. */
export type ModelV3 = Extract<LanguageModel, { specificationVersion: "v3" }>;
export type CallOptions = Parameters<ModelV3["doStream"]>[0];
type StreamOf<T> = T extends ReadableStream<infer Part> ? Part : never;
export type StreamPart = StreamOf<Awaited<ReturnType<ModelV3["doStream"]>>["stream"]>;
export type GenerateResult = Awaited<ReturnType<ModelV3["doGenerate"]>>;

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
