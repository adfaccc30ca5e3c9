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
  readonly #onAbort = (): void => this.#abort("the call was cancelled");
  readonly #cancelTotal: (() => void) | undefined;
  #cancelIdle: (() => void) | undefined;

  constructor(options: CallDeadlinesOptions) {
    this.#options = options;
    const { clock, timeoutMs, signal } = options;
    if (signal.aborted) this.#onAbort();
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
    if (idleTimeoutMs !== false && !this.signal.aborted)
      this.#cancelIdle = clock.setTimer(idleTimeoutMs, () => this.#timeOut(idleTimeoutMs, "was silent"));
  }

  /** What is still open of the call is closed, such as answers that nobody read. */
  end(): void {
    this.#cancelTotal?.();
    this.#cancelIdle?.();
    this.#options.signal.removeEventListener("abort", this.#onAbort);
    this.#abort("the call is over");
  }

  #abort(why: string): void {
    this.#controller.abort(new OrchestraError("ORCH_CANCELLED", `${this.#options.to}: ${why}`));
  }

  #timeOut(afterMs: number, what: string): void {
    this.#controller.abort(
      new OrchestraError("ORCH_TIMEOUT", `${this.#options.to} ${what} within ${afterMs} ms`, {
        details: { endpoint: this.#options.to, afterMs },
      }),
    );
  }
}
