// Operations: what may be asked about the sessions of a store, whoever has it open. What they resolve with is JSON data.

import type {
  CheckpointInfo,
  OrchestraInstance,
  PendingQuestion,
  RunStatus,
  SessionInfo,
  StateManager,
  Why,
} from "../index.ts";
import { toJsonValue } from "../runtime/result-json.ts";

/**
 * `interrupted`: it says `running`, and nobody runs it; its process is gone. `pausing`: it says `paused`, and its process
 * still waits for steps in flight.
 */
export type SessionStatus = RunStatus | "interrupted" | "pausing";

export type SessionView = Omit<SessionInfo, "status"> & { readonly status: SessionStatus };

export type WhyView = Omit<Why, "status" | "questions"> & {
  readonly status: SessionStatus;
  readonly questions: readonly PendingQuestion[];
};

/** A step as `diff` and `trace` tell it. */
export interface StepView {
  readonly stepId: string;
  readonly node: string;
  readonly output: unknown;
  readonly error: { readonly code: string; readonly message: string } | null;
}

export interface DiffView {
  readonly equal: boolean;
  readonly commonCommits: number;
  readonly a: readonly StepView[];
  readonly b: readonly StepView[];
  readonly parting: { readonly a: string; readonly b: string } | null;
}

export interface Operations {
  /** One page, oldest id first; `cursor` is the last id of the page before. */
  sessions(args: { status?: RunStatus; limit?: number; cursor?: string }): Promise<readonly SessionView[]>;
  session(args: { sessionId: string }): Promise<SessionView | null>;
  /** What `OrchestraResult.toJSON` gives; null before the first run. */
  result(args: { sessionId: string }): Promise<Record<string, unknown> | null>;
  why(args: { sessionId: string }): Promise<WhyView>;
  questions(args: { sessionId: string }): Promise<readonly PendingQuestion[]>;
  checkpoints(args: { sessionId: string }): Promise<readonly CheckpointInfo[]>;
  pause(args: { sessionId: string; reason?: string; inFlight?: "finish" | "abort" }): Promise<boolean>;
  cancel(args: { sessionId: string; reason?: string }): Promise<boolean>;
  answer(args: { sessionId: string; questionId: string; value: unknown }): Promise<null>;
  checkpoint(args: { sessionId: string; name?: string }): Promise<string>;
  restore(args: { checkpointId: string }): Promise<boolean>;
  fork(args: { checkpointId: string; sessionId?: string }): Promise<string>;
  diff(args: { a: string; b: string }): Promise<DiffView>;
  /** Events after `after`: those recorded, and with `follow` those to come, until `signal` aborts. */
  events(args: { sessionId: string; after?: number; follow?: boolean }, signal: AbortSignal): AsyncIterable<EventView>;
  /** The session as a file, in pieces of base64. */
  export(args: { sessionId: string }, signal: AbortSignal): AsyncIterable<string>;
}

export type EventView = { readonly seq: number; readonly type: string } & Readonly<Record<string, unknown>>;

/** Bytes of an export in one piece: a line of base64 stays below 64 KiB. */
const PIECE_BYTES = 45_000;

/** Of what this process has open. */
export function operationsOf(instance: OrchestraInstance, stateManager: StateManager): Operations {
  const view = async (info: SessionInfo): Promise<SessionView> => {
    if (info.status !== "running" && info.status !== "paused") return info;
    const live = await instance.isLive(info.sessionId);
    if (info.status === "running") return live ? info : { ...info, status: "interrupted" };
    return live ? { ...info, status: "pausing" } : info;
  };
  const questions = (sessionId: string): Promise<readonly PendingQuestion[]> =>
    instance.communication.pending({ sessionId }).then(json);
  return {
    sessions: async (args) => Promise.all((await instance.listSessions(args)).map(view)),
    async session({ sessionId }) {
      const info = await instance.getSession(sessionId);
      return info === null ? null : view(info);
    },
    async result({ sessionId }) {
      const info = await instance.getSession(sessionId);
      return info?.runId == null ? null : (await instance.getResult(sessionId)).toJSON();
    },
    async why({ sessionId }) {
      const [why, asked, info] = await Promise.all([
        instance.why(sessionId),
        questions(sessionId),
        instance.getSession(sessionId),
      ]);
      return { ...why, status: info === null ? why.status : (await view(info)).status, questions: asked };
    },
    questions: ({ sessionId }) => questions(sessionId),
    checkpoints: ({ sessionId }) => instance.listCheckpoints(sessionId),
    pause: ({ sessionId, reason, inFlight }) =>
      instance.pauseSession(sessionId, reason, inFlight === undefined ? {} : { inFlight }),
    cancel: ({ sessionId, reason }) => instance.cancelSession(sessionId, reason),
    async answer({ sessionId, questionId, value }) {
      await instance.communication.submitResponse(questionId, value, { sessionId });
      return null;
    },
    checkpoint: ({ sessionId, name }) => instance.createCheckpoint(sessionId, name),
    restore: ({ checkpointId }) => instance.restoreCheckpoint(checkpointId),
    fork: ({ checkpointId, sessionId }) =>
      instance.forkCheckpoint(checkpointId, sessionId === undefined ? {} : { sessionId }),
    diff: async ({ a, b }) => json(await instance.diff(a, b)),
    events: ({ sessionId, after = 0, follow = false }, signal) =>
      eventsOf(instance, { sessionId, after, follow }, signal),
    async *export({ sessionId }) {
      const bytes = Buffer.from(await stateManager.exportSession(sessionId));
      for (let at = 0; at < bytes.length; at += PIECE_BYTES)
        yield bytes.subarray(at, at + PIECE_BYTES).toString("base64");
    },
  };
}

async function* eventsOf(
  instance: OrchestraInstance,
  { sessionId, after, follow }: { sessionId: string; after: number; follow: boolean },
  signal: AbortSignal,
): AsyncIterable<EventView> {
  for await (const event of instance.events(sessionId, { after, signal, untilNow: !follow })) yield json(event);
}

// What goes out is what `toJsonValue` makes of it, and has the same fields.
function json<T>(value: T): T {
  return toJsonValue(value) as T;
}
