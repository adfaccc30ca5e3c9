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

import type { Fact } from "../actors/facts.ts";
import type { SessionState } from "../actors/session-state.ts";
import { openQuestions } from "../actors/view.ts";
import { whyOf, type Why } from "./why.ts";
import { OrchestraError } from "../base/errors.ts";
import { parseSessionId } from "../base/ids.ts";
import type { Checkpoint, Commit, Durability, SessionEntry } from "../state/ports.ts";
import { answerQuestion } from "./answering.ts";
import { assignAnswers } from "./answers.ts";
import { commitAside } from "./aside.ts";
import { CheckpointDesk } from "./checkpoint-desk.ts";
import { diffHistories } from "./checkpoints.ts";
import { earlierRun, handleOfRun } from "./earlier-run.ts";
import type {
  Engine,
  EngineEventsOptions,
  RecordedStep,
  RunCode,
  RunEvent,
  RunHandle,
  RunOutcome,
  StartRequest,
} from "./engine-api.ts";
import { Exclusive } from "./exclusive.ts";
import { openEngineParts, stepsOf } from "./engine-parts.ts";
import type { EngineOptions, EngineParts } from "./engine-parts.ts";
import { sessionEvents } from "./events.ts";
import { answerFact, resumedFact } from "./inbox-commands.ts";
import { Housekeeping } from "./housekeeping.ts";
import { busy, closed, ownedElsewhere } from "./live-sessions.ts";
import type { Live } from "./live-sessions.ts";
import { liveElsewhere } from "./live-owners.ts";
import { loadSession, newPosition } from "./log-fold.ts";
import type { LoadedSession } from "./log-fold.ts";
import { assertCodeWhole } from "./missing-code.ts";
import { moveOnResume } from "./move-on-resume.ts";
import type { Move } from "./move-on-resume.ts";
import { outcomeFromLog, traceFromLog, unknownSession } from "./outcome.ts";
import { recoverNested } from "./nested-recovery.ts";
import { listQuestions, QuestionListeners } from "./question-listeners.ts";
import type { QuestionListener } from "./question-listeners.ts";
import { recoverSessions } from "./recovery.ts";
import type { Session } from "./session.ts";
import { isStillStatus } from "./session.ts";
import { removeSession, removeUnmoved } from "./session-removal.ts";
import { isSameRun, keyedSessionId, startedFact } from "./started-fact.ts";
import type { NewBlobs } from "./values.ts";

export type { EngineOptions } from "./engine-parts.ts";

type ResumeOptions = Parameters<Engine["resume"]>[1];

const SIGNAL_ABORTED = "its signal was aborted";
const RESUME_ELSEWHERE =
  "pause, cancel and answer reach it from here; it can be resumed here once it is paused and its steps in flight have ended";
const DEFAULT_DRAIN_MS = 30_000;

export function createEngine(options: EngineOptions): Engine {
  return new LocalEngine(options);
}

class LocalEngine implements Engine {
  readonly #parts: EngineParts;
  readonly #exclusive = new Exclusive();
  readonly #checkpoints: CheckpointDesk;
  readonly #listeners: QuestionListeners;
  readonly #housekeeping: Housekeeping;
  #state: "open" | "draining" | "closed" = "open";
  #closing: Promise<void> | undefined;

  constructor(options: EngineOptions) {
    this.#parts = openEngineParts(options, this, {
      onQuestion: (session, question) => this.#listeners.tell(session.sessionId, question),
      onAdvanced: (session, commit) => this.#advanced(session, commit),
      onSettled: ({ sessionId, state }) => this.#housekeeping.settled(sessionId, state.run?.end != null),
      standsStill: (sessionId) =>
        this.#state !== "open" || this.#parts.live.get(sessionId)?.session.state.status === "paused",
    });
    this.#listeners = new QuestionListeners(this.#parts.ports.values, this.#parts.ports.logger);
    this.#checkpoints = new CheckpointDesk(this.#parts, this.#exclusive);
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
    return this.#exclusive.run(sessionId, () => this.#start(sessionId, request, mayExist));
  }

  async #start(sessionId: string, request: StartRequest, mayExist: boolean): Promise<RunHandle> {
    const { live, ports } = this.#parts;
    const running = live.get(sessionId);
    if (running !== undefined) {
      const earlier = earlierRun(running.session.state, request);
      if (earlier !== undefined) return handleOfRun(ports, sessionId, earlier);
      if (isSameRun(running.session.state, request)) return live.handleOf(running);
      if (request.fresh !== true) throw busy(sessionId, "a run of it is under way");
      running.session.committer.submit([{ type: "cancelled", reason: "the session was started over" }]);
      await running.outcome;
    }
    const loaded = mayExist ? await loadSession(ports.store, sessionId) : null;
    const before = loaded?.position.state;
    const earlier = before === undefined ? undefined : earlierRun(before, request);
    if (earlier !== undefined) return handleOfRun(ports, sessionId, earlier);
    const host = loaded === null ? null : await this.#parts.ownerElsewhere(sessionId, loaded.entry);
    if (loaded !== null && before?.run && isSameRun(before, request) && request.fresh !== true) {
      if (host !== null) return this.#followedHandle(sessionId, before.run.runId, host);
      if (before.run.end === null && before.status === "running")
        return this.#resumeLoaded(sessionId, loaded, { code: request.code });
      return this.#loggedHandle(sessionId, before);
    }
    if (host !== null) throw ownedElsewhere(sessionId, host, "cancel its run before starting another");
    if (before?.run && before.run.end === null && request.fresh !== true) {
      throw busy(
        sessionId,
        `its run ${before.run.runId} is ${before.status}; resume it, cancel it, or start over with fresh`,
      );
    }
    if (request.followUp === true && before?.run?.topologyHash === request.topologyHash)
      assertCodeWhole(sessionId, before.run, request.code);
    if (before?.run && before.run.end === null) await this.#parts.cancelNested(sessionId, stepsOf(before));
    const blobs: NewBlobs = new Map();
    const fact = startedFact(ports, request, before, blobs);
    const position = loaded?.position ?? newPosition(sessionId, !mayExist);
    const start = {
      sessionId,
      code: request.code,
      position,
      replayed: loaded?.replayed ?? 0,
      maxConcurrency: request.code.maxConcurrency ?? this.#parts.maxConcurrency,
      continues: false,
    };
    // A signal that is aborted already: the run is recorded, and ends before any agent is called.
    const facts: Fact[] =
      request.signal?.aborted === true ? [fact, { type: "cancelled", reason: SIGNAL_ABORTED }] : [fact];
    // Others may have begun while the log was read: from here to its place among the live ones nothing is awaited.
    this.#assertAccepting(request.parent !== undefined);
    const opened = await live.open(start, facts, blobs).catch((error: unknown) => {
      // Somebody else began the session in the same moment.
      if (error instanceof OrchestraError && error.code === "ORCH_FENCED")
        throw busy(sessionId, "another process just began a run of it");
      throw error;
    });
    if (!opened.answer.accepted) throw busy(sessionId, opened.answer.reasons.join("; "));
    this.#checkpoints.automate(opened.live.session, request.autoCheckpoint);
    return this.#watched(opened.live, request.signal);
  }

  resume(sessionId: string, options: ResumeOptions): Promise<RunHandle> {
    return this.#exclusive.run(sessionId, async () => {
      this.#assertAccepting(true);
      const { live, ports } = this.#parts;
      const running = live.get(sessionId);
      const resumed = running === undefined ? undefined : await this.#resumeLive(running, options);
      if (resumed !== undefined) return resumed;
      const loaded = await loadSession(ports.store, sessionId);
      if (loaded === null) throw unknownSession(sessionId);
      const host = await this.#parts.ownerElsewhere(sessionId, loaded.entry);
      if (host !== null) throw ownedElsewhere(sessionId, host, RESUME_ELSEWHERE);
      return this.#resumeLoaded(sessionId, loaded, options);
    });
  }

  /** Undefined when the session let go meanwhile. */
  async #resumeLive(running: Live, options: ResumeOptions): Promise<RunHandle | undefined> {
    const { session } = running;
    const blobs: NewBlobs = new Map();
    const facts = await this.#factsOfResume(session.state, options, session.code, blobs);
    if (facts.length > 0 && (await this.#parts.live.commit(session, facts, blobs)) === undefined) return undefined;
    return session.open ? this.#watched(running, options.signal) : this.#parts.live.handleOf(running);
  }

  async #resumeLoaded(sessionId: string, loaded: LoadedSession, options: ResumeOptions): Promise<RunHandle> {
    const { live, ports } = this.#parts;
    const { state, epoch, lastAtMs } = loaded.position;
    const { run } = state;
    if (run === null || run.end !== null) {
      const what = run === null ? "nothing was run in it" : `its run ended ${run.end?.status ?? ""}`;
      throw new OrchestraError("ORCH_SESSION_STATE", `session "${sessionId}" cannot be resumed: ${what}`, {
        details: { sessionId, status: state.status },
      });
    }
    const code = options.code ?? this.#parts.codes.get(run.topologyHash);
    if (code === undefined) {
      throw new OrchestraError(
        "ORCH_AGENT_UNKNOWN",
        `session "${sessionId}": its agents were not given; hand them over to resume it`,
        { details: { sessionId } },
      );
    }
    const nowMs = ports.clock.nowMs();
    const move = moveOnResume(state, code, nowMs);
    assertCodeWhole(sessionId, move?.state.run ?? run, code);
    const blobs: NewBlobs = new Map();
    // Down-time moves open deadlines only when the run was moving; a pause moves them by itself.
    const downMs = state.status === "running" ? Math.max(0, nowMs - lastAtMs) : 0;
    const facts: Fact[] = [{ type: "owned", host: ports.host, epoch: epoch + 1, shiftMs: downMs }];
    facts.push(...(await this.#factsOfResume(state, options, code, blobs, move)));
    const start = {
      sessionId,
      code,
      position: loaded.position,
      replayed: loaded.replayed,
      maxConcurrency: code.maxConcurrency ?? this.#parts.maxConcurrency,
      continues: true,
    };
    const { live: opened } = await live.open(start, facts, blobs);
    this.#checkpoints.automate(opened.session, code.autoCheckpoint, run.steps);
    await this.#catchUp(opened.session);
    await this.#parts.readInbox(opened.session);
    return this.#watched(opened, options.signal);
  }

  /** What the bus was told of the session while nobody had it. */
  async #catchUp(session: Session): Promise<void> {
    const { results, deadLetters } = this.#parts.ports.bus;
    const { sessionId, registry } = session;
    for (const result of await results.list(sessionId)) registry.received(result);
    for (const letter of await deadLetters.list({ sessionId })) registry.buried(letter);
  }

  async #factsOfResume(
    state: SessionState,
    options: ResumeOptions,
    code: RunCode,
    blobs: NewBlobs,
    move?: Move,
  ): Promise<Fact[]> {
    const { values, clock } = this.#parts.ports;
    const facts: Fact[] = [];
    if (options.context !== undefined)
      facts.push({ type: "context.added", context: values.storeAll(options.context, "context", blobs) });
    const answers = assignAnswers(state.sessionId, openQuestions(state), options);
    if (state.status === "paused" || state.status === "awaiting_user") facts.push(resumedFact(state, clock.nowMs()));
    if (move !== undefined) facts.push(move.fact);
    for (const [questionId, value] of answers)
      facts.push(
        await answerFact(move?.state ?? state, questionId, value, { values, code, nowMs: clock.nowMs() }, blobs),
      );
    return facts;
  }

  pause(sessionId: string, reason?: string, inFlight: "finish" | "abort" = "finish"): Promise<boolean> {
    return this.#command(
      sessionId,
      { type: "pause", body: { inFlight, ...(reason === undefined ? {} : { reason }) } },
      [{ type: "paused", inFlight, ...(reason === undefined ? {} : { reason }) }],
    );
  }

  cancel(sessionId: string, reason?: string): Promise<boolean> {
    return this.#command(sessionId, { type: "cancel", body: reason === undefined ? {} : { reason } }, [
      { type: "cancelled", ...(reason === undefined ? {} : { reason }) },
    ]);
  }

  /** Done here when the session is ours or nobody's, posted to its owner otherwise. */
  async #command(
    sessionId: string,
    command: { type: "pause" | "cancel"; body: unknown },
    facts: readonly Fact[],
  ): Promise<boolean> {
    this.#assertOpen();
    const { live, ports } = this.#parts;
    const running = live.get(sessionId);
    const answer = running === undefined ? undefined : await this.#parts.live.commit(running.session, facts);
    if (answer !== undefined) {
      // Once it is cancelled so is what is nested in it.
      if (answer.accepted && command.type === "cancel") await running?.outcome.catch(() => undefined);
      return answer.accepted;
    }
    return this.#exclusive.run(sessionId, async () => {
      const opened = live.get(sessionId);
      const late = opened === undefined ? undefined : await this.#parts.live.commit(opened.session, facts);
      if (late !== undefined) return late.accepted;
      const loaded = await loadSession(ports.store, sessionId);
      if (loaded === null) return false;
      if ((await this.#parts.ownerElsewhere(sessionId, loaded.entry)) !== null) {
        await this.#parts.inboxOf(sessionId).post(sessionId, { id: ports.ids.next("cmd"), ...command });
        return true;
      }
      const { accepted, state } = await commitAside(ports, sessionId, loaded.position, facts);
      if (accepted && command.type === "cancel") {
        await this.#parts.cancelNested(sessionId, stepsOf(state));
        // Of attempts that ended when nobody here had the session any more.
        await ports.bus.results.forget(sessionId);
      }
      return accepted;
    });
  }

  async answer(sessionId: string, questionId: string, value: unknown): Promise<void> {
    this.#assertOpen();
    const ports = {
      parts: this.#parts,
      exclusive: this.#exclusive,
      state: (id: string) => this.state(id),
      goOn: (id: string, answers: Readonly<Record<string, unknown>>) => this.resume(id, { answers }),
    };
    return answerQuestion(ports, sessionId, questionId, value);
  }

  async questions(sessionId?: string): ReturnType<Engine["questions"]> {
    this.#assertOpen();
    return listQuestions(this.#parts, sessionId);
  }

  onQuestion(listener: QuestionListener): () => void {
    return this.#listeners.add(listener);
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

  trace(sessionId: string): AsyncIterable<RecordedStep> {
    return traceFromLog(this.#parts.ports, sessionId);
  }

  async why(sessionId: string): Promise<Why> {
    const state = await this.state(sessionId);
    return whyOf(state, this.#parts.live.get(sessionId)?.session.registry.handedOut() ?? []);
  }

  diff(a: string, b: string): ReturnType<Engine["diff"]> {
    return diffHistories(this.#parts.ports, a, b);
  }

  async recover(options: Parameters<Engine["recover"]>[0] = {}): ReturnType<Engine["recover"]> {
    this.#assertAccepting(false);
    const recovered = await recoverSessions(this.#parts, options, (sessionId, code) =>
      this.resume(sessionId, { code }),
    );
    await recoverNested(this.#parts, (sessionId) => this.cancel(sessionId, "the run around it is over"));
    return recovered;
  }

  async drain(options: { timeoutMs?: number } = {}): Promise<void> {
    if (this.#state !== "open") return;
    this.#state = "draining";
    await this.#parts.drain(options.timeoutMs ?? DEFAULT_DRAIN_MS);
  }

  close(): Promise<void> {
    this.#state = "closed";
    return (this.#closing ??= Promise.all([this.#housekeeping.close(), this.#parts.close()]).then(() => undefined));
  }

  #advanced(session: Session, commit: Commit): void {
    this.#housekeeping.advanced(session, commit);
    for (const fact of commit.facts) {
      if (fact.type === "step.succeeded" || (fact.type === "step.failed" && fact.retryAtMs === undefined))
        this.#stepOver(session, fact.stepId);
      if (fact.type !== "paused") continue;
      for (const nested of session.nested.values())
        for (const id of nested) this.pause(id, "the run around it was paused", fact.inFlight).catch(() => undefined);
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
      this.cancel(id, "the step that ran it is over").then(forget, forget);
    }
  }

  /** Of a run that another host is at: its outcome is what the log comes to say. */
  #followedHandle(sessionId: string, runId: string, host: string): RunHandle {
    const outcome = this.#parts.live.follow(
      sessionId,
      runId,
      ownedElsewhere(sessionId, host, "its outcome cannot be followed any more"),
    );
    outcome.catch(() => undefined);
    return { sessionId, runId, outcome };
  }

  #loggedHandle(sessionId: string, state: SessionState): RunHandle {
    const outcome = outcomeFromLog(this.#parts.ports, sessionId);
    outcome.catch(() => undefined);
    return { sessionId, runId: state.run?.runId ?? "", outcome };
  }

  #watched(live: Live, signal: AbortSignal | undefined): RunHandle {
    if (signal !== undefined) {
      const cancel = (): void => live.session.committer.submit([{ type: "cancelled", reason: SIGNAL_ABORTED }]);
      if (signal.aborted) cancel();
      else {
        signal.addEventListener("abort", cancel, { once: true });
        live.session.onLetGo(() => signal.removeEventListener("abort", cancel));
      }
    }
    return this.#parts.live.handleOf(live);
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
