// Result
//
// What a run came to, as plain data behind a few questions. Made from the outcome the engine reports, or read back
// from JSON; both give the same object.

import { errorFromData } from "../base/error-data.ts";
import type { TerminalReason } from "../actors/effects.ts";
import { OrchestraError } from "../base/errors.ts";
import { ERROR_CODES, type ErrorData, type OrchestraErrorCode } from "../base/errors.ts";
import { onFirstUse } from "../base/on-first-use.ts";
import type { Durability } from "../state/ports.ts";
import type { RecordedStep } from "./engine-api.ts";
import { responseAsText } from "./response-text.ts";
import { fromJsonValue, toJsonValue } from "./result-json.ts";

export type ResultStatus = "completed" | "failed" | "cancelled" | "paused" | "awaiting_user";
/** `running`: the branch still stands somewhere in a run that is paused or waits for people. */
export type BranchResultStatus = "completed" | "failed" | "skipped" | "cancelled" | "timed_out" | "running";

export interface BranchResult {
  readonly branchId: string;
  readonly parentId: string | null;
  /** The nodes it went through, the last 1,000. */
  readonly nodes: readonly string[];
  readonly status: BranchResultStatus;
  /** Only for `completed`. */
  readonly success: boolean;
  readonly input: unknown;
  readonly finalResponse: unknown;
  readonly stepCount: number;
  /** Seconds. */
  readonly duration: number;
  readonly durationMs: number;
  readonly error: ErrorData | null;
}

/** One attempt-bearing step, in commit order. */
export interface TraceStep {
  readonly stepId: string;
  readonly node: string;
  readonly branchId: string;
  readonly attempt: number;
  readonly input: unknown;
  readonly output: unknown;
  readonly error: ErrorData | null;
  readonly usage: RecordedStep["usage"];
  /** Milliseconds since the epoch. */
  readonly started: number;
  readonly ended: number;
}

export interface ResultUsage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly totalTokens: number;
  readonly costUsd: number;
  readonly apiCalls: number;
}

export interface ResultMetadata {
  readonly durability: Durability;
  readonly terminalReason: TerminalReason;
  /** Bounds that took effect without failing the run: `maxVisits`, `maxTurns`. */
  readonly boundsHit: readonly string[];
  /** Some join went on without all of its branches. */
  readonly partial: boolean;
  readonly missing: readonly string[];
  readonly timedOut: readonly string[];
  readonly topology: { readonly nodes: number; readonly edges: number; readonly hash: string };
  readonly usage: ResultUsage;
  /** Facts that came too late or twice and changed nothing: as many as the process that gave this result saw, 0 when it is read from the log. */
  readonly ignoredFacts: number;
  /** The trace holds the last 1,000 steps of more. */
  readonly traceTruncated: boolean;
  /** Open questions of a run that waits for people. */
  readonly questions: readonly ResultQuestion[];
  readonly pausedReason: string | null;
}

export interface ResultQuestion {
  readonly questionId: string;
  readonly node: string;
  readonly branchId: string;
  readonly prompt: unknown;
}

/** The plain data behind an `OrchestraResult`. */
export interface ResultData {
  readonly status: ResultStatus;
  readonly finalResponse: unknown;
  readonly branchResults: readonly BranchResult[];
  readonly totalSteps: number;
  readonly totalDurationMs: number;
  readonly metadata: ResultMetadata;
  readonly error: ErrorData | null;
  readonly sessionId: string;
  readonly runId: string;
  readonly checkpointIds: readonly string[];
  /** May be put together on first use. */
  readonly trace: readonly TraceStep[];
  /** So may `branchResults` and `metadata.traceTruncated`. */
  readonly later?: true;
  /** Steps handed out per node; exact however long the run. */
  readonly invocations: Readonly<Record<string, number>>;
  /** Answers to the questions a person put after the result, oldest first. */
  readonly followUps: readonly OrchestraResult[];
  /** What the agent threw that `error` tells of, where this process saw it. */
  readonly thrown?: unknown;
}

/** Figures of one run, for dashboards and tests. */
export interface ResultMetrics {
  readonly status: ResultStatus;
  readonly totalSteps: number;
  readonly totalDurationMs: number;
  readonly branches: Readonly<Record<BranchResultStatus, number>>;
  readonly invocations: Readonly<Record<string, number>>;
  readonly retries: number;
  readonly usage: ResultUsage;
}

export class OrchestraResult {
  readonly status: ResultStatus;
  /** Only for `completed`. */
  readonly success: boolean;
  readonly finalResponse: unknown;
  readonly branchResults!: readonly BranchResult[];
  /** Agent steps of the whole run, nested runs included. */
  readonly totalSteps: number;
  /** Seconds. */
  readonly totalDuration: number;
  readonly totalDurationMs: number;
  readonly metadata: ResultMetadata;
  /** Null if and only if `success`. */
  readonly error: ErrorData | null;
  readonly sessionId: string;
  readonly runId: string;
  readonly checkpointIds: readonly string[];
  readonly traceTruncated!: boolean;
  readonly followUps: readonly OrchestraResult[];
  readonly #data: Pick<ResultData, "trace">;
  #traced: readonly TraceStep[] | undefined;
  readonly #invocations: Readonly<Record<string, number>>;
  readonly #thrown: unknown;

  constructor(data: ResultData) {
    this.status = data.status;
    this.success = data.status === "completed";
    this.finalResponse = data.finalResponse;
    this.totalSteps = data.totalSteps;
    this.totalDuration = data.totalDurationMs / 1000;
    this.totalDurationMs = data.totalDurationMs;
    this.metadata = data.metadata;
    this.error = data.error;
    this.sessionId = data.sessionId;
    this.runId = data.runId;
    this.checkpointIds = data.checkpointIds;
    this.followUps = data.followUps;
    this.#data = data;
    this.#invocations = data.invocations;
    this.#thrown = data.thrown;
    if (data.later === true) {
      putOff(this, "branchResults", () => data.branchResults);
      putOff(this, "traceTruncated", () => data.metadata.traceTruncated);
      return;
    }
    this.branchResults = data.branchResults;
    this.traceTruncated = data.metadata.traceTruncated;
  }

  getBranchById(branchId: string): BranchResult | undefined {
    return this.branchResults.find((branch) => branch.branchId === branchId);
  }

  getSuccessfulBranches(): BranchResult[] {
    return this.branchResults.filter((branch) => branch.success);
  }

  /** Branches that ended `failed` or `timed_out`. */
  getFailedBranches(): BranchResult[] {
    return this.branchResults.filter((branch) => branch.status === "failed" || branch.status === "timed_out");
  }

  /** The final response for people: a string as it is, null as "", a report as Markdown, anything else as indented JSON. */
  getFinalResponseAsText(): string {
    return responseAsText(this.finalResponse);
  }

  wasAgentInvoked(name: string): boolean {
    return this.getAgentInvocationCount(name) > 0;
  }

  /**
   * Steps handed out at the node of that name, whether or not they came to an end. A retry or a re-run after a crash is the
   * same step; an activation after `next.ask` or with replies is a further one. Agents of nested runs are not counted here.
   * Exact also where the trace is cut.
   */
  getAgentInvocationCount(name: string): number {
    return Object.hasOwn(this.#invocations, name) ? (this.#invocations[name] ?? 0) : 0;
  }

  /** Steps in commit order, the last 1,000; `traceTruncated` says whether there were more. */
  getExecutionTrace(): readonly TraceStep[] {
    return (this.#traced ??= this.#data.trace);
  }

  getMetrics(): ResultMetrics {
    const branches = { completed: 0, failed: 0, skipped: 0, cancelled: 0, timed_out: 0, running: 0 };
    for (const branch of this.branchResults) branches[branch.status]++;
    return {
      status: this.status,
      totalSteps: this.totalSteps,
      totalDurationMs: this.totalDurationMs,
      branches,
      invocations: { ...this.#invocations },
      // The trace has an entry for each attempt.
      retries: this.getExecutionTrace().filter((step) => step.attempt > 1).length,
      usage: this.metadata.usage,
    };
  }

  /**
   * This result when it is a success, so that a script whose run failed does not exit with 0.
   *
   * @throws {OrchestraError} with the code and message of `error` otherwise. Its `cause` is what the agent threw: the very
   *   error, with its stack, where this process ran the agent; else one with its name, message, code, data and causes.
   */
  orThrow(): this {
    if (this.error === null) return this;
    const { code, message, node, branchId } = this.error;
    throw new OrchestraError(isKnownCode(code) ? code : "ORCH_AGENT_FAILED", message, {
      details: {
        sessionId: this.sessionId,
        runId: this.runId,
        status: this.status,
        ...(node && { node }),
        ...(branchId && { branchId }),
      },
      cause: this.#thrown ?? storedCause(this.error),
    });
  }

  /** The same result, with those of the questions that followed it. */
  withFollowUps(followUps: readonly OrchestraResult[]): OrchestraResult {
    const [trace, invocations, thrown] = [this.getExecutionTrace(), this.#invocations, this.#thrown];
    return new OrchestraResult({ ...this, trace, invocations, thrown, followUps });
  }

  /** Plain JSON data; what JSON cannot say (dates, maps, big integers…) is tagged. `fromJSON` reads it back. */
  toJSON(): Record<string, unknown> {
    const { success, totalDuration, traceTruncated, followUps, ...fields } = this;
    return {
      v: 1,
      ...(toJsonValue({
        success,
        totalDuration,
        traceTruncated,
        ...fields,
        trace: this.getExecutionTrace(),
        invocations: this.#invocations,
      }) as Record<string, unknown>),
      followUps: followUps.map((result) => result.toJSON()),
    };
  }

  /** @throws {OrchestraError} `ORCH_BAD_OPTION` when it is not what `toJSON` gave. */
  static fromJSON(json: unknown): OrchestraResult {
    const source: unknown = typeof json === "string" ? JSON.parse(json) : json;
    if (typeof source !== "object" || source === null || !("v" in source) || source.v !== 1 || !("trace" in source)) {
      throw new OrchestraError(
        "ORCH_BAD_OPTION",
        "OrchestraResult.fromJSON: expected what toJSON() or JSON.stringify(result) gave, with v: 1",
      );
    }
    const { followUps, ...rest } = source as { followUps?: unknown[] };
    // The one place where data of our own making is trusted to have its type.
    const data = fromJsonValue(rest) as Omit<ResultData, "followUps">;
    return new OrchestraResult({ ...data, followUps: (followUps ?? []).map((item) => OrchestraResult.fromJSON(item)) });
  }
}

/** The runtime's own errors have no more to say than the one that is thrown; what has another name was thrown by an agent. */
function storedCause(error: ErrorData): Error | undefined {
  const cause = error.name === undefined || error.name === "OrchestraError" ? error.cause : error;
  return cause === undefined ? undefined : errorFromData(cause);
}

/** A property that is put together when it is looked at, and once. */
function putOff(onto: OrchestraResult, name: keyof OrchestraResult, make: () => unknown): void {
  Object.defineProperty(onto, name, { enumerable: true, configurable: true, get: onFirstUse(make) });
}

function isKnownCode(code: string): code is OrchestraErrorCode {
  return (ERROR_CODES as readonly string[]).includes(code);
}
