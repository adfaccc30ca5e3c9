// Orchestra instance
//
// Owns:      one kernel, opened on first use; the runs it started or resumed.
// Crossing:  user → execute(), resumeSession(), … → engine; channel ← engine.
//
// I1  Nothing is opened before the first call that needs it, and nothing after close().
// I2  What cannot start is refused before anything ran; what a run can end in is a result.
// I3  Sessions found with nobody behind them are continued on first use where the topology is this instance's, and left
//     for `resumeSession` otherwise. A first use that is `recover()` does as its options say instead.

import { errorToData } from "../base/error-data.ts";
import { isOrchestraError, OrchestraError } from "../base/errors.ts";
import { CLOSE_MS, finishedWithin } from "../base/finished-within.ts";
import { parseSessionId } from "../base/ids.ts";
import type { RunStatus } from "../actors/effects.ts";
import type { Why } from "./why.ts";
import { Topology } from "./topology.ts";
import { CommunicationManager, toChannel, type PendingQuestion } from "./communication.ts";
import type { Engine, RunCode, RunEvent, RunHandle, TraceOptions } from "./engine-api.ts";
import { EventBuffer } from "./event-buffer.ts";
import { mergeExecutionConfig, type ExecutionConfig } from "./execution-config.ts";
import { followUps } from "./follow-ups.ts";
import type { OrchestraHandle } from "./handle.ts";
import type {
  CheckpointInfo,
  ExecuteOptions,
  HistoryDiff,
  RecoveredSession,
  ResumeOptions,
  SessionInfo,
  Step,
} from "./instance-types.ts";
import type { HostingOptions } from "./hosting.ts";
import { groundsOf, openKernel, type Grounds, type Kernel } from "./kernel.ts";
import { resolveMigrations } from "./migrations.ts";
import { assertOptions } from "./option-schema.ts";
import type { OrchestraResult } from "./result.ts";
import { resultFromOutcome } from "./result-from-outcome.ts";
import { agentsOf, runCodeOf } from "./run-code.ts";
import { keyedSessionId } from "./started-fact.ts";
import { driveOptionsOf, driveRun, type DriveOptions } from "./run-driver.ts";
import {
  assertInstanceOptions,
  eventsSchema,
  assertTaskOptions,
  sessionIdOf,
  type InstanceOptions,
  type Task,
  type TaskOptions,
} from "./run-options.ts";
import { checkTopology, planRun, type CheckedTopology } from "./run-plan.ts";
import { checkUpgrade, codeByName, type UpgradeVerdict } from "./upgrade-check.ts";

/** What a program that is made of sessions says beside the options that are everybody's. */
export interface ProgramOptions {
  /** Goes on, on first use, with sessions that were interrupted. Default true. */
  readonly recover?: boolean;
  readonly code?: Pick<RunCode, "stays" | "assertFits">;
  /** Takes over sessions on the bus whose host is gone, from first use on. Default false. */
  readonly adopts?: boolean;
}

export class OrchestraInstance implements AsyncDisposable {
  readonly #options: InstanceOptions;
  readonly #grounds: Grounds;
  readonly #communication: CommunicationManager;
  readonly #detach: () => void;
  readonly #running = new Set<Promise<unknown>>();
  readonly #recovering: boolean;
  readonly #program: ProgramOptions;
  /** What was recovered and is still going on. */
  readonly #live = new Map<string, RecoveredSession & { readonly result: Promise<OrchestraResult> }>();
  /** The topology as it was at the first run. */
  #checked: CheckedTopology | undefined;
  #kernel: Promise<Kernel> | undefined;
  #closing: Promise<void> | undefined;

  /** Opens nothing. @throws {OrchestraError} `ORCH_BAD_OPTION` */
  constructor(options: InstanceOptions, program: ProgramOptions = {}) {
    assertInstanceOptions(options);
    this.#options = options;
    this.#grounds = groundsOf(options);
    this.#recovering = program.recover ?? true;
    this.#program = program;
    this.#communication =
      options.communicationManager ??
      new CommunicationManager({ channel: toChannel(options.communicationConfig?.channel) ?? "none" });
    this.#detach = this.#communication.attach({
      pending: (sessionId) => this.#pending(sessionId),
      answer: async (sessionId, questionId, value) => {
        const { engine, desk } = await this.#open();
        await engine.answer(sessionId, questionId, value);
        desk?.answeredElsewhere(sessionId, questionId);
      },
    });
  }

  /**
   * Runs the topology on a task. Resolves with whatever the run ends in. An object that has a `task` is taken for options;
   * a task that has such a field itself goes inside them: `execute({ task: { task: … } })`.
   *
   * @throws {OrchestraError} for what cannot start: `ORCH_TOPOLOGY_INVALID`, `ORCH_AGENT_UNKNOWN`, `ORCH_BAD_OPTION`,
   *   `ORCH_SESSION_BUSY`, `ORCH_NOT_SERIALIZABLE`, `ORCH_DRAINING`, `ORCH_OVERLOADED`, `ORCH_CLOSED`, `ORCH_STORE_*`.
   */
  async execute(options: TaskOptions): Promise<OrchestraResult>;
  async execute(task: Task, options?: ExecuteOptions): Promise<OrchestraResult>;
  async execute(first: TaskOptions | Task, second: ExecuteOptions = {}): Promise<OrchestraResult> {
    const options = taskOptions(first, second);
    return this.#execute(options, this.#sessionFor(options), []);
  }

  /** As `execute`, watched while it works. */
  stream(options: TaskOptions): OrchestraHandle;
  stream(task: Task, options?: ExecuteOptions): OrchestraHandle;
  stream(first: TaskOptions | Task, second: ExecuteOptions = {}): OrchestraHandle {
    const options = taskOptions(first, second);
    const sessionId = this.#sessionFor(options);
    const events = new EventBuffer();
    const result = this.#execute(options, sessionId, [(event) => events.push(event)]);
    result.then(
      () => events.end(),
      (error: unknown) => events.end({ error }),
    );
    return {
      sessionId,
      result,
      get dropped() {
        return events.dropped;
      },
      pause: (reason) => this.pauseSession(sessionId, reason),
      cancel: (reason) => this.cancelSession(sessionId, reason),
      [Symbol.asyncIterator]: () => events.read(),
    };
  }

  /**
   * Stops offering steps; those in flight finish (recorded, followed on resume) or, with `inFlight: "abort"`, are
   * aborted and run again on resume. False when there is nothing running.
   */
  async pauseSession(
    sessionId: string,
    reason?: string,
    { inFlight = "finish" }: { inFlight?: "finish" | "abort" } = {},
  ): Promise<boolean> {
    return (await this.#engine()).pause(parseSessionId(sessionId), reason, inFlight);
  }

  /**
   * Continues a session that is paused, waits for people, or was interrupted, exactly where its facts end. The topology
   * is the session's own; this instance brings the agents.
   *
   * @throws {OrchestraError} `ORCH_SESSION_UNKNOWN`, `ORCH_SESSION_STATE` when it has ended or is a nested run's,
   *   `ORCH_SESSION_BUSY`, `ORCH_AMBIGUOUS_ANSWER` when several questions are open and `userResponse` does not say which
   *   it answers, `ORCH_AGENT_UNKNOWN` and `ORCH_CONDITION_UNKNOWN` naming what this instance lacks; then it stays as it was.
   */
  async resumeSession(sessionId: string, options: ResumeOptions = {}): Promise<OrchestraResult> {
    const { additionalContext, userResponse, signal } = options;
    const kernel = await this.#open();
    const recovered = this.#live.get(parseSessionId(sessionId))?.result;
    if (recovered !== undefined && additionalContext === undefined && userResponse === undefined) return recovered;
    await assertNoNested(kernel.engine, sessionId);
    const code = this.#code();
    const resume = (): Promise<RunHandle> =>
      kernel.engine.resume(sessionId, {
        code,
        ...(additionalContext !== undefined && { context: additionalContext }),
        ...(userResponse !== undefined && { userResponse }),
        ...(signal !== undefined && { signal }),
      });
    const driven = driveRun(
      kernel,
      sessionId,
      resume,
      this.#driveOptions(code, this.#options.initialConfig ?? {}, [], signal),
    );
    const brings = additionalContext !== undefined || userResponse !== undefined;
    return this.#track(brings ? driven : driven.catch((error: unknown) => endedMeanwhile(kernel, sessionId, error)));
  }

  /** A named place to go back to, of a live, paused or finished session. Resolves with its id. */
  async createCheckpoint(sessionId: string, name?: string): Promise<string> {
    return (await this.#engine()).createCheckpoint(parseSessionId(sessionId), name);
  }

  /**
   * Takes the session back to where it stood; `resumeSession` continues from there. The log is not rewound. False when
   * the session could not be taken back.
   *
   * @throws {OrchestraError} `ORCH_CHECKPOINT_UNKNOWN`, `ORCH_SESSION_BUSY` while another process runs the session.
   */
  async restoreCheckpoint(checkpointId: string): Promise<boolean> {
    return (await this.#engine()).restoreCheckpoint(checkpointId);
  }

  /** A new session that begins where the checkpoint stood. Resolves with its id; `resumeSession` continues it. */
  async forkCheckpoint(checkpointId: string, options: { sessionId?: string } = {}): Promise<string> {
    return (await this.#engine()).forkCheckpoint(checkpointId, options);
  }

  /** Ends the run for good; steps in flight are aborted by their signal. False when there is nothing to cancel. */
  async cancelSession(sessionId: string, reason?: string): Promise<boolean> {
    return (await this.#engine()).cancel(parseSessionId(sessionId), reason);
  }

  /** Oldest id first, at most `limit` (default 100); `cursor` is the last id of the page before. */
  async listSessions(
    options: { status?: RunStatus; limit?: number; cursor?: string } = {},
  ): Promise<readonly SessionInfo[]> {
    return (await this.#engine()).listSessions(options);
  }

  async getSession(sessionId: string): Promise<SessionInfo | null> {
    return (await this.#engine()).getSession(parseSessionId(sessionId));
  }

  /** Whether this process, or a host on the same bus, moves the session at this moment. One that says `running` and is not live was interrupted. */
  async isLive(sessionId: string): Promise<boolean> {
    const engine = await this.#engine();
    const id = parseSessionId(sessionId);
    return engine.isLive(id) || (this.#options.bus !== undefined && (await engine.owner(id)) !== null);
  }

  async listCheckpoints(sessionId: string): Promise<readonly CheckpointInfo[]> {
    return (await this.#engine()).listCheckpoints(parseSessionId(sessionId));
  }

  /** Removes the session with its snapshots, checkpoints and blobs. False for an unknown one. @throws {OrchestraError} `ORCH_SESSION_BUSY` while it runs. */
  async deleteSession(sessionId: string): Promise<boolean> {
    return (await this.#engine()).deleteSession(parseSessionId(sessionId));
  }

  /** The session's events from `after` (default: the first) and then live, without a gap or a duplicate, until `signal` aborts or the instance closes; with `untilNow` up to what has happened by then. @throws {OrchestraError} `ORCH_SESSION_UNKNOWN`, `ORCH_BAD_OPTION` for an `after` that is no whole number from 0. */
  async *events(
    sessionId: string,
    options: { after?: number; signal?: AbortSignal; untilNow?: boolean } = {},
  ): AsyncGenerator<RunEvent, void, undefined> {
    assertOptions(eventsSchema, options, "events");
    yield* (await this.#engine()).events(parseSessionId(sessionId), options);
  }

  /** What the run waits for now. */
  async why(sessionId: string): Promise<Why> {
    return (await this.#engine()).why(parseSessionId(sessionId));
  }

  /** Where two histories part. Each side is a session id or a checkpoint id. */
  async diff(a: string, b: string): Promise<HistoryDiff> {
    return (await this.#engine()).diff(a, b);
  }

  /** All steps of the session's last run, from its log. */
  async *trace(sessionId: string, options?: TraceOptions): AsyncGenerator<Step, void, undefined> {
    yield* (await this.#engine()).trace(parseSessionId(sessionId), options);
  }

  /** The result of the session's last run, as its log tells it. @throws {OrchestraError} `ORCH_SESSION_UNKNOWN` */
  async getResult(sessionId: string): Promise<OrchestraResult> {
    const outcome = await (await this.#engine()).outcome(parseSessionId(sessionId));
    const questions = await this.#pending(sessionId);
    return resultFromOutcome(
      outcome,
      questions.map(({ questionId, node, branchId, prompt }) => ({ questionId, node, branchId, prompt })),
    );
  }

  /** Asks on in a session that has ended: a run of the same topology whose agents see the transcript in `ctx.session`. */
  async followUp(
    sessionId: string,
    question: Task,
    options: Omit<ExecuteOptions, "sessionId" | "fresh"> = {},
  ): Promise<OrchestraResult> {
    const kernel = await this.#open();
    const id = parseSessionId(sessionId);
    if ((await kernel.engine.getSession(id)) === null)
      throw new OrchestraError("ORCH_SESSION_UNKNOWN", `no session "${id}" to follow up on`, {
        details: { sessionId: id },
      });
    return this.#execute({ ...options, task: question, sessionId: id }, id, [], true);
  }

  /** Open questions, oldest first; `communicationManager.submitResponse` or `resumeSession` answer them. */
  get communication(): CommunicationManager {
    return this.#communication;
  }

  /**
   * Finds sessions that were live when their process died and continues those of this instance's topology; the others,
   * and with `resume: false` all of them, are left for `resumeSession`. First use does this by itself; as the first use
   * it takes the place of that. Afterwards it returns, before what it finds, what was recovered earlier and still runs.
   */
  async recover({ resume = true }: { resume?: boolean } = {}): Promise<readonly RecoveredSession[]> {
    const atOpening: (readonly RecoveredSession[])[] = [];
    const kernel = await this.#open(async (opened) => {
      atOpening.push(await this.#recover(opened, resume));
    });
    const [found] = atOpening;
    if (found !== undefined) return found;
    const earlier = [...this.#live.values()];
    return [...earlier, ...(await this.#recover(kernel, resume))];
  }

  /**
   * What would become of each session whose run has not ended, if this instance went on with it. Changes nothing. An
   * instance without agents is taken to have those that its topology names. `from`: only sessions of these topologies, by
   * hash.
   *
   * @throws {OrchestraError} `ORCH_TOPOLOGY_INVALID`, `ORCH_BAD_OPTION` without a topology.
   */
  async checkUpgrade({ from }: { readonly from?: readonly string[] } = {}): Promise<readonly UpgradeVerdict[]> {
    const { topology } = this.#checkedTopology();
    const given = this.#code();
    const code = given.agents.names().length > 0 ? given : codeByName(topology.data, given);
    const target = { topology: topology.data, topologyHash: topology.hash, nodes: {} };
    const question = { target, code, ...(from !== undefined && { from }) };
    // By the store alone: to open the kernel would be to go on with what was interrupted.
    const lease = await this.#options.stateManager?.acquire();
    const store = lease?.store ?? (await this.#open()).store;
    try {
      return await checkUpgrade({ store, nowMs: this.#grounds.clock.nowMs() }, question);
    } finally {
      await lease?.release();
    }
  }

  /** Takes no more runs, lets steps in flight finish up to `timeoutMs` (default 30_000), leaves the rest resumable. */
  async drain({ timeoutMs }: { timeoutMs?: number } = {}): Promise<void> {
    if (this.#kernel === undefined) return;
    await (await this.#kernel).engine.drain(timeoutMs === undefined ? {} : { timeoutMs });
    await Promise.allSettled(this.#running);
  }

  /**
   * Lets go of everything; runs in flight stay resumable. Idempotent. Use afterwards is `ORCH_CLOSED`. A bus that does not
   * answer is waited for 5 s.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #sessionFor(options: TaskOptions): string {
    const named = sessionIdOf(options);
    if (named !== undefined) return named;
    // The same key must come to the same session, also from another process.
    return options.idempotencyKey === undefined ? this.#grounds.ids.next("s") : keyedSessionId(options.idempotencyKey);
  }

  #execute(
    options: TaskOptions,
    sessionId: string,
    observers: DriveOptions["observers"],
    followUp = false,
  ): Promise<OrchestraResult> {
    const result = this.#start(options, sessionId, observers, followUp);
    // Callers may look at the handle's events only; a rejection nobody awaits must not end the process.
    result.catch(() => undefined);
    return this.#track(result);
  }

  async #start(
    options: TaskOptions,
    sessionId: string,
    observers: DriveOptions["observers"],
    followUp: boolean,
  ): Promise<OrchestraResult> {
    const checked = this.#checkedTopology();
    const { bus, initialConfig = {} } = this.#options;
    const elsewhere = bus === undefined ? undefined : await (await this.#engine()).servedElsewhere();
    const { request, execution } = planRun(checked, this.#options, initialConfig, options, sessionId, elsewhere);
    const kernel = await this.#open();
    // Time and chance that were handed in may be those of an earlier process.
    const idIsChance = sessionIdOf(options) === undefined && options.idempotencyKey === undefined;
    const idIsNew = idIsChance && this.#options.random === undefined;
    const code = { ...request.code, ...this.#program.code };
    const run = (one: typeof request): Promise<OrchestraResult> =>
      driveRun(kernel, sessionId, () => kernel.engine.start({ ...one, code }), {
        ...this.#driveOptions(code, execution, observers, options.signal),
        idIsNew: one.idIsNew === true,
      });
    const first = run({ ...request, followUp, idIsNew });
    const { channel } = this.#communication;
    if (!options.allowFollowUps || channel === undefined) return first;
    const result = await first;
    if (!result.success) return result;
    const { idempotencyKey: _once, fresh: _fresh, ...asking } = request;
    return followUps(
      result,
      { channel, clock: kernel.clock, timeoutMs: options.followUpTimeoutMs, signal: options.signal },
      (question) => run({ ...asking, task: question, followUp: true }),
    );
  }

  #driveOptions(
    code: RunCode,
    execution: ExecutionConfig,
    observers: DriveOptions["observers"],
    signal: AbortSignal | undefined,
  ): DriveOptions {
    return driveOptionsOf(this.#options, { code, execution, observers, signal });
  }

  #track(result: Promise<OrchestraResult>): Promise<OrchestraResult> {
    this.#running.add(result);
    void result.then(
      () => this.#running.delete(result),
      () => this.#running.delete(result),
    );
    return result;
  }

  /** The functions for sessions whose topology is in their log. */
  #code(): RunCode {
    const execution = mergeExecutionConfig(this.#options.initialConfig ?? {}, {});
    const own = runCodeOf(agentsOf(this.#options, this.#options.topology), this.#options, execution);
    const code = { ...own, ...this.#program.code };
    const { migrations } = this.#options;
    if (migrations === undefined) return code;
    return { ...code, migrations: resolveMigrations(migrations, this.#checkedTopology().topology) };
  }

  #hosting(): HostingOptions {
    const { hash } = this.#checkedTopology().topology;
    const code = this.#code();
    const slots = code.maxConcurrency ?? 0;
    return { code, slots, perAgent: {}, adopts: true, topologies: [hash], version: "" };
  }

  #checkedTopology(): CheckedTopology {
    return (this.#checked ??= checkTopology(this.#options.topology, this.#options));
  }

  async #engine(): Promise<Engine> {
    return (await this.#open()).engine;
  }

  /** `recover` is what is done about interrupted sessions if this call is the one that opens. */
  #open(recover = (kernel: Kernel): Promise<void> => this.#recoverOnFirstUse(kernel)): Promise<Kernel> {
    if (this.#closing !== undefined)
      return Promise.reject(new OrchestraError("ORCH_CLOSED", "this OrchestraInstance is closed"));
    // An opening that failed may be tried again: the store may be free by then.
    this.#kernel ??= this.#openKernel(recover).catch((error: unknown) => {
      this.#kernel = undefined;
      throw error;
    });
    return this.#kernel;
  }

  async #openKernel(recover: (kernel: Kernel) => Promise<void>): Promise<Kernel> {
    const { stateManager, bus, memory, random, maxSessions, unserved, unservedAfterMs } = this.#options;
    const kernel = await openKernel(
      {
        channel: this.#communication.channel,
        ...(stateManager !== undefined && { stateManager }),
        ...(bus !== undefined && { bus }),
        ...(memory !== undefined && { memory }),
        ...(random !== undefined && { random }),
        ...(maxSessions !== undefined && { maxSessions }),
        ...(unserved !== undefined && { unserved }),
        ...(unservedAfterMs !== undefined && { unservedAfterMs }),
        ...(this.#program.adopts === true && { hosting: this.#hosting() }),
      },
      this.#grounds,
    );
    try {
      await recover(kernel);
      if (this.#program.adopts === true) await kernel.engine.host();
    } catch (error) {
      await kernel.close();
      throw error;
    }
    return kernel;
  }

  async #recoverOnFirstUse(kernel: Kernel): Promise<void> {
    if (this.#recovering && this.#options.stateManager !== undefined && kernel.alone) await this.#recover(kernel, true);
  }

  async #recover(kernel: Kernel, resume: boolean): Promise<readonly RecoveredSession[]> {
    const { topology } = this.#options;
    const hash = topology === undefined ? undefined : Topology.from(topology).hash;
    const code = this.#code();
    const found = await kernel.engine.recover({
      resume,
      code: ({ topologyHash }) =>
        topologyHash !== null && (topologyHash === hash || code.migrations?.has(topologyHash)) ? code : undefined,
    });
    return found.map(({ sessionId, runId, action, handle }) => {
      if (handle === undefined) return { sessionId, runId, action };
      const result = driveRun(
        kernel,
        sessionId,
        () => Promise.resolve(handle),
        this.#driveOptions(code, this.#options.initialConfig ?? {}, [], undefined),
      );
      result.catch((error: unknown) =>
        kernel.logger.warn(
          { sessionId, error: errorToData(error) },
          "a recovered run could not be followed to its end",
        ),
      );
      const recovered = { sessionId, runId, action, result: this.#track(result) };
      this.#live.set(sessionId, recovered);
      void result.finally(() => this.#live.delete(sessionId)).catch(() => undefined);
      return recovered;
    });
  }

  async #pending(sessionId: string | undefined): Promise<readonly PendingQuestion[]> {
    const questions = await (await this.#engine()).questions(sessionId);
    return questions.map(({ session, questionId, node, branchId, promptValue, kind, askedAtMs, dueAtMs }) => ({
      questionId,
      sessionId: session,
      node,
      branchId,
      prompt: promptValue,
      kind,
      askedAtMs,
      ...(dueAtMs !== undefined && { dueAtMs }),
    }));
  }

  async #close(): Promise<void> {
    this.#detach();
    const kernel = await this.#kernel?.catch(() => undefined);
    const startedMs = kernel?.clock.monotonicMs() ?? 0;
    await kernel?.close();
    const ended = Promise.allSettled(this.#running);
    if (kernel === undefined || this.#options.bus === undefined) await ended;
    else await finishedWithin(ended, Math.max(0, CLOSE_MS - (kernel.clock.monotonicMs() - startedMs)), kernel.clock);
  }
}

function taskOptions(first: TaskOptions | Task, second: ExecuteOptions): TaskOptions {
  const options = typeof first === "object" && "task" in first ? (first as TaskOptions) : { ...second, task: first };
  assertTaskOptions(options);
  return options;
}

/** The result of a run that an answer, a time-out or recovery set going here, and that has ended by itself since. */
async function endedMeanwhile({ engine }: Kernel, sessionId: string, error: unknown): Promise<OrchestraResult> {
  if (!isOrchestraError(error, "ORCH_SESSION_STATE") || !(await engine.wentOn(sessionId))) throw error;
  return resultFromOutcome(await engine.outcome(sessionId), []);
}

/** A nested run's functions come from the step around it, so only that step can go on with it. */
async function assertNoNested(engine: Engine, sessionId: string): Promise<void> {
  let outer = sessionId;
  for (let parent; (parent = (await engine.getSession(outer))?.parentSessionId) !== undefined;) outer = parent;
  if (outer === sessionId) return;
  throw new OrchestraError(
    "ORCH_SESSION_STATE",
    `session "${sessionId}" is a nested run and goes on with the session around it: resume "${outer}"`,
    { details: { sessionId, parentSessionId: outer } },
  );
}
