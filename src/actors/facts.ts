// Facts
//
// What happened and cannot be recomputed: the only input of a run machine. A fact's time is the `atMs`
// of the commit that holds it. Values of users are `Stored`; conditions were judged when the fact was
// made, and `held` lists the edges (by number in the plan) whose condition held.

import type { ErrorData } from "../base/errors.ts";
import type { Stored } from "../base/stored.ts";
import type { ConvergencePolicy, TopologyData } from "../topology/types.ts";

/** The bounds of a run, resolved: `false` means none. */
export interface RunLimits {
  readonly maxSteps: number;
  readonly tokens: number | false;
  readonly costUsd: number | false;
  readonly durationMs: number | false;
  readonly maxAgents: number | false;
  readonly branchTimeoutMs: number | false;
  readonly convergenceTimeoutMs: number | false;
  readonly stepTimeoutMs: number | false;
  readonly convergencePolicy: ConvergencePolicy;
  /** Barriers join branches. `false`: every node behaves as with `convergence: false`. */
  readonly convergence: boolean;
  readonly errorRouting: boolean;
}

export interface Usage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly costUsd: number;
  readonly apiCalls: number;
  /** Steps taken by nested runs inside the step. */
  readonly nestedSteps: number;
}
export const NO_USAGE: Usage = Object.freeze({
  inputTokens: 0,
  outputTokens: 0,
  costUsd: 0,
  apiCalls: 0,
  nestedSteps: 0,
});

/** What a step came to. Targets are node names, checked by the reducer. */
export type Outcome =
  | { readonly kind: "value"; readonly value: Stored }
  | { readonly kind: "invoke"; readonly agent: string; readonly input: Stored }
  | { readonly kind: "parallel"; readonly items: readonly { readonly agent: string; readonly input: Stored }[] }
  | { readonly kind: "final"; readonly value: Stored }
  | {
      readonly kind: "ask";
      readonly prompt: Stored;
      /** How long the person has. Absent: no limit. */
      readonly timeoutMs?: number;
      /** Taken as the answer when the time is over. Absent: the node fails. */
      readonly fallback?: Stored;
    };

/** How a failure is to be treated; the retry policy is chosen by it. */
export type FailureClass = "transient" | "timeout" | "invalid_output" | "permanent";

/** A write of `ctx.state`; an absent value deletes. */
export interface StateWrite {
  readonly key: string;
  readonly value?: Stored;
}

export type Fact =
  | {
      readonly type: "run.started";
      readonly runId: string;
      readonly task: Stored;
      readonly topology: TopologyData;
      readonly topologyHash: string;
      readonly limits: RunLimits;
      /** Conditions of the entry's edges, judged on the task; used when the entry is no step. */
      readonly held: readonly number[];
      readonly context?: Readonly<Record<string, Stored>>;
      readonly idempotencyKey?: string;
      /** Set on a nested run: where its questions and its pause belong. */
      readonly parent?: { readonly sessionId: string; readonly stepId: string };
      /** Starts the session over: context, agent state and transcript are emptied. */
      readonly fresh?: boolean;
      /** A follow-up question rather than a new task. */
      readonly followUp?: boolean;
      /** Conditions of the topology that were functions; who goes on with the run must have them. Absent: none, or not recorded. */
      readonly conditions?: readonly string[];
    }
  | {
      readonly type: "step.succeeded";
      readonly stepId: string;
      readonly attempt: number;
      readonly outcome: Outcome;
      readonly held: readonly number[];
      /** How long the attempt took, in milliseconds. */
      readonly tookMs: number;
      readonly usage?: Usage;
      readonly state?: readonly StateWrite[];
    }
  | {
      readonly type: "step.failed";
      readonly stepId: string;
      readonly attempt: number;
      readonly class: FailureClass;
      readonly error: ErrorData;
      /** Another attempt may start from this time on. Absent: this was the last. */
      readonly retryAtMs?: number;
      /** Conditions of error edges, judged on the error. */
      readonly held: readonly number[];
      readonly tookMs: number;
      readonly usage?: Usage;
    }
  | {
      /** A nested run inside the step waits for people; the step lets go of its host and runs again once all are answered. */
      readonly type: "step.suspended";
      readonly stepId: string;
      readonly attempt: number;
      readonly questions: readonly {
        readonly questionId: string;
        readonly prompt: Stored;
        readonly sessionId: string;
        readonly dueAtMs?: number;
      }[];
    }
  | { readonly type: "journaled"; readonly stepId: string; readonly key: string; readonly value: Stored }
  | { readonly type: "timer.fired"; readonly timerId: string }
  | {
      readonly type: "user.answered";
      readonly questionId: string;
      /** Of a recovery: what the node is taken to have returned when it is skipped. */
      readonly value: Stored;
      /** What a person decided about a failure. */
      readonly action?: "retry" | "skip" | "abort";
      readonly held: readonly number[];
    }
  | {
      /** Nobody answered in time. */
      readonly type: "question.expired";
      readonly questionId: string;
      /** Taken as the answer. Absent: the node fails, or stays failed. */
      readonly value?: Stored;
      readonly held: readonly number[];
    }
  | { readonly type: "context.added"; readonly context: Readonly<Record<string, Stored>> }
  | { readonly type: "paused"; readonly reason?: string; readonly inFlight: "finish" | "abort" }
  | { readonly type: "resumed"; readonly shiftMs: number }
  | { readonly type: "cancelled"; readonly reason?: string }
  | { readonly type: "owned"; readonly host: string; readonly epoch: number; readonly shiftMs: number }
  | {
      /** The run goes on with another topology. */
      readonly type: "migrated";
      readonly topology: TopologyData;
      readonly topologyHash: string;
      /** Nodes that have another name now: old name → new name. */
      readonly nodes: Readonly<Record<string, string>>;
      /** As of `run.started`. */
      readonly conditions?: readonly string[];
    }
  | { readonly type: "checkpointed"; readonly checkpointId: string; readonly name: string }
  | {
      readonly type: "restored";
      readonly checkpointId: string;
      readonly fromN: number;
      readonly state: unknown;
      /** Version of the reducer that folded `state`. Absent: 1. */
      readonly reducer?: number;
    };
