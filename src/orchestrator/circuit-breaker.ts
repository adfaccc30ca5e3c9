// Circuit breaker: whether something that has failed again and again is to be asked at all (Nygard, "Release It!", 2007).
// Pure but for what it counts: the time is an argument.

export interface BreakerOptions {
  /** Failures in a row after which it opens. Default 3. */
  readonly failureThreshold?: number;
  /** How long it stays open before one probe is let through. Default 30_000. */
  readonly cooldownMs?: number;
}

/** `closed`: it is asked. `open`: it is not. `half-open`: one call tries it, the others are turned away. */
export type BreakerState = "closed" | "open" | "half-open";

export const DEFAULT_BREAKER = Object.freeze({ failureThreshold: 3, cooldownMs: 30_000 });

export class CircuitBreaker {
  readonly #failureThreshold: number;
  readonly #cooldownMs: number;
  #failures = 0;
  #openedAtMs: number | undefined;
  #isProbed = false;

  constructor({
    failureThreshold = DEFAULT_BREAKER.failureThreshold,
    cooldownMs = DEFAULT_BREAKER.cooldownMs,
  }: BreakerOptions = {}) {
    this.#failureThreshold = failureThreshold;
    this.#cooldownMs = cooldownMs;
  }

  state(nowMs: number): BreakerState {
    if (this.#openedAtMs === undefined) return "closed";
    return nowMs - this.#openedAtMs < this.#cooldownMs ? "open" : "half-open";
  }

  /** Whether a call may be made now. One that may must end in `succeeded`, `failed` or `released`. */
  admit(nowMs: number): boolean {
    const state = this.state(nowMs);
    if (state === "closed") return true;
    if (state === "open" || this.#isProbed) return false;
    this.#isProbed = true;
    return true;
  }

  succeeded(): void {
    this.#failures = 0;
    this.#openedAtMs = undefined;
    this.#isProbed = false;
  }

  failed(nowMs: number): void {
    this.#failures += 1;
    if (this.#isProbed || this.#failures >= this.#failureThreshold) this.#openedAtMs = nowMs;
    this.#isProbed = false;
  }

  /** The call was stopped from outside, which says nothing. */
  released(): void {
    this.#isProbed = false;
  }
}
