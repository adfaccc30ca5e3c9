// What an instance takes and gives beside results.

import type { Checkpoint, SessionEntry } from "../state/ports.ts";
import type { RecordedStep } from "./engine-api.ts";
import type { OrchestraResult } from "./result.ts";
import type { TaskOptions } from "./run-options.ts";

export type ExecuteOptions = Omit<TaskOptions, "task">;

export interface ResumeOptions {
  /** Laid over the session's context before it goes on. */
  readonly additionalContext?: Readonly<Record<string, unknown>>;
  /** The answer to the open question; with several open, a record of answers by question id. */
  readonly userResponse?: unknown;
  readonly signal?: AbortSignal;
}

/** A session that was live when its process died. */
export interface RecoveredSession {
  readonly sessionId: string;
  readonly runId: string;
  readonly action: "resumed" | "left";
  /** Of a run that was continued. */
  readonly result?: Promise<OrchestraResult>;
}

export type SessionInfo = SessionEntry;
export type CheckpointInfo = Omit<Checkpoint, "snapshot">;
export type Step = RecordedStep;
export interface HistoryDiff {
  readonly equal: boolean;
  readonly commonCommits: number;
  readonly a: readonly Step[];
  readonly b: readonly Step[];
  /** In what they differ where they part, for people; null when they are equal. */
  readonly parting: { readonly a: string; readonly b: string } | null;
}
