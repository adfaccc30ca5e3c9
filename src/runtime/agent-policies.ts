// Agent policies: what an agent may say of its retries and its steering, and a run for all of its agents.

import { check, count, delayMs, object } from "./option-schema.ts";

const retryPolicy = object({
  maxAttempts: count,
  initialDelayMs: delayMs,
  maxDelayMs: delayMs,
  factor: check((value) => typeof value === "number" && value >= 1 && Number.isFinite(value), "a number from 1"),
  jitter: check((value) => typeof value === "number" && value >= 0 && value <= 1, "a number from 0 to 1"),
});
export const RETRY_BY_CLASS = {
  transient: retryPolicy,
  timeout: retryPolicy,
  invalid_output: retryPolicy,
  permanent: retryPolicy,
};
/** Of one agent: a policy for all failure classes, or one for some of them. */
export const agentRetry = object({ ...retryPolicy.fields, ...RETRY_BY_CLASS });

export const steeringMode = check(
  (value) => value === "auto" || value === "always" || value === "never",
  '"auto", "always" or "never"',
);
