// Retry: whether a failed attempt is followed by another, and when. Pure; chance is handed in as a number.

import type { FailureClass } from "./facts.ts";

/** The part of a retry policy that decides; the runtime's `RetryPolicy` fits. */
export interface RetryBounds {
  /** Attempts in all, the first included. */
  readonly maxAttempts: number;
  readonly initialDelayMs: number;
  readonly maxDelayMs: number;
  readonly factor: number;
  /** Share of the delay that is left to chance, 0 to 1. */
  readonly jitter: number;
}

export type RetryDecision = { readonly retry: false } | { readonly retry: true; readonly delayMs: number };

export interface FailedAttempt {
  readonly class: FailureClass;
  /** Which attempt failed, from 1. */
  readonly attempt: number;
  /** What the error itself asks for (HTTP `Retry-After`); waited in full, up to an hour. */
  readonly retryAfterMs?: number | undefined;
}

const RETRY_AFTER_MS_MAX = 3_600_000;

/**
 * The delay before attempt n + 1 is `initialDelayMs * factor^(n - 1)`, at most `maxDelayMs`, of which the share
 * `jitter` is scaled by `chance` in [0, 1). An error's own `retryAfterMs` is a floor.
 */
export function decideRetry(
  policies: Readonly<Record<FailureClass, RetryBounds>>,
  failed: FailedAttempt,
  chance: number,
): RetryDecision {
  const policy = policies[failed.class];
  if (failed.attempt >= policy.maxAttempts) return { retry: false };
  const grown = policy.initialDelayMs * policy.factor ** (failed.attempt - 1);
  const full = Number.isFinite(grown) ? Math.min(grown, policy.maxDelayMs) : policy.maxDelayMs;
  const spread = full * (1 - policy.jitter) + full * policy.jitter * chance;
  const asked = failed.retryAfterMs === undefined ? 0 : Math.min(failed.retryAfterMs, RETRY_AFTER_MS_MAX);
  return { retry: true, delayMs: Math.round(Math.max(spread, asked)) };
}
