// Session state
//
// What the facts of a session add up to. Immutable: the reducer returns a new state and shares what did not
// change. Read it through `view.ts`; nothing outside `actors` relies on its shape.

import type { ErrorData } from "../base/errors.ts";
import type { Stored } from "../base/stored.ts";
import type { TopologyData } from "../topology/types.ts";
import type { Arrival, Question, RunStatus, RunValue, StepInput, TerminalReason } from "./effects.ts";
import type { Fact, RunLimits, Usage } from "./facts.ts";
import type { GrowingList } from "./growing-list.ts";
import type { IntMap } from "./int-map.ts";
import type { StepJournal } from "./journal.ts";

/** Raised whenever a stored state would be read differently. */
export const REDUCER_VERSION = 1;

export interface SessionState {
  readonly sessionId: string;
  readonly status: RunStatus;
  /** Raised by each restore; part of every step id. */
  readonly generation: number;
  /** Runs begun in this session. */
  readonly runCount: number;
  /** The last runs that ended, oldest first; at most `RUN_HISTORY_MAX`. */
  readonly runs: readonly RunSummary[];
  readonly context: Readonly<Record<string, Stored>>;
  /** `ctx.state`, by node name. */
  readonly agentState: Readonly<Record<string, Readonly<Record<string, Stored>>>>;
  readonly run: RunState | null;
  /** Time of the last commit folded in. */
  readonly atMs: number;
}

export const RUN_HISTORY_MAX = 50;

/** What `ctx.state` holds for a node. Names are the user's: `constructor` is one like any other. */
export function agentStateOf(
  { agentState }: Pick<SessionState, "agentState">,
  node: string,
): Readonly<Record<string, Stored>> {
  return (Object.hasOwn(agentState, node) ? agentState[node] : undefined) ?? {};
}

export interface RunSummary {
  readonly runId: string;
  readonly task: Stored;
  readonly status: RunStatus;
  readonly finalResponse: Stored | null;
  readonly atMs: number;
  readonly idempotencyKey?: string;
}

export interface RunState {
  readonly runId: string;
  /** Number of the run within its session, from 1. */
  readonly seq: number;
  readonly topology: TopologyData;
  readonly topologyHash: string;
  readonly limits: RunLimits;
  readonly task: Stored;
  readonly startedAtMs: number;
  readonly endedAtMs: number | null;
  readonly parent: { readonly sessionId: string; readonly stepId: string } | null;
  readonly idempotencyKey: string | null;
  readonly followUp: boolean;
  /** Conditions that were functions when the run began. Absent: none, or not recorded. */
  readonly conditions?: readonly string[];
  /** Steps handed out, nested runs' included. */
  readonly steps: number;
  readonly usage: Usage;
  /** Steps handed out per node, by node number. */
  readonly invocations: readonly number[];
  /** Facts that could not be applied. */
  readonly ignored: number;
  readonly nextBranch: number;
  readonly nextStep: number;
  readonly nextFrame: number;
  readonly nextInstance: number;
  readonly nextQuestion: number;
  /** Uses of edges that have `maxVisits`, by edge number. */
  readonly visits: Readonly<Record<number, number>>;
  readonly branches: IntMap<Branch>;
  /** Frame 0 is the run itself. */
  readonly frames: IntMap<Frame>;
  readonly instances: IntMap<Instance>;
  /** Branch of each step that is handed out, by step number. */
  readonly steppers: IntMap<number>;
  /** Branches whose step waits for the rule `max_agents`. */
  readonly queue: readonly number[];
  readonly timers: Readonly<Record<string, Timer>>;
  readonly questions: readonly OpenQuestion[];
  readonly boundsHit: readonly string[];
  readonly missing: readonly string[];
  readonly timedOut: readonly string[];
  readonly partial: boolean;
  /** Warnings of budgets already given. */
  readonly warned: readonly string[];
  readonly pause: Pause | null;
  readonly end: RunEnd | null;
}

export interface RunEnd {
  readonly status: "completed" | "failed" | "cancelled";
  readonly terminalReason: TerminalReason;
  readonly value: RunValue | null;
  readonly error: ErrorData | null;
}

export interface Pause {
  readonly reason: string | null;
  readonly inFlight: "finish" | "abort";
  readonly sinceMs: number;
  /** Results that came in while paused: recorded, not followed until the run is resumed. */
  readonly pending: readonly { readonly fact: Fact; readonly atMs: number }[];
}

export interface Timer {
  readonly kind: "convergence" | "branch" | "duration";
  readonly dueAtMs: number;
  /** The clock stands still since then, because a person is waited for; null: it runs. */
  readonly heldSinceMs: number | null;
  readonly branch?: number;
  readonly instance?: number;
  readonly end?: number;
}

export interface OpenQuestion extends Question {
  readonly branch: number;
  /** For `insufficient`: the barrier that asks. */
  readonly barrier?: BarrierKey;
  /** For `insufficient`: the frame that asks. */
  readonly frame?: number;
  /** For `ask`: taken as the answer when the time is over. */
  readonly fallback?: Stored;
  /** For `recovery`: what failed. */
  readonly error?: ErrorData;
}

export interface Branch {
  readonly id: number;
  readonly parent: number | null;
  readonly frame: number;
  /** Innermost fork instance it runs in; 0 for none. */
  readonly instance: number;
  /** Fork-order place, one number per enclosing fork. */
  readonly order: readonly number[];
  /** Where it stands, by node number. */
  readonly node: number;
  readonly enteredByCall: boolean;
  /** Entered over a call edge with this pattern, it must answer (`<=>`). */
  readonly mustAnswer: boolean;
  readonly notify: boolean;
  /** Conversations held in this activation, by edge number. */
  readonly conversed: readonly number[];
  /** Input of the activation it is in. */
  readonly input: StepInput;
  readonly phase: Phase;
  /** Decisions it was a candidate of and was left out of. */
  readonly late: readonly BarrierKey[];
}

export interface BarrierKey {
  readonly instance: number;
  readonly end: number;
}

export interface StepWork {
  readonly step: number;
  readonly attempt: number;
  readonly input: StepInput;
  readonly timeoutMs: number | false;
  readonly notBeforeMs?: number;
  readonly replies?: readonly Arrival[];
  readonly error?: ErrorData;
  readonly question?: { readonly id: string; readonly prompt: Stored; readonly input: StepInput };
  readonly streamedFrom?: string;
  /** Results of `ctx.once`, by key. */
  readonly journal: StepJournal;
  readonly answers: Readonly<Record<string, Stored>>;
  /** It was just woken by replies: a plain value makes no calls. */
  readonly woken: boolean;
}

export type Phase =
  | { readonly kind: "step"; readonly work: StepWork }
  /** Waits in line for the rule `max_agents`. */
  | { readonly kind: "queued"; readonly work: StepWork }
  /** Its step lets nested runs wait for people. */
  | { readonly kind: "suspended"; readonly work: StepWork }
  /** `work`: its step has failed for good, and a person may have it tried again. */
  | { readonly kind: "asking"; readonly questionId: string; readonly input: StepInput; readonly work?: StepWork }
  | { readonly kind: "calling"; readonly calls: Calls }
  | { readonly kind: "conversing"; readonly frame: number; readonly edge: number }
  /** Stands for a moment inside one reduction only. */
  | { readonly kind: "idle" };

export interface Calls {
  readonly mode: "parallel" | "sequential";
  readonly targets: readonly { readonly node: number; readonly input: StepInput; readonly edge: number }[];
  /** Targets already called. */
  readonly next: number;
  readonly open: number;
  readonly replies: readonly (Arrival | null)[];
}

export interface Frame {
  readonly id: number;
  readonly kind: "run" | "call" | "conversation" | "notify";
  /** The branch that waits for it; null for the run. */
  readonly owner: number | null;
  readonly parent: number | null;
  /** For a call: which of the owner's targets. */
  readonly call: number;
  /** Node the frame was entered at. */
  readonly node: number;
  /** Nodes whose calls led here, innermost last. */
  readonly callers: readonly number[];
  /** Branches and undecided barriers in it; for the run also the notify frames. */
  readonly live: number;
  readonly deliveries: readonly { readonly order: readonly number[]; readonly from: string; readonly value: Stored }[];
  readonly failed: number;
  readonly failures: readonly { readonly node: string; readonly error: ErrorData }[];
  /** Nodes at which branches ended undelivered, for ORCH_NO_ROUTE. */
  readonly skipped: readonly string[];
  /** Conversations: its edge, whose turn it is, turns taken. */
  readonly edge?: number;
  readonly turns?: number;
  /** It asked a person what to do about what is missing. */
  readonly asking?: boolean;
}

export interface Instance {
  readonly id: number;
  readonly frame: number;
  readonly parent: number;
  /** The branch that forked. */
  readonly owner: number;
  readonly fork: number;
  /** Set for a parallel command: one node per element. */
  readonly targets: readonly number[] | null;
  readonly base: readonly number[];
  readonly depth: number;
  /** How many live branches and undecided barriers (nested ones included) stand at each end. */
  readonly standing: IntMap<number>;
  readonly total: number;
  readonly barriers: readonly Barrier[];
  /** Generations decided so far, by end. */
  readonly decided: Readonly<Record<number, number>>;
  /** Some branch or barrier carries a `late` mark for this instance. */
  readonly marked: boolean;
}

export interface Barrier {
  readonly end: number;
  readonly generation: number;
  readonly arrivals: GrowingList<BarrierArrival>;
  readonly failed: number;
  readonly failures: readonly { readonly node: string; readonly error: ErrorData }[];
  readonly missing: readonly string[];
  readonly openedAtMs: number;
  readonly late: readonly BarrierKey[];
  /** It asked a person what to do about what is missing. */
  readonly asking: boolean;
}

export interface BarrierArrival {
  readonly branch: number;
  readonly parent: number | null;
  readonly order: readonly number[];
  readonly from: string;
  readonly arrival: Arrival;
  readonly late: readonly BarrierKey[];
}
