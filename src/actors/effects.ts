// Effects
//
// What the run machine asks for once its facts are committed. All of them can be derived again from the
// state (`outstandingEffects`), so recovery issues them anew without harm.

import type { ErrorData } from "../base/errors.ts";
import type { Stored } from "../base/stored.ts";

export type Arrival =
  | { readonly from: string; readonly value: Stored }
  | { readonly from: string; readonly error: ErrorData };

export type StepInput =
  | { readonly kind: "value"; readonly value: Stored }
  | { readonly kind: "list"; readonly items: readonly Arrival[] };

/** One step handed out, with all that its agent may see from the topology. */
export interface StepOffer {
  readonly stepId: string;
  readonly branchId: string;
  readonly node: string;
  readonly attempt: number;
  readonly input: StepInput;
  /** Do not start before this time. */
  readonly notBeforeMs?: number;
  readonly timeoutMs: number | false;
  /** Replies of calls: all of them when woken, those so far for a callee that is called in order. */
  readonly replies?: readonly Arrival[];
  readonly error?: ErrorData;
  readonly question?: { readonly id: string; readonly prompt: Stored; readonly input: StepInput };
  /** The step whose stream edge led here. */
  readonly streamedFrom?: string;
  /** Answers to questions of nested runs inside this step, by question id. */
  readonly answers?: Readonly<Record<string, Stored>>;
}

export interface Question {
  readonly questionId: string;
  readonly branchId: string;
  readonly node: string;
  readonly prompt: Stored;
  readonly kind: "ask" | "node" | "insufficient" | "nested" | "recovery";
  /** For a question of a nested run: its session. */
  readonly sessionId?: string;
  readonly askedAtMs: number;
  /** When it is too late, on the wall clock. Absent: never. */
  readonly dueAtMs?: number;
}

export type Effect =
  | { readonly type: "step.offer"; readonly offer: StepOffer }
  | {
      readonly type: "step.abort";
      readonly stepId: string;
      readonly reason: "cancelled" | "paused" | "timed_out" | "ended";
    }
  | { readonly type: "timer.arm"; readonly timerId: string; readonly dueAtMs: number }
  | { readonly type: "timer.disarm"; readonly timerId: string }
  | { readonly type: "question.ask"; readonly question: Question }
  | { readonly type: "question.withdraw"; readonly questionId: string }
  | { readonly type: "run.settled"; readonly status: RunStatus };

/** `idle`: no run yet. `pausing` shows as `paused` outside: steps in flight still finish. */
export type RunStatus = "idle" | "running" | "paused" | "awaiting_user" | "completed" | "failed" | "cancelled";

export type TerminalReason =
  | "completed"
  | "failed"
  | "no_route"
  | "max_steps"
  | "loop_bound"
  | "tokens"
  | "cost"
  | "duration"
  | "cancelled"
  | "paused"
  | "awaiting_user";

export type BranchStatus = "completed" | "failed" | "skipped" | "cancelled" | "timed_out";

/**
 * What observers see, derived from facts inside the reducer and so the same on every replay. The runtime adds
 * `seq`, `at`, `sessionId` and `runId`. (`step.chunk` is live only and made by the runtime.)
 */
export type KernelEvent =
  | {
      readonly type: "run.started";
      readonly task: Stored;
      readonly topologyHash: string;
      readonly nodes: number;
      readonly edges: number;
    }
  | {
      readonly type: "branch.started";
      readonly branchId: string;
      readonly parentId: string | null;
      readonly node: string;
      readonly input: StepInput;
    }
  | { readonly type: "branch.moved"; readonly branchId: string; readonly from: string; readonly node: string }
  | {
      readonly type: "step.started";
      readonly stepId: string;
      readonly branchId: string;
      readonly node: string;
      readonly attempt: number;
      readonly input: StepInput;
    }
  | {
      readonly type: "step.retrying";
      readonly stepId: string;
      readonly branchId: string;
      readonly node: string;
      readonly attempt: number;
      readonly error: ErrorData;
      readonly retryAtMs: number;
    }
  | {
      readonly type: "step.succeeded";
      readonly stepId: string;
      readonly branchId: string;
      readonly node: string;
      readonly attempt: number;
      readonly outcome: unknown;
      readonly tookMs: number;
      readonly usage?: unknown;
    }
  | {
      readonly type: "step.failed";
      readonly stepId: string;
      readonly branchId: string;
      readonly node: string;
      readonly attempt: number;
      readonly error: ErrorData;
      readonly tookMs: number;
    }
  | {
      readonly type: "step.cancelled";
      readonly stepId: string;
      readonly branchId: string;
      readonly node: string;
      readonly attempt: number;
    }
  | { readonly type: "barrier.opened"; readonly barrierId: string; readonly node: string }
  | {
      readonly type: "barrier.arrived";
      readonly barrierId: string;
      readonly node: string;
      readonly branchId: string;
      readonly from: string;
      readonly late?: boolean;
    }
  | {
      readonly type: "barrier.fired";
      readonly barrierId: string;
      readonly node: string;
      readonly arrived: number;
      readonly failed: number;
      /** cancelled: it had not decided when what it belongs to was decided or ended without it. */
      readonly decision: "fired" | "failed" | "asked" | "cancelled";
      readonly missing: readonly string[];
    }
  | {
      readonly type: "branch.ended";
      readonly branchId: string;
      readonly status: BranchStatus;
      readonly value?: Stored;
      readonly error?: ErrorData;
    }
  | {
      readonly type: "user.asked";
      readonly questionId: string;
      readonly branchId: string;
      readonly node: string;
      readonly prompt: Stored;
    }
  | {
      readonly type: "user.answered";
      readonly questionId: string;
      readonly value: Stored;
      readonly action?: "retry" | "skip" | "abort";
    }
  | {
      readonly type: "user.timed_out";
      readonly questionId: string;
      readonly branchId: string;
      readonly node: string;
      /** Taken as the answer. Absent: the node fails. */
      readonly value?: Stored;
    }
  | { readonly type: "budget.warning"; readonly budget: string; readonly used: number; readonly limit: number }
  | { readonly type: "rule.refused"; readonly rule: string; readonly node: string; readonly message: string }
  | { readonly type: "checkpoint.created"; readonly checkpointId: string; readonly name: string }
  | { readonly type: "run.restored"; readonly checkpointId: string }
  | {
      readonly type: "run.migrated";
      /** Hash of the topology it had. */
      readonly from: string;
      readonly topologyHash: string;
      readonly renamed: Readonly<Record<string, string>>;
    }
  | { readonly type: "context.added"; readonly keys: readonly string[] }
  | { readonly type: "fact.ignored"; readonly fact: string; readonly reason: string }
  | { readonly type: "run.paused"; readonly reason?: string }
  | { readonly type: "run.awaiting_user"; readonly questions: readonly string[] }
  | { readonly type: "run.resumed" }
  | { readonly type: "run.completed"; readonly value: RunValue }
  | { readonly type: "run.failed"; readonly error: ErrorData; readonly terminalReason: TerminalReason }
  | { readonly type: "run.cancelled"; readonly reason?: string };

/** One delivered value, or the list of several in declared order. */
export type RunValue =
  | { readonly kind: "one"; readonly value: Stored }
  | { readonly kind: "many"; readonly values: readonly Stored[] };
