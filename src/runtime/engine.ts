// Engine
//
// Owns:      the sessions live in this process: who may start, resume, pause, cancel or answer them.
// Does not:  own its store and bus; who handed them in closes them, after `close`.
//
// O1  What concerns one session is done one after another (exclusive.ts), so two calls cannot both make it live.
// O2  A call about a session that is live in another engine is posted to its owner through the inbox.
//     Resuming, starting over, restoring and deleting it are refused, naming its host: no session is taken from a host
//     that is alive.
// O3  Nothing stays "running" with nobody behind it: what is found so is continued, or left paused (recovery.ts).

import type { SessionState } from "../actors/session-state.ts";
import { firstDueAtMs } from "../actors/view.ts";
import { whyInCluster } from "./why-in-cluster.ts";
import { whyOf, type Why } from "./why.ts";
import { OrchestraError } from "../base/errors.ts";
import { CLOSE_MS, finishedWithin } from "../base/finished-within.ts";
import { parseSessionId } from "../base/ids.ts";
import type { Checkpoint, Commit, Durability, SessionEntry } from "../state/ports.ts";
import { answerQuestion } from "./answering.ts";
import { CheckpointDesk } from "./checkpoint-desk.ts";
import { diffHistories } from "./checkpoints.ts";
import type {
  Engine,
  EngineEventsOptions,
  HostStatus,
  RecordedStep,
  TraceOptions,
  RunEvent,
  RunHandle,
  RunCode,
  RunOutcome,
  StartRequest,
} from "./engine-api.ts";
import { Elsewhere } from "./elsewhere.ts";
import { Exclusive } from "./exclusive.ts";
import type { HostingOptions } from "./hosting.ts";
import { OwnedEvents } from "./owned-events.ts";
import { Resuming } from "./resuming.ts";
import { Starting } from "./starting.ts";
import { stopRun } from "./stopping.ts";
import { openEngineParts } from "./engine-parts.ts";
import type { EngineOptions, EngineParts } from "./engine-parts.ts";
import { sessionEvents } from "./events.ts";
import { Housekeeping } from "./housekeeping.ts";
import { closed } from "./live-sessions.ts";
import { liveElsewhere } from "./live-owners.ts";
import { loadSession } from "./log-fold.ts";
import { outcomeFromLog, traceFromLog, unknownSession } from "./outcome.ts";
import { AROUND_STANDS_STILL } from "./nested-ends.ts";
import { recoverNested } from "./nested-recovery.ts";
import { QuestionDeadlines } from "./question-deadlines.ts";
import { listQuestions, QuestionListeners } from "./question-listeners.ts";
import { hostStatusOf } from "./host-status.ts";
import type { QuestionListener, WithdrawnListener } from "./question-listeners.ts";
import { recoverSessions, waitingSessions } from "./recovery.ts";
import type { Session } from "./session.ts";
import { isStillStatus } from "./session.ts";
import { removeSession, removeUnmoved } from "./session-removal.ts";
import { keyedSessionId } from "./started-fact.ts";

export type { EngineOptions } from "./engine-parts.ts";

type ResumeOptions = Parameters<Engine["resume"]>[1];

const DEFAULT_DRAIN_MS = 30_000;
const WENT_ON_MAX = 1_000;

export function createEngine(options: EngineOptions): Engine {
  return new LocalEngine(options);
}

class LocalEngine implements Engine {
  readonly #parts: EngineParts;
  readonly #exclusive = new Exclusive();
  readonly #checkpoints: CheckpointDesk;
  readonly #elsewhere: Elsewhere;
  readonly #resuming: Resuming;
  readonly #starting: Starting;
  readonly #listeners: QuestionListeners;
  readonly #questionDeadlines: QuestionDeadlines;
  /** Runs gone on with though nobody resumed them, by session: at most `WENT_ON_MAX`. */
  readonly #wentOn = new Map<string, string>();
  /** Finds the functions of sessions that an earlier process left waiting. */
  #codeOf: ((entry: SessionEntry) => RunCode | undefined) | undefined;
  readonly #housekeeping: Housekeeping;
  readonly #owned: OwnedEvents;
  readonly #slots: number;
  #state: "open" | "draining" | "closed" = "open";
  #closing: Promise<void> | undefined;

  constructor(options: EngineOptions) {
    this.#parts = openEngineParts(options, this, {
      onQuestion: (session, question) => this.#listeners.tell(session.sessionId, question),
      onWithdrawn: (session, questionId) => this.#listeners.tellWithdrawn(session.sessionId, questionId),
      onAdvanced: (session, commit) => this.#advanced(session, commit),
      onSettled: ({ sessionId, state }) => {
        const isNested = state.run?.parent != null;
        this.#questionDeadlines.waits(sessionId, isNested ? undefined : firstDueAtMs(state));
        this.#housekeeping.settled(sessionId, state.run?.end != null);
      },
      standsStill: (sessionId) =>
        this.#state !== "open" || this.#parts.live.get(sessionId)?.session.state.status === "paused",
      adopt: (sessionId) => this.#adopt(sessionId, options.hosting),
      recoverNested: () => this.#recoverNested(),
    });
    this.#slots = options.hosting?.slots ?? 0;
    const { ports, live } = this.#parts;
    this.#owned = new OwnedEvents(ports, (id) => live.get(id) !== undefined, options.observers ?? []);
    this.#questionDeadlines = new QuestionDeadlines({
      ...options,
      goOn: (sessionId) => this.#takeTimeOut(sessionId, options.hosting?.code),
    });
    this.#listeners = new QuestionListeners(this.#parts.ports.values, this.#parts.ports.logger);
    this.#elsewhere = new Elsewhere(this.#parts, (sessionId, reason) => this.cancel(sessionId, reason));
    this.#checkpoints = new CheckpointDesk(this.#parts, this.#exclusive, this.#elsewhere);
    this.#resuming = new Resuming(this.#parts, this.#checkpoints, this.#elsewhere);
    this.#starting = new Starting({
      parts: this.#parts,
      checkpoints: this.#checkpoints,
      elsewhere: this.#elsewhere,
      resuming: this.#resuming,
      assertAccepting: (nested) => this.#assertAccepting(nested),
    });
    const remove = (entry: SessionEntry): Promise<void> => removeUnmoved(this.#parts, this.#exclusive, entry);
    this.#housekeeping = new Housekeeping({ ...options, remove }, options.retention);
  }

  get durability(): Durability {
    return this.#parts.ports.store.durability;
  }

  async start(request: StartRequest): Promise<RunHandle> {
    this.#assertAccepting(request.parent !== undefined);
    const { ids } = this.#parts.ports;
    const sessionId =
      request.sessionId ??
      (request.idempotencyKey === undefined ? ids.next("s") : keyedSessionId(request.idempotencyKey));
    parseSessionId(sessionId);
    const mayExist =
      request.idIsNew !== true && (request.sessionId !== undefined || request.idempotencyKey !== undefined);
    return this.#exclusive.run(sessionId, () => this.#starting.start(sessionId, request, mayExist));
  }

  resume(sessionId: string, options: ResumeOptions): Promise<RunHandle> {
    return this.#exclusive.run(sessionId, async () => {
      this.#assertAccepting(true);
      return this.#resuming.resume(sessionId, options);
    });
  }

  async pause(sessionId: string, reason?: string, inFlight: "finish" | "abort" = "finish"): Promise<boolean> {
    this.#assertOpen();
    const fact = { type: "paused", inFlight, ...(reason === undefined ? {} : { reason }) } as const;
    return stopRun(this.#parts, this.#exclusive, sessionId, fact);
  }

  async cancel(sessionId: string, reason?: string): Promise<boolean> {
    this.#assertOpen();
    const fact = { type: "cancelled", ...(reason === undefined ? {} : { reason }) } as const;
    return stopRun(this.#parts, this.#exclusive, sessionId, fact);
  }

  async servedElsewhere(): Promise<ReadonlySet<string>> {
    return this.#elsewhere.served();
  }

  async host(): Promise<void> {
    this.#assertOpen();
    await this.#parts.cluster?.host();
  }

  hostStatus(): HostStatus {
    return hostStatusOf(this.#parts, this.#state, this.#slots);
  }

  async answer(sessionId: string, questionId: string, value: unknown): Promise<void> {
    this.#assertOpen();
    const ports = {
      parts: this.#parts,
      exclusive: this.#exclusive,
      elsewhere: this.#elsewhere,
      state: (id: string) => this.state(id),
      goOn: async (id: string, answers: Readonly<Record<string, unknown>>) => {
        this.#noteWentOn(await this.resume(id, { answers }));
      },
    };
    return answerQuestion(ports, sessionId, questionId, value);
  }

  async questions(sessionId?: string): ReturnType<Engine["questions"]> {
    this.#assertOpen();
    return listQuestions(this.#parts, sessionId);
  }

  onQuestion(listener: QuestionListener, withdrawn?: WithdrawnListener): () => void {
    return this.#listeners.add(listener, withdrawn);
  }

  async wentOn(sessionId: string): Promise<boolean> {
    const runId = this.#wentOn.get(sessionId);
    return runId !== undefined && runId === (await this.getSession(sessionId))?.runId;
  }

  #noteWentOn({ sessionId, runId }: RunHandle): void {
    this.#wentOn.delete(sessionId);
    this.#wentOn.set(sessionId, runId);
    for (const oldest of this.#wentOn.keys()) {
      if (this.#wentOn.size <= WENT_ON_MAX) break;
      this.#wentOn.delete(oldest);
    }
  }

  /** Whoever has the functions of the run goes on with it; without them it is left to those. */
  async #takeTimeOut(sessionId: string, hosted: RunCode | undefined): Promise<void> {
    const entry = await this.getSession(sessionId);
    if (this.#state !== "open" || entry?.status !== "awaiting_user") return;
    const code = this.#parts.codes.get(entry.topologyHash ?? "") ?? this.#codeOf?.(entry) ?? hosted;
    if (code !== undefined) this.#noteWentOn(await this.resume(sessionId, { code }));
  }

  async createCheckpoint(sessionId: string, name?: string, options?: { automatic?: boolean }): Promise<string> {
    this.#assertOpen();
    return this.#checkpoints.create(sessionId, name, options);
  }

  async restoreCheckpoint(checkpointId: string): Promise<boolean> {
    this.#assertOpen();
    return this.#checkpoints.restore(checkpointId);
  }

  async forkCheckpoint(checkpointId: string, options: { sessionId?: string } = {}): Promise<string> {
    this.#assertOpen();
    return this.#checkpoints.fork(checkpointId, options.sessionId);
  }

  async listCheckpoints(sessionId: string): Promise<readonly Omit<Checkpoint, "snapshot">[]> {
    const checkpoints = await this.#parts.ports.store.listCheckpoints(sessionId);
    return checkpoints.map(({ snapshot: _snapshot, ...rest }) => rest);
  }

  getSession(sessionId: string): Promise<SessionEntry | null> {
    return this.#parts.ports.store.getSession(sessionId);
  }

  listSessions(options?: Parameters<Engine["listSessions"]>[0]): Promise<readonly SessionEntry[]> {
    return this.#parts.ports.store.listSessions(options);
  }

  deleteSession(sessionId: string): Promise<boolean> {
    return removeSession(this.#parts, this.#exclusive, sessionId);
  }

  outcome(sessionId: string): Promise<RunOutcome> {
    return outcomeFromLog(this.#parts.ports, sessionId);
  }

  async state(sessionId: string): Promise<SessionState> {
    const running = this.#parts.live.get(sessionId);
    if (running !== undefined) return running.session.state;
    const loaded = await loadSession(this.#parts.ports.store, sessionId);
    if (loaded === null) throw unknownSession(sessionId);
    return loaded.position.state;
  }

  async owner(sessionId: string): Promise<string | null> {
    if (this.#parts.live.get(sessionId) !== undefined) return this.#parts.ports.host;
    const entry = await this.getSession(sessionId);
    return entry === null ? null : this.#parts.ownerElsewhere(sessionId, entry);
  }

  isLive(sessionId: string): boolean {
    return (
      this.#parts.live.get(sessionId) !== undefined ||
      liveElsewhere(this.#parts.ports.store, sessionId, this.#parts.live) !== undefined
    );
  }

  async *events(sessionId: string, options: EngineEventsOptions = {}): AsyncIterable<RunEvent> {
    this.#assertOpen();
    const { ports, live } = this.#parts;
    const { begins } = options;
    if (begins === undefined && live.get(sessionId) === undefined && (await ports.store.getSession(sessionId)) === null)
      throw unknownSession(sessionId);
    let beginning = begins !== undefined;
    const begun = (): void => {
      beginning = false;
      ports.hub.nudge(sessionId);
    };
    begins?.then(begun, begun);
    const whereabouts = async (): Promise<"here" | "moving" | "still"> => {
      const running = live.get(sessionId);
      if (running !== undefined || beginning) return "here";
      const entry = await ports.store.getSession(sessionId);
      return entry === null || isStillStatus(entry.status) ? "still" : "moving";
    };
    yield* this.#housekeeping.follow(
      sessionId,
      options.after ?? 0,
      sessionEvents({ ...ports, whereabouts }, sessionId, options),
    );
  }

  trace(sessionId: string, options?: TraceOptions): AsyncIterable<RecordedStep> {
    return traceFromLog(this.#parts.ports, sessionId, options);
  }

  async why(sessionId: string): Promise<Why> {
    const state = await this.state(sessionId);
    const registry = this.#parts.live.get(sessionId)?.session.registry;
    const cluster = await whyInCluster(this.#parts, state, registry?.full ?? []);
    return whyOf(state, registry?.handedOut() ?? [], cluster);
  }

  diff(a: string, b: string): ReturnType<Engine["diff"]> {
    return diffHistories(this.#parts.ports, a, b);
  }

  async recover(options: Parameters<Engine["recover"]>[0] = {}): ReturnType<Engine["recover"]> {
    this.#assertAccepting(false);
    const recovered = await recoverSessions(this.#parts, options, async (sessionId, code) => {
      const handle = await this.resume(sessionId, { code });
      this.#noteWentOn(handle);
      return handle;
    });
    if (options.resume !== false) await this.#lookForDeadlines(options);
    await this.#recoverNested();
    return recovered;
  }

  /** Sessions that an earlier process left waiting, of which a question will be too late. */
  async #lookForDeadlines(options: NonNullable<Parameters<Engine["recover"]>[0]>): Promise<void> {
    if (options.code !== undefined) this.#codeOf = options.code;
    for await (const { sessionId, dueAtMs } of waitingSessions(this.#parts.ports.store))
      if (this.#parts.live.get(sessionId) === undefined) this.#questionDeadlines.waits(sessionId, dueAtMs);
  }

  #recoverNested(): Promise<void> {
    return recoverNested(this.#parts);
  }

  async drain(options: { timeoutMs?: number } = {}): Promise<void> {
    if (this.#state !== "open") return;
    this.#state = "draining";
    await this.#parts.drain(options.timeoutMs ?? DEFAULT_DRAIN_MS);
    await this.#owned.settled();
  }

  close(): Promise<void> {
    this.#state = "closed";
    this.#questionDeadlines.close();
    return (this.#closing ??= this.#close());
  }

  /** A bus that does not answer is not waited for; what was committed is there, and the rest is as after a crash. */
  async #close(): Promise<void> {
    const { clock, logger } = this.#parts.ports;
    const closed = Promise.all([this.#housekeeping.close(), this.#parts.close()]);
    if (this.#parts.cluster === undefined) await closed;
    else if (!(await finishedWithin(closed, CLOSE_MS, clock)))
      logger.warn({ waitedMs: CLOSE_MS }, "closed without waiting any longer for what the bus does not answer");
  }

  #adopt(sessionId: string, hosting: HostingOptions | undefined): Promise<void> {
    return this.#exclusive.run(sessionId, async () => {
      this.#assertAccepting(false);
      if (hosting === undefined || this.#parts.live.get(sessionId) !== undefined) return;
      await this.#owned.following(sessionId, () =>
        this.#resuming.resume(sessionId, { code: hosting.code, takesOver: true }),
      );
    });
  }

  #advanced(session: Session, commit: Commit): void {
    this.#housekeeping.advanced(session, commit);
    for (const fact of commit.facts) {
      if (fact.type === "step.succeeded" || (fact.type === "step.failed" && fact.retryAtMs === undefined))
        this.#stepOver(session, fact.stepId);
      if (fact.type !== "paused") continue;
      for (const nested of session.nested.values())
        for (const id of nested) this.pause(id, AROUND_STANDS_STILL, fact.inFlight).catch(() => undefined);
    }
  }

  /** Nested runs that nobody waits for any more. */
  #stepOver(session: Session, stepId: string): void {
    if (session.nestedCount === 0) return;
    const ofStep = session.nested.get(stepId);
    for (const id of ofStep ?? []) {
      // One that the store let go of in mid-run is forgotten by nobody else.
      const forget = (): void => {
        ofStep?.delete(id);
        if (ofStep?.size === 0 && session.nested.get(stepId) === ofStep) session.nested.delete(stepId);
      };
      void this.#parts.nestedEnds.ofStep(id).then(forget);
    }
  }

  #assertOpen(): void {
    if (this.#state === "closed") throw closed();
  }

  #assertAccepting(nested: boolean): void {
    this.#assertOpen();
    if (this.#state === "draining")
      throw new OrchestraError("ORCH_DRAINING", "the engine is draining and takes no new runs");
    const { live, maxSessions } = this.#parts;
    if (nested || live.size < maxSessions) return;
    throw new OrchestraError(
      "ORCH_OVERLOADED",
      `${live.size} sessions are live, the limit is ${maxSessions}; try again later`,
      { details: { sessions: live.size, retryAfterMs: 1_000 } },
    );
  }
}
