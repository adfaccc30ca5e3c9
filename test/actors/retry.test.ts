import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decideRetry } from "../../src/actors/retry.ts";
import type { RetryBounds } from "../../src/actors/retry.ts";

const all = (bounds: RetryBounds) => ({
  transient: bounds,
  timeout: bounds,
  invalid_output: bounds,
  permanent: bounds,
});
const BOUNDS: RetryBounds = { maxAttempts: 5, initialDelayMs: 100, maxDelayMs: 1_000, factor: 2, jitter: 0 };

describe("the retry decision", () => {
  it("grows by the factor up to the limit, and stops after the last attempt", () => {
    const delays = [1, 2, 3, 4, 5, 6].map((attempt) => decideRetry(all(BOUNDS), { class: "transient", attempt }, 0));
    expect(delays).toEqual(
      [100, 200, 400, 800]
        .map((delayMs) => ({ retry: true, delayMs }))
        .concat([{ retry: false }, { retry: false }] as never),
    );
  });

  it("never waits less than the error asks, nor longer than an hour for it", () => {
    expect(decideRetry(all(BOUNDS), { class: "timeout", attempt: 1, retryAfterMs: 5_000 }, 0)).toEqual({
      retry: true,
      delayMs: 5_000,
    });
    expect(decideRetry(all(BOUNDS), { class: "timeout", attempt: 1, retryAfterMs: 1e12 }, 0)).toEqual({
      retry: true,
      delayMs: 3_600_000,
    });
  });

  it("stays between the unscattered part and the limit, whatever chance says", () => {
    const bounds = fc.record({
      maxAttempts: fc.integer({ min: 1, max: 50 }),
      initialDelayMs: fc.integer({ min: 0, max: 10_000 }),
      maxDelayMs: fc.integer({ min: 0, max: 60_000 }),
      factor: fc.double({ min: 1, max: 10, noNaN: true }),
      jitter: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(
        bounds,
        fc.integer({ min: 1, max: 2_000 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (policy, attempt, chance) => {
          const decision = decideRetry(all(policy), { class: "permanent", attempt }, chance);
          expect(decision.retry).toBe(attempt < policy.maxAttempts);
          if (!decision.retry) return;
          expect(decision.delayMs).toBeGreaterThanOrEqual(0);
          expect(decision.delayMs).toBeLessThanOrEqual(policy.maxDelayMs + 1);
        },
      ),
    );
  });
});
