// Step wire: what an owner sends along with a step, and what a worker answers. Plain data; it crosses the bus.

import type { StepOffer } from "../actors/effects.ts";
import type { FailureClass, Outcome, StateWrite, Usage } from "../actors/facts.ts";
import type { RunSummary } from "../actors/session-state.ts";
import type { ErrorData } from "../base/errors.ts";
import type { Stored } from "../base/stored.ts";
import type { NodeKind } from "../topology/types.ts";
import type { AgentContext, BudgetLeft } from "./agent.ts";

export interface StepBody {
  readonly offer: StepOffer;
  readonly kind: NodeKind;
  readonly inputShape: "arrivals" | "values";
  readonly topologyHash: string;
  /** The run's own step limit: an agent's `timeoutMs` replaces it, but nothing more specific. */
  readonly defaultTimeoutMs: number | false;
  readonly task: Stored;
  readonly context: Readonly<Record<string, Stored>>;
  readonly agentState: Readonly<Record<string, Stored>>;
  readonly runs: readonly RunSummary[];
  readonly successors: AgentContext["successors"];
  readonly place: AgentContext["place"];
  readonly steeringMode: AgentContext["steeringMode"];
  readonly journal: readonly (readonly [key: string, value: Stored])[];
  /** What the run's budget leaves as the step is offered. Absent: it has none, or a version before offered the step. */
  readonly budgetLeft?: BudgetLeft;
  /** Takes what the agent threw, where owner and worker are one process; it crosses no bus. */
  threw?(error: unknown): void;
}

/** What one attempt came to on its worker. The owner makes a fact of it. */
export type StepEnd =
  | {
      readonly kind: "succeeded";
      readonly outcome: Outcome;
      readonly tookMs: number;
      readonly usage?: Usage;
      readonly state?: readonly StateWrite[];
      readonly blobs?: ReadonlyMap<string, Uint8Array>;
    }
  | {
      readonly kind: "failed";
      readonly class: FailureClass;
      readonly error: ErrorData;
      readonly tookMs: number;
      readonly usage?: Usage;
      /** What the error asked to wait before another attempt. */
      readonly retryAfterMs?: number;
      /** The agent said so (`next.fail`): no further attempt, whatever the policy. */
      readonly forGood?: boolean;
    }
  | {
      readonly kind: "suspended";
      readonly questions: readonly {
        readonly questionId: string;
        readonly prompt: Stored;
        readonly sessionId: string;
        readonly dueAtMs?: number;
      }[];
      readonly blobs?: ReadonlyMap<string, Uint8Array>;
    };

/** Why an attempt is stopped from outside. */
export type AbortReason = "cancelled" | "paused" | "timed_out" | "ended" | "fenced" | "closing" | "superseded";
