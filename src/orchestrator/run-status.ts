// Run status: where a run stands, made from its events. The names of both spellings are mapped here.

import type { ErrorData } from "../base/errors.ts";
import type { BudgetName, OrchestratorEvent, TerminalReason } from "./run-events.ts";

export type RunPhase = "pending" | "running" | "completed" | "failed" | "cancelled" | "unknown";

export interface RunStatus {
  /** `pending`: not begun. `completed`: converged. `failed`: for any other reason but `cancelled`; `unknown`: no such run. */
  readonly phase: RunPhase;
  /** 0 to 100, by iterations; 100 only of a run that converged. */
  readonly progress: number;
  readonly finished: boolean;
  /** Iterations begun. */
  readonly iteration: number;
  readonly reason?: TerminalReason;
  readonly budget?: BudgetName;
  readonly error?: ErrorData;
  /** Why it stands still, while it does. */
  readonly waiting?: string;
}

export type ClientStatus = "queued" | "running" | "completed" | "failed" | "cancelled" | "unknown";

export const UNKNOWN_STATUS: RunStatus = Object.freeze({
  phase: "unknown",
  progress: 0,
  finished: false,
  iteration: 0,
});
export const PENDING_STATUS: RunStatus = Object.freeze({
  phase: "pending",
  progress: 0,
  finished: false,
  iteration: 0,
});

const PHASE_OF: Readonly<Record<TerminalReason, RunPhase>> = {
  converged: "completed",
  budget_exhausted: "failed",
  failed: "failed",
  cancelled: "cancelled",
};

export function statusOf(events: readonly OrchestratorEvent[]): RunStatus {
  return events.reduce(following, PENDING_STATUS);
}

function following(status: RunStatus, event: OrchestratorEvent): RunStatus {
  switch (event.type) {
    case "run.started":
      return { ...status, phase: "running" };
    case "iteration.started":
      return { ...status, iteration: event.payload.iteration };
    case "iteration.completed": {
      const { iteration, of } = event.payload;
      return { ...status, progress: Math.min(99, Math.floor((100 * iteration) / of)) };
    }
    case "run.paused":
      return { ...status, waiting: event.payload.why };
    case "run.resumed": {
      const { waiting: _over, ...going } = status;
      return going;
    }
    case "run.terminal": {
      const { reason, budget, error } = event.payload;
      return {
        phase: PHASE_OF[reason],
        progress: reason === "converged" ? 100 : status.progress,
        finished: true,
        iteration: status.iteration,
        reason,
        ...(budget !== undefined && { budget }),
        ...(error !== undefined && { error }),
      };
    }
    default:
      return status;
  }
}

export function clientStatusOf(phase: RunPhase): ClientStatus {
  return phase === "pending" ? "queued" : phase;
}
