// View: what the runtime may ask of a session state.

import type { Stored } from "../base/stored.ts";
import type { Plan } from "../topology/plan.ts";
import type { Effect, Question, StepOffer } from "./effects.ts";
import type { SessionState } from "./session-state.ts";

/** What a run waits for now, for people. */
export interface Why {
  readonly status: SessionState["status"];
  readonly steps: readonly { readonly stepId: string; readonly node: string; readonly attempt: number; readonly branchId: string; readonly notBeforeMs?: number; readonly waiting: boolean }[];
  readonly barriers: readonly { readonly barrierId: string; readonly node: string; readonly arrived: readonly string[]; readonly failed: number; readonly waitsFor: readonly { readonly branchId: string; readonly node: string }[]; readonly dueAtMs: number | null }[];
  readonly calls: readonly { readonly branchId: string; readonly node: string; readonly waitsFor: readonly string[] }[];
  readonly questions: readonly Question[];
  readonly pausedReason: string | null;
}

/** The plan of the current run. @throws TypeError when there is none. */
export declare function planOf(state: SessionState): Plan;
export declare function outstandingEffects(state: SessionState): Effect[];
/** The offer of a live step; undefined when it is settled or unknown. */
export declare function stepOffer(state: SessionState, stepId: string): StepOffer | undefined;
/** Edges whose condition is to be judged on the value (or the error) the step ends with; also for the answer to a question. */
export declare function edgesToJudge(state: SessionState, id: { stepId: string } | { questionId: string }, outcome: "value" | "error"): readonly number[];
/** Who may be addressed from the node of a live step, and how. */
export declare function successorsOf(state: SessionState, stepId: string): readonly { readonly agent: string; readonly how: "flow" | "call" | "peer" | "exit" | "conversation" }[];
export declare function openQuestions(state: SessionState): readonly Question[];
/** Results of `ctx.once` of a live step. */
export declare function journalOf(state: SessionState, stepId: string): Readonly<Record<string, Stored>>;
export declare function agentStateOf(state: SessionState, node: string): Readonly<Record<string, Stored>>;
export declare function why(state: SessionState): Why;
/** All blobs the state refers to. */
export declare function refsOf(state: SessionState): Set<string>;
/** Plain data for a snapshot; `decodeState` reads it back. */
export declare function encodeState(state: SessionState): unknown;
/** @throws {OrchestraError} `ORCH_STORE_VERSION` when `reducer` is not ours. */
export declare function decodeState(encoded: unknown, reducer: number): SessionState;
