// Trace ids
//
// The spans of a run belong to one trace, whichever hosts make them and however often the run is resumed: the id of the
// trace follows from the run. So nothing has to be stored or sent along.

import { createHash } from "node:crypto";

export interface RunTrace {
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits: the parent of the run's spans. It is the id of no span that is ever made. */
  readonly spanId: string;
}

export function traceOf({ sessionId, runId }: { readonly sessionId: string; readonly runId: string }): RunTrace {
  const digest = createHash("sha256").update(`orchestra/${sessionId}/${runId}`).digest("hex");
  return { traceId: digest.slice(0, 32), spanId: digest.slice(32, 48) };
}

/**
 * The W3C `traceparent` header of a run: an agent that sends it along has what it calls belong to the run's trace.
 * `traceparentOf(ctx)` inside of an agent.
 */
export function traceparentOf(run: { readonly sessionId: string; readonly runId: string }): string {
  const { traceId, spanId } = traceOf(run);
  return `00-${traceId}-${spanId}-01`;
}

/** Whether a run is among the share of runs that is traced; the same on every host. */
export function isSampled({ traceId }: RunTrace, share: number): boolean {
  return Number.parseInt(traceId.slice(-8), 16) < share * 2 ** 32;
}
