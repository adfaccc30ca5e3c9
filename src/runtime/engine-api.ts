// The engine's face towards `Orchestra`, `OrchestraInstance`, the CLI and the services above.

import type { BranchStatus, KernelEvent, Question, RunStatus } from "../actors/effects.ts";
import type { RunLimits, Usage } from "../actors/facts.ts";
import type { SessionState } from "../actors/session-state.ts";
import type { Why } from "./why.ts";
import type { CallReport } from "../base/call-report.ts";
import type { ErrorData } from "../base/errors.ts";
import type { BusStatus } from "../bus/ports.ts";
import type { Checkpoint, Durability, SessionEntry } from "../state/ports.ts";
import type { TopologyData } from "../topology/types.ts";
import type { AgentSource, RetryPolicies, SteeringMode } from "./agent.ts";
import type { Migrations } from "./migrations.ts";

/** A kernel event as observers get it: values are resolved (`{ $blob, bytes }` for those kept by reference in a listing). */
export type RunEvent = {
  /** Monotone per session, survives restarts; not contiguous. A `step.chunk` carries the number of the event before it. */
  readonly seq: number;
  readonly at: number;
  readonly sessionId: string;
  readonly runId: string;
  /** Chunks lost before this event, because the reader was too far behind. */
  readonly dropped?: number;
} & (
  | Resolved<KernelEvent>
  | {
      readonly type: "step.chunk";
      readonly stepId: string;
      readonly branchId: string;
      readonly node: string;
      readonly chunk: unknown;
    }
  /** Live only: a step called a model or a tool, and the call has ended. */
  | {
      readonly type: "step.called";
      readonly stepId: string;
      readonly branchId: string;
      readonly node: string;
      readonly attempt: number;
      readonly call: CallReport;
    }
  /** Live only: a step waits, and no host that is alive has its agent. */
  | {
      readonly type: "step.unserved";
      readonly stepId: string;
      readonly branchId: string;
      readonly node: string;
      readonly attempt: number;
      readonly agent: string;
    }
);

/** The same event with `Stored` values replaced by the values themselves. */
export type Resolved<E> = E extends { readonly type: infer T }
  ? { readonly type: T } & {
      readonly [K in keyof E as Exclude<K, "type">]: K extends "task" | "input" | "value" | "prompt" | "outcome"
        ? unknown
        : E[K];
    }
  : never;

/** The functions behind a run; they are not stored, so each process brings its own. */
export interface RunCode {
  readonly agents: AgentSource;
  readonly conditions: Readonly<Record<string, (input: any) => boolean>>;
  readonly retry: RetryPolicies;
  /** What agents are told of the topology. Default "auto". */
  readonly steeringMode?: SteeringMode;
  /** Steps of the run in flight at a time. Default: the engine's. */
  readonly maxConcurrency?: number;
  /** Where sessions of earlier topologies go on when they are resumed. */
  readonly migrations?: Migrations;
  /** For runs that are resumed; one that is started says it in its request. */
  readonly autoCheckpoint?: StartRequest["autoCheckpoint"];
  /** Its steps, and those of runs nested in them, run on the host that owns the session, past the queue. */
  readonly stays?: true;
  /** Asked before a run that is in the store goes on with this code. @throws {OrchestraError} `ORCH_AGENT_UNKNOWN` when the code is not for this task. */
  readonly assertFits?: (sessionId: string, task: unknown) => void;
}

export interface StartRequest {
  readonly sessionId?: string;
  /** The id was made just now, so nobody needs to look whether such a session exists. */
  readonly idIsNew?: boolean;
  readonly task: unknown;
  readonly topology: TopologyData;
  readonly topologyHash: string;
  readonly code: RunCode;
  readonly limits: RunLimits;
  readonly context?: Readonly<Record<string, unknown>>;
  readonly idempotencyKey?: string;
  readonly fresh?: boolean;
  readonly followUp?: boolean;
  readonly parent?: { readonly sessionId: string; readonly stepId: string };
  readonly signal?: AbortSignal;
  readonly autoCheckpoint?: { readonly everySteps?: number; readonly keep?: number };
}

export interface TraceOptions {
  /** Values above 16 KiB, too, which otherwise are listed as `{ $blob, bytes }`. Default false. */
  readonly inFull?: boolean;
}

export interface RecordedStep {
  readonly stepId: string;
  readonly node: string;
  readonly branchId: string;
  readonly attempt: number;
  readonly input: unknown;
  readonly output: unknown;
  readonly error: ErrorData | null;
  readonly usage: Usage | null;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
}

export interface RecordedBranch {
  readonly branchId: string;
  readonly parentId: string | null;
  /** Path; the last 1,000 nodes. */
  readonly nodes: readonly string[];
  readonly status: BranchStatus | "running";
  readonly input: unknown;
  readonly finalResponse: unknown;
  readonly stepCount: number;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly error: ErrorData | null;
}

/** What a run came to when it stopped moving: ended, paused, or waiting for people. Values are resolved. */
export interface RunOutcome {
  readonly state: SessionState;
  readonly status: RunStatus;
  readonly finalResponse: unknown;
  readonly error: ErrorData | null;
  readonly branches: readonly RecordedBranch[];
  /** In commit order, the last 1,000. */
  readonly trace: readonly RecordedStep[];
  readonly traceTruncated: boolean;
  /** `branches`, `trace` and `traceTruncated` are put together when they are looked at, and may then throw ORCH_STORE_CORRUPT. */
  readonly later?: true;
  readonly checkpointIds: readonly string[];
  readonly durability: Durability;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  /** Facts dropped because the state could not accept them (C1), as far as this process saw. They are in no log. */
  readonly ignoredFacts?: number;
  /** What the agent threw that `error` tells of, where this process saw it. */
  readonly thrown?: unknown;
}

export interface RunHandle {
  readonly sessionId: string;
  readonly runId: string;
  /** Resolves whenever the run stops moving; never rejects for what a run can end in. Rejects with ORCH_CLOSED, ORCH_FENCED or ORCH_STORE_* when this process can no longer tell. */
  readonly outcome: Promise<RunOutcome>;
}

/** A host as those see it who watch over it. */
export interface HostStatus {
  readonly host: string;
  /** idle: not started. draining: takes nothing more. */
  readonly state: "idle" | "serving" | "draining" | "closed";
  /** False: it could not say in time that it is alive, so others may take its sessions over; it begins nothing until it can. */
  readonly leaseHeld: boolean;
  readonly bus: BusStatus;
  /** Steps at a time at most; 0 while it is not serving. */
  readonly slots: number;
  /** Steps it runs now. */
  readonly running: number;
  /** Sessions it owns. */
  readonly sessions: number;
  /** Steps that wait at the bus for any host, by agent, of those it serves; as it was last told. */
  readonly queued: Readonly<Record<string, number>>;
  /** Attempts that ended here since it was made, of whatever session, by agent. */
  readonly attempts: Readonly<Record<string, AttemptCounts>>;
  /** Results that came after their attempt had ended; dropped. */
  readonly lateResults: number;
}

export interface AttemptCounts {
  readonly succeeded: number;
  readonly failed: number;
  /** Given up: cancelled, paused, or its session went to another host. */
  readonly aborted: number;
  /** Of those that succeeded or failed. */
  readonly tookMs: number;
}

export interface EngineEventsOptions {
  /** Events after this `seq`; 0 or absent: from the first. */
  readonly after?: number;
  readonly signal?: AbortSignal;
  /** Ends the iteration once the session's run stops moving. Default false. */
  readonly untilSettled?: boolean;
  /** Ends the iteration at what has happened by then. Default false. */
  readonly untilNow?: boolean;
  /** A start or resumption under way: the session may not exist yet, and counts as moving until this is settled. So nothing of it is missed, chunks included. */
  readonly begins?: Promise<unknown>;
  /** The session begins after this call, so its log need not be read first. */
  readonly idIsNew?: boolean;
}

export interface Engine {
  readonly durability: Durability;
  /** Commits the start, then runs. @throws ORCH_SESSION_BUSY, ORCH_OVERLOADED, ORCH_DRAINING, ORCH_CLOSED, ORCH_NOT_SERIALIZABLE */
  start(request: StartRequest): Promise<RunHandle>;
  /** Continues a paused, waiting or interrupted session. Several open questions need `answers` by id, else ORCH_AMBIGUOUS_ANSWER. */
  resume(
    sessionId: string,
    options: {
      code?: RunCode;
      context?: Readonly<Record<string, unknown>>;
      userResponse?: unknown;
      answers?: Readonly<Record<string, unknown>>;
      signal?: AbortSignal;
    },
  ): Promise<RunHandle>;
  pause(sessionId: string, reason?: string, inFlight?: "finish" | "abort"): Promise<boolean>;
  cancel(sessionId: string, reason?: string): Promise<boolean>;
  answer(sessionId: string, questionId: string, value: unknown): Promise<void>;
  questions(
    sessionId?: string,
  ): Promise<readonly (Question & { readonly session: string; readonly promptValue: unknown })[]>;
  /** Calls back for each question a live run of this engine asks, and for each it asks no more without an answer. Returns the way to stop. */
  onQuestion(
    asked: (sessionId: string, question: Question & { readonly promptValue: unknown }) => void,
    withdrawn?: (sessionId: string, questionId: string) => void,
  ): () => void;
  /** Whether the session's latest run was gone on with here by itself: after an answer, a question that was too late, or a crash. */
  wentOn(sessionId: string): Promise<boolean>;
  /** One that is `automatic` has an id that says so, and is the only kind that is ever removed to make room for newer ones. */
  createCheckpoint(sessionId: string, name?: string, options?: { automatic?: boolean }): Promise<string>;
  restoreCheckpoint(checkpointId: string): Promise<boolean>;
  forkCheckpoint(checkpointId: string, options?: { sessionId?: string }): Promise<string>;
  listCheckpoints(sessionId: string): Promise<readonly Omit<Checkpoint, "snapshot">[]>;
  getSession(sessionId: string): Promise<SessionEntry | null>;
  listSessions(options?: { status?: RunStatus; limit?: number; cursor?: string }): Promise<readonly SessionEntry[]>;
  deleteSession(sessionId: string): Promise<boolean>;
  /** The outcome of the last run as the log tells it, for a session that is not live here. */
  outcome(sessionId: string): Promise<RunOutcome>;
  state(sessionId: string): Promise<SessionState>;
  /** The host that has the session, this one among them; null when nobody does. */
  owner(sessionId: string): Promise<string | null>;
  /** Whether the session is moved here: by this engine, or by another of this process on the same store. */
  isLive(sessionId: string): boolean;
  events(sessionId: string, options?: EngineEventsOptions): AsyncIterable<RunEvent>;
  /** All steps of the last run, from the log. */
  trace(sessionId: string, options?: TraceOptions): AsyncIterable<RecordedStep>;
  why(sessionId: string): Promise<Why>;
  /** Where two histories part. Each side is a session id or a checkpoint id. */
  diff(
    a: string,
    b: string,
  ): Promise<{
    readonly equal: boolean;
    readonly commonCommits: number;
    readonly a: readonly RecordedStep[];
    readonly b: readonly RecordedStep[];
    readonly parting: { readonly a: string; readonly b: string } | null;
  }>;
  /** Finds sessions that were live when their process died; continues those whose code is known (`code(topologyHash)`), or leaves them paused. */
  recover(options?: { resume?: boolean; code?: (entry: SessionEntry) => RunCode | undefined }): Promise<
    readonly {
      readonly sessionId: string;
      readonly runId: string;
      readonly action: "resumed" | "left";
      readonly handle?: RunHandle;
    }[]
  >;
  /** Agents that hosts which are alive serve; none where the bus is the engine's own. */
  servedElsewhere(): Promise<ReadonlySet<string>>;
  /** Serves as a host from now on, as its options say. Resolves once others can know of it. */
  host(): Promise<void>;
  hostStatus(): HostStatus;
  /** Stops accepting, lets steps in flight finish up to `timeoutMs`, leaves the rest resumable. */
  drain(options?: { timeoutMs?: number }): Promise<void>;
  close(): Promise<void>;
}
