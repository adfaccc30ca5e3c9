// What went wrong with a call to a model, by our failure classes: whatever another attempt may cure is transient.

import { OrchestraError } from "../../base/errors.ts";
import type { AiSdk, LanguageModel } from "./language-model.ts";

/** A call to a model that failed. `retryable` is what the failure class goes by, `retryAfterMs` a floor of the pause. */
export class ModelCallError extends OrchestraError {
  readonly retryable: boolean;
  readonly retryAfterMs?: number;

  constructor(message: string, options: { retryable: boolean; details: Record<string, unknown>; cause?: unknown }) {
    const { retryable, details, cause } = options;
    super("ORCH_MODEL_FAILED", message, { details, cause });
    this.retryable = retryable;
    const asked = details["retryAfterMs"];
    if (typeof asked === "number") this.retryAfterMs = asked;
  }
}

/**
 * What the AI SDK threw, as an error of ours. Transient: no answer at all, an answer that cannot be read, HTTP status 408,
 * 409, 429 and 5xx (a provider may say otherwise of its own). Permanent: everything else, such as a wrong key or request.
 */
export function modelCallError(ai: AiSdk, error: unknown, { provider, modelId }: LanguageModel): Error {
  if (error instanceof OrchestraError) return error;
  const about = { provider, model: modelId };
  const failed = (retryable: boolean, why: string, more: Record<string, unknown> = {}): ModelCallError =>
    new ModelCallError(`the model "${modelId}" of ${provider} ${why}`, {
      retryable,
      details: { ...about, ...more },
      cause: error,
    });
  if (ai.APICallError.isInstance(error)) {
    const { statusCode } = error;
    if (statusCode === undefined) return failed(true, `could not be reached: ${error.message}`);
    const wait = retryAfterMs(error.responseHeaders);
    const more = { status: statusCode, ...(wait === undefined ? {} : { retryAfterMs: wait }) };
    if (statusCode >= 200 && statusCode < 300) return failed(true, `gave an answer that cannot be read`, more);
    return failed(error.isRetryable, `answered with status ${statusCode}: ${error.message}`, more);
  }
  if (isUnreadable(ai, error)) return failed(true, "gave an answer that cannot be read");
  if (isOfTheSdk(error) || isForGood(error)) return failed(false, `cannot be asked this: ${messageOf(error)}`);
  // Nothing of the SDK's own: the connection, or what the server said in the middle of its stream.
  return failed(true, `broke off: ${messageOf(error)}`);
}

/** The stream ended as if it were complete, and was not. */
export function endedEarly({ provider, modelId }: LanguageModel): ModelCallError {
  return new ModelCallError(`the model "${modelId}" of ${provider} broke off before its answer was complete`, {
    retryable: true,
    details: { provider, model: modelId },
  });
}

export function filtered({ provider, modelId }: LanguageModel): ModelCallError {
  return new ModelCallError(`a content filter of ${provider} stopped the answer of the model "${modelId}"`, {
    retryable: false,
    details: { provider, model: modelId },
  });
}

/** `retry-after-ms`, or `retry-after` in seconds or as a date, which is measured against the server's own clock. */
export function retryAfterMs(headers: Readonly<Record<string, string>> | undefined): number | undefined {
  const exact = Number(headers?.["retry-after-ms"] ?? Number.NaN);
  if (Number.isFinite(exact) && exact >= 0) return exact;
  const asked = headers?.["retry-after"];
  if (asked === undefined) return undefined;
  if (/^\s*\d+(\.\d+)?\s*$/.test(asked)) return Number(asked) * 1_000;
  const wait = Date.parse(asked) - Date.parse(headers?.["date"] ?? "");
  return Number.isFinite(wait) ? Math.max(0, wait) : undefined;
}

function isUnreadable(ai: AiSdk, error: unknown): boolean {
  return (
    ai.JSONParseError.isInstance(error) ||
    ai.TypeValidationError.isInstance(error) ||
    ai.InvalidResponseDataError.isInstance(error) ||
    ai.EmptyResponseBodyError.isInstance(error)
  );
}

function isOfTheSdk(error: unknown): boolean {
  return error instanceof Error && error.name.startsWith("AI_");
}

function isForGood(error: unknown): boolean {
  return error instanceof Error && Reflect.get(error, "retryable") === false;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : typeof error === "string" ? error : JSON.stringify(error);
}
