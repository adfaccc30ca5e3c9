// Execution
//
// Owns:      one attempt of one step on this host: its context, its time limit, its abort signal.
// Does not:  decide about retries, or say anything to the owner; it answers with a StepEnd, or with null when nobody waits for one.
//
// X1  It ends exactly once: by the agent, by its time limit or by an abort, whichever comes first. What the agent does
//     afterwards is dropped; its late rejection is caught.
// X2  An agent that ignores its signal keeps nothing alive: the attempt ends without waiting for it.
// X3  The time limit does not run while the step waits for a nested run.

import type { Clock } from "../base/clock.ts";
import { OrchestraError } from "../base/errors.ts";
import { errorToData } from "../base/error-data.ts";
import type { Stored } from "../base/stored.ts";
import type { RunnableAgent } from "./agent.ts";
import { isCommand } from "./agent.ts";
import type { Command } from "./agent.ts";
import type { Claim } from "../bus/ports.ts";
import type { Deadline, Deadlines } from "./deadlines.ts";
import type { RunCode } from "./engine-api.ts";
import { classifyFailure, retryAfterMsOf } from "./failure-class.ts";
import { StepContext } from "./step-context.ts";
import type { StepRuntime } from "./step-context.ts";
import { commandOutcome, valueOutcome } from "./step-outcome.ts";
import type { AbortReason, StepBody, StepEnd } from "./step-wire.ts";
import type { NewBlobs } from "./values.ts";

/** How often an attempt in flight is reported alive to the queue. */
const BEAT_MS = 5_000;

export interface ExecutionPorts {
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly runtime: StepRuntime<Execution>;
  /** The agent settled after the attempt had ended. */
  onLate(execution: Execution): void;
  /** The attempt began to wait for other steps, or goes on. */
  onHeld(execution: Execution, held: boolean): void;
}

export class Execution {
  readonly body: StepBody;
  readonly sessionId: string;
  readonly runId: string;
  /** When the agent was called, on the monotonic clock. */
  startedAtMs: number;
  readonly startedWallMs: number;
  readonly #agent: RunnableAgent;
  readonly code: RunCode;
  readonly #ports: ExecutionPorts;
  readonly #claim: Pick<Claim, "step" | "beat">;
  readonly #timeoutMs: number | false;
  #controller: AbortController | undefined;
  #deadline: Deadline | undefined;
  #limitFromMs: number;
  #held = 0;
  #heldSinceMs = 0;
  #context: StepContext<Execution> | undefined;
  #resolve: ((end: StepEnd | null) => void) | undefined;
  #end: StepEnd | null | undefined;
  aborted: AbortReason | null = null;
  #endListeners: Set<() => void> | undefined;
  /** Runs begun by `ctx.run` in this attempt, by what they ask for. */
  #nestedRuns: Map<string, number> | undefined;

  constructor(claim: Pick<Claim, "step" | "beat">, agent: RunnableAgent, code: RunCode, ports: ExecutionPorts) {
    const body = claim.step.body as StepBody;
    this.sessionId = claim.step.sessionId;
    this.runId = claim.step.runId;
    this.body = body;
    this.code = code;
    this.#claim = claim;
    this.#agent = agent;
    this.#ports = ports;
    const { timeoutMs } = body.offer;
    this.#timeoutMs =
      agent.timeoutMs !== undefined && timeoutMs === body.defaultTimeoutMs ? agent.timeoutMs : timeoutMs;
    this.startedAtMs = this.#limitFromMs = ports.clock.monotonicMs();
    this.startedWallMs = ports.clock.nowMs();
  }

  /** Resolves with what the attempt came to; null when it was aborted and nobody waits. Never rejects. */
  run(): Promise<StepEnd | null> {
    return new Promise((resolve) => this.begin(resolve));
  }

  /** The same by callback, which is called before `begin` returns where the agent answers at once. */
  begin(done: (end: StepEnd | null) => void): void {
    this.startedAtMs = this.#limitFromMs = this.#ports.clock.monotonicMs();
    if (this.#end !== undefined) {
      done(this.#end);
      return;
    }
    this.#resolve = done;
    this.#work();
    // Nothing can interrupt an agent that does not wait, so only one that does needs a time limit.
    if (this.#end === undefined) this.#arm();
  }

  abort(reason: AbortReason): void {
    if (this.#end !== undefined) return;
    this.aborted = reason;
    this.#finish(null);
    this.#controller?.abort(
      new OrchestraError(
        "ORCH_CANCELLED",
        `step ${this.body.offer.stepId} of "${this.body.offer.node}" was stopped: ${reason}`,
        { details: { reason } },
      ),
    );
  }

  /** A nested run waits for people: the step lets go of its host. What the agent does afterwards is dropped. */
  suspend(questions: Extract<StepEnd, { kind: "suspended" }>["questions"]): void {
    this.#finish({ kind: "suspended", questions });
  }

  /** The how manieth nested run of this attempt asks for the same. */
  countNested(what: string): number {
    this.#nestedRuns ??= new Map();
    const k = (this.#nestedRuns.get(what) ?? 0) + 1;
    this.#nestedRuns.set(what, k);
    return k;
  }

  get ended(): boolean {
    return this.#end !== undefined;
  }

  /** `listener` is called when the attempt ends; it must not throw. Returns the way to call it off. */
  onEnd(listener: () => void): () => void {
    const listeners = (this.#endListeners ??= new Set());
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  /** Stops the time limit while something else of this session is waited for. Returns the way to go on. */
  hold(): () => void {
    if (this.#held++ === 0) {
      this.#heldSinceMs = this.#ports.clock.monotonicMs();
      this.#ports.onHeld(this, true);
    }
    let open = true;
    return () => {
      if (!open) return;
      open = false;
      if (--this.#held > 0) return;
      this.#ports.onHeld(this, false);
      this.#limitFromMs += this.#ports.clock.monotonicMs() - this.#heldSinceMs;
      if (this.#deadline === undefined || this.#end !== undefined) return;
      this.#ports.deadlines.clear(this.#deadline);
      this.#arm();
    };
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.aborted !== null) this.#controller.abort();
    }
    return this.#controller.signal;
  }

  /** Says the step is alive, and begins its time limit anew. */
  heartbeat(): void {
    this.#limitFromMs = this.#ports.clock.monotonicMs();
    this.#claim.beat();
  }

  get context(): StepContext<Execution> | undefined {
    return this.#context;
  }

  #work(): void {
    try {
      const prepared = this.#prepare();
      if (prepared instanceof Promise) this.#follow(prepared, (ready) => this.#parse(ready));
      else this.#parse(prepared);
    } catch (error) {
      this.#threw(error);
    }
  }

  #parse(ready: Ready): void {
    if (this.#end !== undefined) return;
    const { input: given, context } = ready;
    // An answer is held to its question, not to what the agent takes when it begins.
    const isChecked = this.#agent.parseInput !== undefined && context.question === undefined;
    const parsed = isChecked ? this.#agent.parseInput?.(given) : given;
    if (isThenable(parsed)) this.#follow(parsed, (input) => this.#call(input, context));
    else this.#call(parsed, context);
  }

  #call(input: unknown, context: StepContext<Execution>): void {
    if (this.#end !== undefined) return;
    this.#context = context;
    const returned = this.#agent.run(input, context);
    if (isThenable(returned)) this.#follow(returned, (value) => this.#settle(value));
    else this.#settle(returned);
  }

  /** Goes on with what is awaited; what is thrown on the way ends the attempt (X1). */
  #follow<T>(awaited: PromiseLike<T>, goOn: (value: T) => void): void {
    Promise.resolve(awaited)
      .then(goOn)
      .catch((error: unknown) => this.#threw(error));
  }

  #threw(error: unknown): void {
    if (this.#end !== undefined) this.#ports.onLate(this);
    else this.#failBy(error);
  }

  #settle(returned: unknown): void {
    if (this.#end !== undefined) {
      this.#ports.onLate(this);
      return;
    }
    if (!isCommand(returned) && this.#agent.parseOutput !== undefined) {
      const parsed = this.#agent.parseOutput(returned);
      if (isThenable(parsed)) this.#follow(parsed, (value) => this.#settleParsed(value));
      else this.#settleParsed(parsed);
      return;
    }
    this.#settleParsed(returned);
  }

  #settleParsed(returned: unknown): void {
    if (this.#end !== undefined) return;
    const blobs: NewBlobs = new Map();
    try {
      if (isCommand(returned) && returned.kind === "fail") {
        this.#failBy(returned.error, true);
        return;
      }
      const outcome = isCommand(returned)
        ? commandOutcome(returned as Exclude<Command, { kind: "fail" }>, this.#ports.runtime.values, blobs)
        : valueOutcome(returned, this.#ports.runtime.values, blobs);
      const state = this.#context?.stateWrites(blobs);
      this.#finish({
        kind: "succeeded",
        outcome,
        tookMs: this.#tookMs(),
        ...this.#usage(),
        ...(state === undefined ? {} : { state }),
        ...(blobs.size === 0 ? {} : { blobs }),
      });
    } catch (error) {
      this.#fail(error);
    }
  }

  /** What the agent itself threw, or failed with. */
  #failBy(error: unknown, forGood = false): void {
    this.body.threw?.(error);
    this.#fail(error, forGood);
  }

  #fail(error: unknown, forGood = false): void {
    const retryAfterMs = retryAfterMsOf(error);
    const { stepId, attempt, node, branchId } = this.body.offer;
    this.#ports.runtime.logger.debug(
      { sessionId: this.sessionId, stepId, attempt, node, error: errorToData(error, { stack: true }) },
      "an attempt failed",
    );
    this.#finish({
      kind: "failed",
      class: classifyFailure(error),
      error: { ...errorToData(error), node, branchId },
      tookMs: this.#tookMs(),
      ...this.#usage(),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      ...(forGood ? { forGood } : {}),
    });
  }

  #finish(end: StepEnd | null): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    if (this.#deadline !== undefined) this.#ports.deadlines.clear(this.#deadline);
    this.#context?.close();
    for (const listener of this.#endListeners ?? []) listener();
    this.#resolve?.(end);
  }

  #prepare(): Ready | Promise<Ready> {
    const { body } = this;
    const { values } = this.#ports.runtime;
    const kept = keptByHash(body);
    const pinned = kept === undefined ? NOTHING_PINNED : new Map<string, Uint8Array>();
    const missing = kept === undefined ? undefined : values.pin(kept, pinned);
    // The input may fail first, and then nobody is left to hear of this.
    missing?.catch(() => undefined);
    const { offer } = body;
    const input = values.resolveInput(offer.input, body.inputShape);
    if (
      missing === undefined &&
      !(input instanceof Promise) &&
      offer.replies === undefined &&
      offer.question === undefined
    ) {
      return { input, context: new StepContext(this, this.#ports.runtime, pinned, {}) };
    }
    return this.#prepareSlowly(pinned, missing, input);
  }

  async #prepareSlowly(
    pinned: Map<string, Uint8Array>,
    missing: Promise<void> | undefined,
    pending: unknown,
  ): Promise<Ready> {
    const { offer } = this.body;
    const { values } = this.#ports.runtime;
    const input = await pending;
    await missing;
    const resolved: ConstructorParameters<typeof StepContext>[3] = {};
    if (offer.replies !== undefined) resolved.replies = await values.resolveArrivals(offer.replies);
    if (offer.question !== undefined) {
      const { id, prompt, input: asked } = offer.question;
      resolved.question = { id, prompt: await values.resolve(prompt), input: await values.resolveInput(asked) };
    }
    return { input, context: new StepContext(this, this.#ports.runtime, pinned, resolved) };
  }

  /** One deadline serves both the beat and the limit: it wakes at whichever comes first. */
  #arm(): void {
    const left = this.#limitLeftMs();
    this.#deadline = this.#ports.deadlines.after(Math.min(BEAT_MS, left), () => this.#wake());
  }

  #wake(): void {
    if (this.#limitLeftMs() > 0) {
      this.#claim.beat();
      this.#arm();
      return;
    }
    const { stepId, node } = this.body.offer;
    const error = new OrchestraError(
      "ORCH_TIMEOUT",
      `step ${stepId} of "${node}" took longer than ${String(this.#timeoutMs)} ms`,
      {
        details: { stepId, node, timeoutMs: this.#timeoutMs },
      },
    );
    this.#fail(error);
    this.#controller?.abort(error);
  }

  #limitLeftMs(): number {
    if (this.#timeoutMs === false || this.#held > 0) return Infinity;
    return this.#limitFromMs + this.#timeoutMs - this.#ports.clock.monotonicMs();
  }

  #tookMs(): number {
    return Math.max(0, Math.round(this.#ports.clock.monotonicMs() - this.startedAtMs));
  }

  #usage(): { usage?: NonNullable<StepContext["usageSoFar"]> } {
    const usage = this.#context?.usageSoFar;
    return usage === undefined ? {} : { usage };
  }
}

/** Shared by all contexts that refer to no blob; nobody writes to it. */
const NOTHING_PINNED: Map<string, Uint8Array> = new Map();

interface Ready {
  readonly input: unknown;
  readonly context: StepContext<Execution>;
}

/** What the context may read without waiting, as far as it is not at hand; undefined when all is. */
function keptByHash({ task, context, agentState, runs }: StepBody): Stored[] | undefined {
  let kept: Stored[] | undefined;
  const note = (stored: Stored): void => {
    if (!("v" in stored)) (kept ??= []).push(stored);
  };
  note(task);
  for (const key in context) note(context[key] as Stored);
  for (const key in agentState) note(agentState[key] as Stored);
  for (const run of runs) {
    note(run.task);
    if (run.finalResponse !== null) note(run.finalResponse);
  }
  return kept;
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
