// From what the engine reports to the result a user holds.

import type { RunEnd, SessionState } from "../actors/session-state.ts";
import type { RunStatus, TerminalReason } from "../actors/effects.ts";
import { NO_USAGE } from "../actors/facts.ts";
import type { ErrorData } from "../base/errors.ts";
import type { RecordedBranch, RecordedStep, RunOutcome } from "./engine-api.ts";
import {
  OrchestraResult,
  type BranchResult,
  type ResultQuestion,
  type ResultStatus,
  type TraceStep,
} from "./result.ts";

export function resultFromOutcome(outcome: RunOutcome, questions: readonly ResultQuestion[] = []): OrchestraResult {
  const run = outcome.state.run;
  if (run === null) throw new TypeError(`session ${outcome.state.sessionId} has an outcome but no run`);
  const status = resultStatus(outcome);
  const usage = run.usage ?? NO_USAGE;
  const pausedReason = run.pause?.reason ?? null;
  return new OrchestraResult({
    status,
    finalResponse: outcome.finalResponse ?? null,
    get branchResults() {
      return outcome.branches.map(branchResult);
    },
    totalSteps: run.steps,
    totalDurationMs: Math.max(0, outcome.endedAtMs - outcome.startedAtMs),
    metadata: {
      durability: outcome.durability,
      terminalReason: terminalReason(status, run.end),
      boundsHit: run.boundsHit,
      partial: run.partial,
      missing: run.missing,
      timedOut: run.timedOut,
      topology: { nodes: run.topology.nodes.length, edges: run.topology.edges.length, hash: run.topologyHash },
      usage: {
        inputTokens: usage.inputTokens,
        outputTokens: usage.outputTokens,
        totalTokens: usage.inputTokens + usage.outputTokens,
        costUsd: usage.costUsd,
        apiCalls: usage.apiCalls,
      },
      ignoredFacts: run.ignored + (outcome.ignoredFacts ?? 0),
      get traceTruncated() {
        return outcome.traceTruncated;
      },
      questions,
      pausedReason,
    },
    error: status === "completed" ? null : (outcome.error ?? errorOf(outcome.status, pausedReason, questions)),
    sessionId: outcome.state.sessionId,
    runId: run.runId,
    checkpointIds: outcome.checkpointIds,
    ...(outcome.later && { later: true }),
    get trace() {
      return outcome.trace.map(traceStep);
    },
    invocations: invocationsOf(outcome.state),
    thrown: outcome.thrown,
    followUps: [],
  });
}

function resultStatus({ status }: RunOutcome): ResultStatus {
  // A run somebody else is moving at this moment has no end yet; it can be resumed like one that is paused.
  return status === "idle" || status === "running" ? "paused" : status;
}

function terminalReason(status: ResultStatus, end: RunEnd | null): TerminalReason {
  return end?.terminalReason ?? status;
}

/** A result that is no success always says why. */
function errorOf(status: RunStatus, pausedReason: string | null, questions: readonly ResultQuestion[]): ErrorData {
  switch (status) {
    case "paused":
      return {
        code: "ORCH_SESSION_STATE",
        message: `the run is paused${pausedReason ? `: ${pausedReason}` : ""}; it goes on when its session is resumed`,
      };
    case "idle":
    case "running":
      return {
        code: "ORCH_SESSION_STATE",
        message: "the run has not ended; with nobody behind it, it goes on when its session is resumed",
      };
    case "awaiting_user": {
      const asked = questions.map((question) => `${question.questionId} at "${question.node}"`).join(", ");
      return {
        code: "ORCH_SESSION_STATE",
        message: `the run waits for an answer${asked ? ` to ${asked}` : ""}; it goes on when its session is resumed with one`,
      };
    }
    case "cancelled":
      return { code: "ORCH_CANCELLED", message: "the run was cancelled" };
    default:
      return { code: "ORCH_AGENT_FAILED", message: "the run failed" };
  }
}

function branchResult(branch: RecordedBranch): BranchResult {
  const durationMs = Math.max(0, branch.endedAtMs - branch.startedAtMs);
  return {
    branchId: branch.branchId,
    parentId: branch.parentId,
    nodes: branch.nodes,
    status: branch.status,
    success: branch.status === "completed",
    input: branch.input,
    finalResponse: branch.finalResponse ?? null,
    stepCount: branch.stepCount,
    duration: durationMs / 1000,
    durationMs,
    error: branch.error,
  };
}

function traceStep({ startedAtMs, endedAtMs, ...step }: RecordedStep): TraceStep {
  return { ...step, started: startedAtMs, ended: endedAtMs };
}

function invocationsOf(state: SessionState): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const [index, node] of (state.run?.topology.nodes ?? []).entries()) {
    const count = state.run?.invocations[index] ?? 0;
    if (count > 0) counts[node.name] = count;
  }
  return counts;
}
