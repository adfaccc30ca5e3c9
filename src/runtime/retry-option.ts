// Retry: how often a step of each failure class is tried, and how long the pauses between are.

import type { FailureClass } from "../actors/facts.ts";
import type { RetryPolicies, RetryPolicy } from "./agent.ts";

export type RetryOption = Partial<Record<FailureClass, Partial<RetryPolicy>>>;

const TRANSIENT: Readonly<RetryPolicy> = Object.freeze({
  maxAttempts: 3,
  initialDelayMs: 500,
  maxDelayMs: 30_000,
  factor: 2,
  jitter: 0.2,
});
const ONCE: Readonly<RetryPolicy> = Object.freeze({ ...TRANSIENT, maxAttempts: 1 });

/** `transient` failures are tried three times with exponential pauses, everything else once. */
export const DEFAULT_RETRY: RetryPolicies = Object.freeze({
  transient: TRANSIENT,
  timeout: ONCE,
  invalid_output: ONCE,
  permanent: ONCE,
});

export function resolveRetry(option?: RetryOption): RetryPolicies {
  if (option === undefined) return DEFAULT_RETRY;
  return {
    transient: { ...DEFAULT_RETRY.transient, ...option.transient },
    timeout: { ...DEFAULT_RETRY.timeout, ...option.timeout },
    invalid_output: { ...DEFAULT_RETRY.invalid_output, ...option.invalid_output },
    permanent: { ...DEFAULT_RETRY.permanent, ...option.permanent },
  };
}
