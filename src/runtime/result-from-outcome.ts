// From what the engine reports to the result a user holds.

import type { RunEnd, RunState, SessionState } from "../actors/session-state.ts";
import type { RunStatus, TerminalReason } from "../actors/effects.ts";
import { NO_USAGE } from "../actors/facts.ts";
import type { ErrorData } from "../base/errors.ts";
import type { RecordedBranch, RecordedStep, RunOutcome } from "./engine-api.ts";
import {
  OrchestraResult,
  type BranchResult,
  type ResultData,
  type ResultMetadata,
  type ResultQuestion,
  type ResultStatus,
  type TraceStep,
} from "./result.ts";

export function resultFromOutcome(outcome: RunOutcome, questions: readonly ResultQuestion[] = []): OrchestraResult {
  return new OrchestraResult(new OutcomeData(outcome, questions));
}

/** A class, so that what is worked out on first use costs nothing before. */
class OutcomeData implements ResultData {
  readonly status: ResultStatus;
  readonly finalResponse: unknown;
  readonly totalSteps: number;
  readonly totalDurationMs: number;
  readonly metadata: ResultMetadata;
  readonly error: ErrorData | null;
  readonly sessionId: string;
  readonly runId: string;
  readonly checkpointIds: readonly string[];
  readonly later?: true;
  readonly invocations: Readonly<Record<string, number>>;
  readonly followUps: readonly OrchestraResult[] = [];
  readonly thrown: unknown;
  readonly #outcome: RunOutcome;

  constructor(outcome: RunOutcome, questions: readonly ResultQuestion[]) {
    const { run, sessionId } = outcome.state;
    if (run === null) throw new TypeError(`session ${sessionId} has an outcome but no run`);
    const status = resultStatus(outcome);
    const pausedReason = run.pause?.reason ?? null;
    this.#outcome = outcome;
    this.status = status;
    this.finalResponse = outcome.finalResponse ?? null;
    this.totalSteps = run.steps;
    this.totalDurationMs = Math.max(0, outcome.endedAtMs - outcome.startedAtMs);
    this.metadata = metadataOf(outcome, run, questions);
    this.error = status === "completed" ? null : (outcome.error ?? errorOf(outcome.status, pausedReason, questions));
    this.sessionId = sessionId;
    this.runId = run.runId;
    this.checkpointIds = outcome.checkpointIds;
    if (outcome.later) this.later = true;
    this.invocations = invocationsOf(outcome.state);
    this.thrown = outcome.thrown;
  }

  get branchResults(): readonly BranchResult[] {
    return this.#outcome.branches.map(branchResult);
  }

  get trace(): readonly TraceStep[] {
    return this.#outcome.trace.map(traceStep);
  }
}

function metadataOf(outcome: RunOutcome, run: RunState, questions: readonly ResultQuestion[]): ResultMetadata {
  const usage = run.usage ?? NO_USAGE;
  const metadata = {
    durability: outcome.durability,
    terminalReason: terminalReason(resultStatus(outcome), run.end),
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
    traceTruncated: outcome.later ? false : outcome.traceTruncated,
    questions,
    pausedReason: run.pause?.reason ?? null,
  };
  if (outcome.later)
    Object.defineProperty(metadata, "traceTruncated", { enumerable: true, get: () => outcome.traceTruncated });
  return metadata;
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
