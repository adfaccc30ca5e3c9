// Registering: what becomes of a result that the register did not take.

import { errorToData } from "../base/error-data.ts";
import type { Logger } from "../base/logger.ts";
import type { Bus, Claim, StepResult } from "../bus/ports.ts";
import { whileBeating } from "./beats.ts";
import type { Deadlines } from "./deadlines.ts";
import type { StepBody, StepEnd } from "./step-wire.ts";

const RETRY_MS = 250;
const RETRY_MS_MAX = 5_000;

/** Puts a result until it is taken, its claim alive. Once `stopped`, the step is handed back. */
export async function registerLater(
  { bus, deadlines, logger }: { readonly bus: Bus; readonly deadlines: Deadlines; readonly logger: Logger },
  claim: Claim,
  result: StepResult,
  stopped: AbortSignal,
): Promise<void> {
  for (let waitMs = RETRY_MS; ; waitMs = Math.min(2 * waitMs, RETRY_MS_MAX)) {
    if (!(await whileBeating(claim, deadlines, passed(deadlines, waitMs, stopped)))) return claim.retry(0);
    try {
      await whileBeating(claim, deadlines, bus.results.put(result));
      return await claim.done();
    } catch (error) {
      const { sessionId, stepId } = result;
      logger.debug({ sessionId, stepId, error: errorToData(error) }, "a result could not be registered yet");
    }
  }
}

/** False when it was given up. */
function passed(deadlines: Deadlines, ms: number, stopped: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    if (stopped.aborted) return resolve(false);
    const end = (waited: boolean): void => {
      deadlines.clear(deadline);
      stopped.removeEventListener("abort", stop);
      resolve(waited);
    };
    const stop = (): void => end(false);
    const deadline = deadlines.after(ms, () => end(true));
    stopped.addEventListener("abort", stop, { once: true });
  });
}

/** The failure that takes the place of a result no bus will ever take. Undefined where it may take it later. */
export function refusedForGood(body: StepBody, error: unknown, end: StepEnd): StepEnd | undefined {
  const { code, ...rest } = errorToData(error);
  if (code !== "ORCH_PAYLOAD_TOO_LARGE" && code !== "ORCH_NOT_SERIALIZABLE") return undefined;
  const { node, branchId } = body.offer;
  const tookMs = end.kind === "suspended" ? 0 : end.tookMs;
  return { kind: "failed", class: "permanent", error: { code, ...rest, node, branchId }, tookMs };
}
