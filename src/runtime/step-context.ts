// Step context: what an agent is handed beside its input. Everything is made on first use, since most agents use little of it.

import type { StateWrite, Usage } from "../actors/facts.ts";
import type { CallReport } from "../base/call-report.ts";
import { OrchestraError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Stored } from "../base/stored.ts";
import { copyValue } from "../base/value.ts";
import { next } from "./agent.ts";
import type { StepMemory } from "./agent-memory.ts";
import type { AgentContext, ArrivalValue, DecideShare, MaybePromise, UsageReport } from "./agent.ts";
import { shown } from "./option-schema.ts";
import type { StepBody } from "./step-wire.ts";
import type { NewBlobs, Values } from "./values.ts";

/** The attempt a context belongs to. */
export interface StepAttempt {
  readonly sessionId: string;
  readonly runId: string;
  readonly body: StepBody;
  readonly signal: AbortSignal;
  heartbeat(): void;
}

/** What a context may ask of the runtime; one for all steps of an engine. */
export interface StepRuntime<A extends StepAttempt> {
  readonly values: Values;
  readonly logger: Logger;
  memory(attempt: A): StepMemory | undefined;
  chunks(attempt: A): AsyncIterable<unknown> | undefined;
  /** Records a result of `once`; resolves with the recorded value, which is another's when that came first. */
  journal(attempt: A, key: string, value: unknown): Promise<unknown>;
  emit(attempt: A, chunk: unknown): void;
  report(attempt: A, call: CallReport): void;
  reserve(attempt: A, decide: DecideShare): Promise<() => void>;
  run(attempt: A, options: unknown): Promise<unknown>;
}

type Session = AgentContext["session"];

export class StepContext<A extends StepAttempt = StepAttempt> implements AgentContext {
  readonly #body: StepBody;
  readonly #attempt: A;
  readonly #runtime: StepRuntime<A>;
  /** Blobs that `task`, `context`, `state` and `session` refer to. */
  readonly #pinned: ReadonlyMap<string, Uint8Array>;
  readonly replies?: readonly ArrivalValue[];
  readonly question?: { readonly id: string; readonly prompt: unknown; readonly input: unknown };
  #task: { value: unknown } | undefined;
  #context: Readonly<Record<string, unknown>> | undefined;
  #session: Session | undefined;
  #memory: StepMemory | undefined;
  #logger: Logger | undefined;
  #state: AgentContext["state"] | undefined;
  #writes: Map<string, { value: unknown } | null> | undefined;
  #once: Map<string, Promise<unknown>> | undefined;
  #records: ReadonlyMap<string, Stored> | undefined;
  #usage: Usage | undefined;
  #closed = false;

  constructor(
    attempt: A,
    runtime: StepRuntime<A>,
    pinned: ReadonlyMap<string, Uint8Array>,
    resolved: { replies?: readonly ArrivalValue[]; question?: { id: string; prompt: unknown; input: unknown } },
  ) {
    this.#body = attempt.body;
    this.#attempt = attempt;
    this.#runtime = runtime;
    this.#pinned = pinned;
    if (resolved.replies !== undefined) this.replies = resolved.replies;
    if (resolved.question !== undefined) this.question = resolved.question;
  }

  get sessionId(): string {
    return this.#attempt.sessionId;
  }
  get runId(): string {
    return this.#attempt.runId;
  }
  get branchId(): string {
    return this.#body.offer.branchId;
  }
  get stepId(): string {
    return this.#body.offer.stepId;
  }
  get attempt(): number {
    return this.#body.offer.attempt;
  }
  get node(): string {
    return this.#body.offer.node;
  }
  get successors(): AgentContext["successors"] {
    return this.#body.successors;
  }
  get place(): AgentContext["place"] {
    return this.#body.place;
  }
  get steeringMode(): AgentContext["steeringMode"] {
    return this.#body.steeringMode;
  }
  get error(): NonNullable<AgentContext["error"]> {
    // Absent unless an error edge led here; the interface says so, a getter cannot.
    return this.#body.offer.error as NonNullable<AgentContext["error"]>;
  }
  get chunks(): AsyncIterable<unknown> {
    return this.#runtime.chunks(this.#attempt) as AsyncIterable<unknown>;
  }
  get memory(): StepMemory {
    // As `error`: absent unless the run has a memory.
    return (this.#memory ??= this.#runtime.memory(this.#attempt)) as StepMemory;
  }
  get signal(): AbortSignal {
    return this.#attempt.signal;
  }
  get idempotencyKey(): string {
    const { stepId, streamedFrom, node } = this.#body.offer;
    // A step begun ahead of its source's end has no number of its own yet; every attempt of it goes by this name.
    return `${this.sessionId}/${streamedFrom === undefined ? stepId : `${streamedFrom}>${node}`}`;
  }
  get task(): unknown {
    this.#task ??= { value: this.#read(this.#body.task) };
    return this.#task.value;
  }
  get context(): Readonly<Record<string, unknown>> {
    this.#context ??= Object.freeze(this.#readAll(this.#body.context));
    return this.#context;
  }
  get session(): Session {
    return (this.#session ??= this.#readSession());
  }
  get logger(): Logger {
    return (this.#logger ??= this.#runtime.logger.child({
      sessionId: this.sessionId,
      runId: this.runId,
      branchId: this.branchId,
      stepId: this.stepId,
      attempt: this.attempt,
      node: this.node,
    }));
  }

  get state(): AgentContext["state"] {
    return (this.#state ??= {
      get: <T>(key: string) => this.#getState(key) as T | undefined,
      set: (key, value) => {
        if (value === undefined) this.#write(key, null);
        else this.#write(key, { value: copyValue(value, { name: `state.${key}` }).value });
      },
      delete: (key) => this.#write(key, null),
      keys: () => this.#stateKeys(),
    });
  }

  // These are properties, so that an agent may take them apart: `(input, { once, emit }) => …`.
  get once() {
    return <T>(key: string, fn: () => MaybePromise<T>): Promise<T> => this.#runOnce(key, fn);
  }
  get emit() {
    return (chunk: unknown): void => {
      if (!this.#closed) this.#runtime.emit(this.#attempt, copyValue(chunk, { name: "chunk" }).value);
    };
  }
  get report() {
    return (call: CallReport): void => {
      if (!this.#closed) this.#runtime.report(this.#attempt, copyValue(call, { name: "call" }).value as CallReport);
    };
  }
  get usage() {
    return (report: UsageReport): void => this.addUsage({ ...report, apiCalls: 1 });
  }
  get reserve() {
    return (decide: DecideShare): Promise<() => void> => this.#runtime.reserve(this.#attempt, decide);
  }
  get ask() {
    return next.ask;
  }
  get heartbeat() {
    return (): void => this.#attempt.heartbeat();
  }
  get run() {
    return (options: unknown): Promise<unknown> => this.#runtime.run(this.#attempt, options);
  }

  addUsage(report: {
    inputTokens?: number;
    outputTokens?: number;
    costUsd?: number;
    apiCalls?: number;
    nestedSteps?: number;
  }): void {
    const before = this.#usage;
    this.#usage = {
      inputTokens: (before?.inputTokens ?? 0) + amount(report.inputTokens),
      outputTokens: (before?.outputTokens ?? 0) + amount(report.outputTokens),
      costUsd: (before?.costUsd ?? 0) + amount(report.costUsd),
      apiCalls: (before?.apiCalls ?? 0) + amount(report.apiCalls),
      nestedSteps: (before?.nestedSteps ?? 0) + amount(report.nestedSteps),
    };
  }

  get usageSoFar(): Usage | undefined {
    return this.#usage;
  }

  /** The writes of `ctx.state`, to be committed with the result. */
  stateWrites(blobs: NewBlobs): readonly StateWrite[] | undefined {
    if (this.#writes === undefined || this.#writes.size === 0) return undefined;
    return [...this.#writes].map(([key, write]) =>
      write === null ? { key } : { key, value: this.#runtime.values.store(write.value, `state.${key}`, blobs) },
    );
  }

  /** The attempt is over: what the agent still emits goes nowhere. */
  close(): void {
    this.#closed = true;
  }

  #read(stored: Stored): unknown {
    return this.#runtime.values.peekPinned(stored, this.#pinned);
  }

  #readAll(record: Readonly<Record<string, Stored>>): Record<string, unknown> {
    const values: Record<string, unknown> = {};
    for (const key of Object.keys(record)) values[key] = this.#read(record[key] as Stored);
    return values;
  }

  #readSession(): Session {
    const runs = this.#body.runs.map((run) => ({
      runId: run.runId,
      task: this.#read(run.task),
      finalResponse: run.finalResponse === null ? null : this.#read(run.finalResponse),
      at: run.atMs,
    }));
    const transcript = runs.flatMap((run) => [
      { role: "user" as const, content: run.task, runId: run.runId },
      ...(run.finalResponse === null
        ? []
        : [{ role: "assistant" as const, content: run.finalResponse, runId: run.runId }]),
    ]);
    return { runs, transcript };
  }

  #getState(key: string): unknown {
    const write = this.#writes?.get(key);
    if (write !== undefined) return write === null ? undefined : copyValue(write.value, { allowNonFinite: true }).value;
    const stored = Object.hasOwn(this.#body.agentState, key) ? this.#body.agentState[key] : undefined;
    return stored === undefined ? undefined : this.#read(stored);
  }

  #write(key: string, write: { value: unknown } | null): void {
    if (key === "__proto__")
      throw new OrchestraError("ORCH_BAD_OPTION", 'state: expected a key other than "__proto__", which no store keeps');
    if (this.#closed)
      throw new OrchestraError(
        "ORCH_CLOSED",
        `state.${key}: step ${this.stepId} of "${this.node}" has ended; its writes are settled`,
      );
    (this.#writes ??= new Map()).set(key, write);
  }

  #stateKeys(): string[] {
    const keys = new Set(Object.keys(this.#body.agentState));
    for (const [key, write] of this.#writes ?? []) {
      if (write === null) keys.delete(key);
      else keys.add(key);
    }
    return [...keys];
  }

  #runOnce<T>(key: string, fn: () => MaybePromise<T>): Promise<T> {
    // Agents in plain JavaScript hand over anything.
    const given: { key: unknown; fn: unknown } = { key, fn };
    if (typeof given.key !== "string" || given.key === "")
      return Promise.reject(badOnce("key", "a non-empty string", given.key));
    if (typeof given.fn !== "function") return Promise.reject(badOnce("fn", "a function", given.fn));
    const running = this.#once?.get(key);
    if (running !== undefined) return running as Promise<T>;
    const promise = this.#recordOnce(key, fn);
    const memo = (this.#once ??= new Map());
    memo.set(key, promise);
    // A failed call is not recorded, so the agent may try it again under the same key.
    promise.catch(() => memo.delete(key));
    return promise as Promise<T>;
  }

  async #recordOnce(key: string, fn: () => MaybePromise<unknown>): Promise<unknown> {
    const recorded = this.#recorded(key);
    if (recorded !== undefined) return this.#runtime.values.resolve(recorded);
    const value = copyValue(await fn(), { name: `once(${JSON.stringify(key)})` }).value;
    return this.#runtime.journal(this.#attempt, key, value);
  }

  #recorded(key: string): Stored | undefined {
    this.#records ??= new Map(this.#body.journal);
    return this.#records.get(key);
  }
}

function badOnce(what: string, expected: string, given: unknown): OrchestraError {
  return new OrchestraError("ORCH_BAD_OPTION", `once: ${what}: expected ${expected}, got ${shown(given)}`);
}

function amount(value: number | undefined): number {
  return typeof value === "number" && Number.isFinite(value) && value > 0 ? value : 0;
}
