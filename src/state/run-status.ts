import type { RunStatus } from "../actors/effects.ts";

/** The run is over for good: nothing but a new one, or a restored checkpoint, goes on from there. */
export function isEnded(status: RunStatus): boolean {
  return status === "completed" || status === "failed" || status === "cancelled";
}
