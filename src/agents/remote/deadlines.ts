// Deadlines of one remote call: the whole of it, and silence within it.

import type { Clock } from "../../base/clock.ts";
import { OrchestraError } from "../../base/errors.ts";

export interface CallDeadlinesOptions {
  readonly clock: Clock;
  /** Of the whole call, in milliseconds. */
  readonly timeoutMs: number | false;
  /** Between two signs of life, in milliseconds. */
  readonly idleTimeoutMs: number | false;
  /** Its abort ends the call as well. */
  readonly signal: AbortSignal;
  /** Whom the call goes to, for messages. */
  readonly to: string;
}

/** Aborts its signal with `ORCH_TIMEOUT` when a bound is passed, with `ORCH_CANCELLED` when the step is aborted. */
export class CallDeadlines {
  readonly #options: CallDeadlinesOptions;
  readonly #controller = new AbortController();
  readonly #onAbort = (): void => this.#cancel();
  readonly #cancelTotal: (() => void) | undefined;
  #cancelIdle: (() => void) | undefined;

  constructor(options: CallDeadlinesOptions) {
    this.#options = options;
    const { clock, timeoutMs, signal } = options;
    if (signal.aborted) this.#cancel();
    else signal.addEventListener("abort", this.#onAbort, { once: true });
    if (timeoutMs !== false)
      this.#cancelTotal = clock.setTimer(timeoutMs, () => this.#timeOut(timeoutMs, "did not end"));
    this.alive();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The other side showed itself. */
  alive(): void {
    const { clock, idleTimeoutMs } = this.#options;
    this.#cancelIdle?.();
    if (idleTimeoutMs !== false)
      this.#cancelIdle = clock.setTimer(idleTimeoutMs, () => this.#timeOut(idleTimeoutMs, "was silent"));
  }

  end(): void {
    this.#cancelTotal?.();
    this.#cancelIdle?.();
    this.#options.signal.removeEventListener("abort", this.#onAbort);
  }

  #cancel(): void {
    this.#controller.abort(new OrchestraError("ORCH_CANCELLED", `${this.#options.to}: the call was cancelled`));
  }

  #timeOut(afterMs: number, what: string): void {
    this.#controller.abort(
      new OrchestraError("ORCH_TIMEOUT", `${this.#options.to} ${what} within ${afterMs} ms`, {
        details: { endpoint: this.#options.to, afterMs },
      }),
    );
  }
}
