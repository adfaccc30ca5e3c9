// Time limit: a promise that is given up when its time is over or its signal aborts, whatever the work behind it does.

import type { Clock } from "../../base/clock.ts";
import { OrchestraError } from "../../base/errors.ts";

export const NEVER_ABORTED: AbortSignal = new AbortController().signal;

interface Limits {
  /** For the error: `tool "search"`. */
  readonly what: string;
  readonly limitMs: number | false;
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

/**
 * What `work` comes to. The signal it is handed aborts at the limit, with `signal`, and when it is over; what it does
 * afterwards is dropped.
 *
 * @throws {OrchestraError} `ORCH_TIMEOUT`; the reason of `signal`
 */
export async function timeLimited<T>(limits: Limits, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { what, limitMs, signal, clock } = limits;
  signal.throwIfAborted();
  const controller = new AbortController();
  const stop = (): void => controller.abort(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  const clear =
    limitMs === false
      ? undefined
      : clock.setTimer(limitMs, () =>
          controller.abort(
            new OrchestraError("ORCH_TIMEOUT", `${what} took longer than ${limitMs} ms`, { details: { limitMs } }),
          ),
        );
  try {
    const stopped = new Promise<never>((_, reject) => {
      controller.signal.addEventListener("abort", () => reject(controller.signal.reason as Error), { once: true });
    });
    return await Promise.race([work(controller.signal), stopped]);
  } finally {
    clear?.();
    signal.removeEventListener("abort", stop);
    controller.abort();
  }
}
