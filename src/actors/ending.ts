// How a run ends: once, by name, with nothing left alive.

import type { ErrorData } from "../base/errors.ts";
import type { Stored } from "../base/stored.ts";
import { disarmed, type Draft } from "./draft.ts";
import type { RunValue, TerminalReason } from "./effects.ts";
import { IntMap } from "./int-map.ts";
import { RUN_HISTORY_MAX, type RunEnd, type RunSummary } from "./session-state.ts";

export function completeRun(draft: Draft, values: readonly Stored[]): void {
  const value: RunValue = values.length === 1 ? { kind: "one", value: values[0]! } : { kind: "many", values };
  endRun(draft, { status: "completed", terminalReason: "completed", value, error: null });
}

export function failRun(draft: Draft, error: ErrorData, reason: TerminalReason = reasonOf(error)): void {
  endRun(draft, { status: "failed", terminalReason: reason, value: null, error });
}

export function cancelRun(draft: Draft, reason: string | undefined): void {
  const error = {
    code: "ORCH_CANCELLED",
    message: reason === undefined ? "the run was cancelled" : `the run was cancelled: ${reason}`,
  };
  endRun(draft, { status: "cancelled", terminalReason: "cancelled", value: null, error }, reason);
}

function reasonOf(error: ErrorData): TerminalReason {
  if (error.code === "ORCH_NO_ROUTE") return "no_route";
  if (error.code === "ORCH_LOOP_BOUND") return "loop_bound";
  return "failed";
}

function endRun(draft: Draft, end: RunEnd, cancelReason?: string): void {
  const { run, session } = draft;
  if (run.end !== null) return;
  run.end = end;
  for (const branch of [...run.branches.values()]) {
    // Ending one branch also ends those of the frames it waits for.
    if (run.branches.has(branch.id)) draft.endBranch(branch.id, "cancelled");
  }
  for (const question of run.questions)
    draft.effects.push(...disarmed(question), { type: "question.withdraw", questionId: question.questionId });
  for (const timerId of Object.keys(run.timers)) draft.disarmTimer(timerId);
  run.questions = [];
  run.queue = [];
  run.frames = IntMap.empty();
  run.instances = IntMap.empty();
  run.pause = null;
  run.endedAtMs = draft.atMs;
  draft.touched?.clear();
  draft.emptied.length = 0;
  session.status = end.status;
  session.runs = [...session.runs, summaryOf(draft, end)].slice(-RUN_HISTORY_MAX);
  if (end.status === "completed") draft.events.push({ type: "run.completed", value: end.value! });
  else if (end.status === "failed")
    draft.events.push({ type: "run.failed", error: end.error!, terminalReason: end.terminalReason });
  else draft.events.push({ type: "run.cancelled", ...(cancelReason === undefined ? {} : { reason: cancelReason }) });
  draft.effects.push({ type: "run.settled", status: end.status });
}

function summaryOf({ run, atMs }: Draft, end: RunEnd): RunSummary {
  const value: Stored | null =
    end.value === null ? null : end.value.kind === "one" ? end.value.value : { list: end.value.values };
  return {
    runId: run.runId,
    task: run.task,
    status: end.status,
    finalResponse: value,
    atMs,
    ...(run.idempotencyKey === null ? {} : { idempotencyKey: run.idempotencyKey }),
  };
}
