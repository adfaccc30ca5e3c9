// Served runs
//
// Owns:      the sessions in which calls from outside are answered, and who listens to which of them.
// Does not:  speak a protocol: it is handed calls and gives results.
//
// S1  A call with a key has a session of its own, named after caller and key. The same key is the same session: while it
//     runs its callers share it; once it has a result that is the answer, also to another process on the same store.
// S2  A caller reaches no session of another: the name of a session begins with a hash of who may.
// S3  When the last one who listens is gone, a run with a key is paused (the same key goes on with it, by its journal), one
//     without is cancelled; or both go on, by option. Of paused ones `abandonedMax` are kept, the oldest is cancelled.
// S4  What failed or was cancelled is run again by a call with its key, from the beginning.

import { createHash } from "node:crypto";

import { OrchestraError } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import { Turns } from "../../base/turns.ts";
import type { AgentLike } from "../../runtime/agent-source.ts";
import { OrchestraInstance } from "../../runtime/orchestra-instance.ts";
import type { OrchestraResult } from "../../runtime/result.ts";
import type { InstanceOptions } from "../../runtime/run-options.ts";
import { toJsonValue } from "../../runtime/result-json.ts";
import type { ProtocolMessage } from "../remote/protocol.ts";
import { RefusedRequest } from "./refused-request.ts";
import { servedAgent, type ServedTask } from "./served-agent.ts";

export interface ServedCall {
  /** Who calls, as the server's own check found. */
  readonly principal: string;
  /** Names the call among those of its caller. */
  readonly key?: string;
  readonly input: unknown;
  readonly messages: readonly ProtocolMessage[];
  readonly context: Readonly<Record<string, unknown>>;
  /** What the caller calls the conversation that the call belongs to. */
  readonly conversation: string;
  /** Other names that the caller has for the call. */
  readonly names: Readonly<Record<string, string>>;
  /** The question that `input` answers, as an earlier end of a call told it. */
  readonly answerTo?: string;
}

/** What a call came to. */
export interface ServedEnd {
  readonly sessionId: string;
  readonly result: OrchestraResult;
  /** Of a failure: the same call may do better. */
  readonly retryable: boolean;
  /** The first open question, of a run that waits for people. */
  readonly question?: { readonly id: string; readonly prompt: unknown };
}

/** A call that was let in. */
export interface Admitted {
  readonly sessionId: string;
  /**
   * Follows it to its end; undefined once `signal` aborted. Chunks come from now on.
   *
   * @throws {OrchestraError} what the run could not start or be followed for.
   */
  follow(onChunk: (chunk: unknown) => void, signal: AbortSignal): Promise<ServedEnd | undefined>;
}

export interface ServedRunsOptions {
  readonly name: string;
  readonly agent: AgentLike;
  readonly instance: Omit<InstanceOptions, "topology" | "agents" | "agentRegistry">;
  readonly random: Random;
  readonly maxRuns: number;
  readonly onDisconnect: "abort" | "finish";
}

const ABANDONED_MAX = 1_000;
const GONE = "its caller went away";

export class ServedRuns {
  readonly #options: ServedRunsOptions;
  readonly #instance: OrchestraInstance;
  readonly #live = new Map<string, LiveRun>();
  readonly #turns = new Turns();
  /** Paused since their callers went away, the oldest first. */
  readonly #abandoned = new Set<string>();

  /** @throws {OrchestraError} `ORCH_BAD_OPTION` */
  constructor(options: ServedRunsOptions) {
    this.#options = options;
    const { name, agent, instance } = options;
    const served = servedAgent(name, agent, {
      emitted: (sessionId, chunk) => this.#live.get(sessionId)?.emitted(chunk),
      failed: (sessionId, retryable) => this.#live.get(sessionId)?.failed(retryable),
    });
    this.#instance = new OrchestraInstance({
      ...instance,
      topology: { nodes: [name], edges: [] },
      agents: { [name]: served },
      communicationConfig: { channel: "none" },
    });
  }

  /** @throws {RefusedRequest} when it cannot be let in. */
  async admit(call: ServedCall): Promise<Admitted> {
    const sessionId = this.#sessionOf(call);
    const live = await this.#turns.take(sessionId, () => this.#enter(sessionId, call));
    return {
      sessionId,
      follow: async (onChunk, signal) => {
        let run = live;
        for (;;) {
          const end = await run.follow(onChunk, signal);
          // Somebody else's leaving stopped it; whoever still listens has it go on.
          if (end === undefined || signal.aborted || !run.wasStopped(end.result)) return end;
          run = await this.#turns.take(sessionId, () => this.#enter(sessionId, call));
        }
      },
    };
  }

  /** Ends the call for good. False when there was nothing to end. */
  cancel(sessionId: string): Promise<boolean> {
    return this.#instance.cancelSession(sessionId, "cancelled by its caller");
  }

  /** Lets go of everything; runs under way stay resumable. */
  close(): Promise<void> {
    return this.#instance.close();
  }

  #sessionOf({ principal, key, answerTo }: ServedCall): string {
    const caller = `served-${digest(principal).slice(0, 16)}-`;
    if (answerTo !== undefined) {
      const [sessionId = ""] = answerTo.split("/");
      if (!sessionId.startsWith(caller)) throw new RefusedRequest(404, "no such question");
      return sessionId;
    }
    if (key !== undefined) return `${caller}${digest(key).slice(0, 32)}`;
    const words = Array.from({ length: 4 }, () => Math.floor(this.#options.random.next() * 2 ** 32));
    return `${caller}${words.map((word) => word.toString(16).padStart(8, "0")).join("")}`;
  }

  /** In the session's turn: the run that is under way, or one that is set going. */
  async #enter(sessionId: string, call: ServedCall): Promise<LiveRun> {
    const task: ServedTask = { servedCall: 1, input: call.input, messages: call.messages };
    const running = this.#live.get(sessionId);
    if (running !== undefined && (call.answerTo === undefined || call.answerTo === running.answerTo)) {
      if (running.answerTo === undefined && running.fingerprint !== fingerprintOf(task)) throw reused();
      return running;
    }
    if (this.#live.size >= this.#options.maxRuns)
      throw new RefusedRequest(429, "too many runs at this moment", { "retry-after": "1" });
    this.#abandoned.delete(sessionId);
    const stop = new AbortController();
    const begin = await this.#beginning(sessionId, call, task, stop.signal);
    const run: LiveRun = new LiveRun(sessionId, call, fingerprintOf(task), begin(), () => this.#gone(run, call, stop));
    this.#live.set(sessionId, run);
    const settled = (): void => void (this.#live.get(sessionId) === run && this.#live.delete(sessionId));
    run.result.then(settled, settled);
    return run;
  }

  /** How the call is to be answered, by what its session is now. */
  async #beginning(
    sessionId: string,
    call: ServedCall,
    task: ServedTask,
    signal: AbortSignal,
  ): Promise<() => Promise<OrchestraResult>> {
    const instance = this.#instance;
    const context = { ...call.context, caller: callerOf(call) };
    const known = call.key === undefined && call.answerTo === undefined ? null : await instance.getSession(sessionId);
    if (call.answerTo !== undefined) {
      if (known === null) throw new RefusedRequest(404, "no such question");
      const questionId = call.answerTo.slice(sessionId.length + 1);
      const { questions } = (await instance.getResult(sessionId)).metadata;
      // One that is no longer open was answered by an earlier try of this call: what came of it is the answer.
      if (questions.some((question) => question.questionId === questionId))
        return () => instance.resumeSession(sessionId, { userResponse: { [questionId]: call.input }, signal });
      return this.#goingOn(sessionId, known.status, signal);
    }
    if (known === null) return () => instance.execute({ task, context, sessionId, signal });
    if (fingerprintOf(await this.#taskOf(sessionId)) !== fingerprintOf(task)) throw reused();
    if (known.status === "failed" || known.status === "cancelled")
      return () => instance.execute({ task, context, sessionId, signal, fresh: true });
    return this.#goingOn(sessionId, known.status, signal);
  }

  #goingOn(sessionId: string, status: string, signal: AbortSignal): () => Promise<OrchestraResult> {
    const moves = status === "paused" || status === "running";
    return () => (moves ? this.#instance.resumeSession(sessionId, { signal }) : this.#instance.getResult(sessionId));
  }

  async #taskOf(sessionId: string): Promise<unknown> {
    let task: unknown;
    for await (const event of this.#instance.events(sessionId, { untilNow: true }))
      if (event.type === "run.started") task = event.task;
    return task;
  }

  /** Nobody listens any more (S3). */
  async #gone(run: LiveRun, { key }: ServedCall, stop: AbortController): Promise<void> {
    if (this.#options.onDisconnect === "finish") return;
    const { sessionId } = run;
    run.stopping();
    const paused = key !== undefined && (await this.#instance.pauseSession(sessionId, GONE, { inFlight: "abort" }));
    // Also what has not begun yet ends by its signal.
    if (!paused) return stop.abort(new OrchestraError("ORCH_CANCELLED", GONE));
    this.#abandoned.add(sessionId);
    const [oldest] = this.#abandoned;
    if (this.#abandoned.size <= ABANDONED_MAX || oldest === undefined) return;
    this.#abandoned.delete(oldest);
    await this.#instance.cancelSession(oldest, GONE);
  }
}

/** One run under way, and who listens to it. */
class LiveRun {
  readonly sessionId: string;
  /** Of the call that set it going: the question it answered, if any. */
  readonly answerTo: string | undefined;
  readonly fingerprint: string;
  readonly result: Promise<OrchestraResult>;
  readonly #onGone: () => Promise<void>;
  readonly #listeners = new Set<(chunk: unknown) => void>();
  #retryable = false;
  #stopping = false;

  constructor(
    sessionId: string,
    { answerTo }: ServedCall,
    fingerprint: string,
    result: Promise<OrchestraResult>,
    onGone: () => Promise<void>,
  ) {
    this.sessionId = sessionId;
    this.answerTo = answerTo;
    this.fingerprint = fingerprint;
    this.result = result;
    this.#onGone = onGone;
    result.catch(() => undefined);
  }

  emitted(chunk: unknown): void {
    for (const listener of this.#listeners) listener(chunk);
  }

  failed(retryable: boolean): void {
    this.#retryable = retryable;
  }

  stopping(): void {
    this.#stopping = true;
  }

  /** It did not end by itself: its callers had left, or so it seemed. */
  wasStopped({ status }: OrchestraResult): boolean {
    return status === "paused" || (status === "cancelled" && this.#stopping);
  }

  async follow(onChunk: (chunk: unknown) => void, signal: AbortSignal): Promise<ServedEnd | undefined> {
    const listener = (chunk: unknown): void => onChunk(chunk);
    this.#listeners.add(listener);
    let leave: () => void = () => undefined;
    const left = new Promise<undefined>((resolve) => (leave = () => resolve(undefined)));
    signal.addEventListener("abort", leave, { once: true });
    if (signal.aborted) leave();
    try {
      const result = await Promise.race([this.result, left]);
      return result === undefined ? undefined : endOf(this.sessionId, result, this.#retryable);
    } finally {
      signal.removeEventListener("abort", leave);
      this.#listeners.delete(listener);
      if (signal.aborted && this.#listeners.size === 0) await this.#onGone().catch(() => undefined);
    }
  }
}

/** For the agent: a name by which it may keep what it remembers of this conversation, and of no other caller's. */
function callerOf({ principal, conversation, names }: ServedCall): Record<string, string> {
  return { name: principal, conversation: `${encodeURIComponent(principal)}/${conversation}`, ...names };
}

function endOf(sessionId: string, result: OrchestraResult, retryable: boolean): ServedEnd {
  const [question] = result.metadata.questions;
  return {
    sessionId,
    result,
    // A time-out is told by the runtime; the agent itself did not fail.
    retryable: retryable || result.error?.code === "ORCH_TIMEOUT",
    ...(question !== undefined && {
      question: { id: `${sessionId}/${question.questionId}`, prompt: question.prompt },
    }),
  };
}

function reused(): RefusedRequest {
  return new RefusedRequest(409, "this Idempotency-Key was used for another request");
}

function fingerprintOf(task: unknown): string {
  return digest(JSON.stringify(sorted(toJsonValue(task))));
}

/** With properties in one order, whatever order they were sent in. */
function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => [key, sorted(item)]),
  );
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
