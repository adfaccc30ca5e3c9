// Failure class: how a thrown thing is to be treated. The retry policy is chosen by it.

import type { FailureClass } from "../actors/facts.ts";

const TRANSIENT_CODES = /^(ECONN\w*|ETIMEDOUT|EAI_AGAIN)$/;

/**
 * transient: ECONN*, ETIMEDOUT, EAI_AGAIN, HTTP status 408, 429 or 5xx, or `retryable === true`, on the error or any of its
 * causes. `retryable === false` on the error overrules all of these. timeout: ORCH_TIMEOUT. invalid_output: ORCH_INVALID_OUTPUT.
 * Everything else is permanent.
 */
export function classifyFailure(error: unknown): FailureClass {
  const code = field(error, "code");
  if (code === "ORCH_TIMEOUT") return "timeout";
  if (code === "ORCH_INVALID_OUTPUT") return "invalid_output";
  if (field(error, "retryable") === false) return "permanent";
  let cause: unknown = error;
  for (let depth = 0; depth < 8 && isObject(cause); depth++) {
    if (looksTransient(cause)) return "transient";
    cause = field(cause, "cause");
  }
  return "permanent";
}

/** What the error asks to wait before another attempt, in milliseconds; undefined when it says nothing. */
export function retryAfterMsOf(error: unknown): number | undefined {
  let cause: unknown = error;
  for (let depth = 0; depth < 8 && isObject(cause); depth++) {
    const asked = field(cause, "retryAfterMs");
    if (typeof asked === "number" && Number.isFinite(asked) && asked >= 0) return asked;
    cause = field(cause, "cause");
  }
  return undefined;
}

function looksTransient(error: object): boolean {
  if (field(error, "retryable") === true) return true;
  const code = field(error, "code");
  if (typeof code === "string" && TRANSIENT_CODES.test(code)) return true;
  const status = field(error, "status") ?? field(error, "statusCode");
  return typeof status === "number" && (status === 408 || status === 429 || (status >= 500 && status <= 599));
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

// A getter of a foreign error may throw; classifying must not.
function field(value: unknown, name: string): unknown {
  if (!isObject(value)) return undefined;
  try {
    return Reflect.get(value, name);
  } catch {
    return undefined;
  }
}
