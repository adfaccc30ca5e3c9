// Session
//
// Owns:      one live session on this host: its committer, its run actor, its steps, timers and questions.
// Does not:  decide who may own a session (engine.ts), run agents (worker.ts), or know what a fact leads to (actors/).
// Crossing:  engine → begin(), commit(); committer → onCommitted(); session → onSettled(), onLost().
//
// S1  Effects are carried out after their commit and in its order; what a commit asks for is re-derivable, so a crash in
//     between loses nothing.
// S2  When the run stops moving, the session waits until nothing is being appended and no step is in flight that the run
//     still wants, then lets go of everything it holds, then tells its callers.
// S3  Once fenced, or after a store failure, nothing here acts again; callers learn the log's outcome or the error.

import type { Effect, Question, RunStatus } from "../actors/effects.ts";
import type { Fact } from "../actors/facts.ts";
import type { CommitReduction } from "../actors/reduction.ts";
import { createRunActor } from "../actors/run-machine.ts";
import type { RunActor } from "../actors/run-machine.ts";
import type { SessionState } from "../actors/session-state.ts";
import { REDUCER_VERSION } from "../actors/session-state.ts";
import { encodeState, openQuestions, outstandingEffects, QUESTION_TIMER, stopsNobody } from "../actors/view.ts";
import { errorToData } from "../base/error-data.ts";
import { isOrchestraError, OrchestraError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { StepMessage } from "../bus/ports.ts";
import type { StepOffer } from "../actors/effects.ts";
import type { Commit, Snapshot } from "../state/ports.ts";
import { expiredFact } from "./answer-fact.ts";
import { Committer } from "./committer.ts";
import type { Blobs, CommitAnswer, CommitterOwner, LogPosition } from "./committer.ts";
import type { EnginePorts } from "./engine-ports.ts";
import type { RunCode } from "./engine-api.ts";
import { tell } from "./live-signals.ts";
import { Recorder } from "./recorder.ts";
import { nodeNamed, OfferedStep } from "./offered-step.ts";
import { RunTimers } from "./run-timers.ts";
import { SessionJournal } from "./session-journal.ts";
import type { JournalOwner } from "./session-journal.ts";
import { SnapshotPolicy } from "./snapshot-policy.ts";
import { stepFact } from "./step-facts.ts";
import { StepRegistry } from "./step-registry.ts";
import type { RegistryOwner } from "./step-registry.ts";
import { Streams } from "./streams.ts";
import type { AbortReason, StepEnd } from "./step-wire.ts";
import { ThrownErrors } from "./thrown.ts";
import type { Values } from "./values.ts";

export interface SessionOwner {
  onQuestion(session: Session, question: Question): void;
  /** It is not asked any more, without having been answered. */
  onWithdrawn(session: Session, questionId: string): void;
  /** The run stopped moving and everything is let go. */
  onSettled(session: Session): void;
  /** This process may not, or cannot, go on with the session. */
  onLost(session: Session, error: OrchestraError): void;
  /** Another host asks something of the session. */
  onPosted(session: Session): void;
  /** After each commit, once its effects are under way. */
  onAdvanced(session: Session, commit: Commit): void;
}

export interface SessionStart {
  readonly sessionId: string;
  readonly code: RunCode;
  readonly position: LogPosition;
  /** Commits since the last snapshot. */
  readonly replayed: number;
  readonly maxConcurrency: number;
  /** The session continues a run that others began: its first commit is followed by all that is outstanding. */
  readonly continues: boolean;
  /** It says that it runs, so whoever had it has died or let go of it in the middle. */
  readonly interrupted?: boolean;
}

export class Session implements CommitterOwner, RegistryOwner, JournalOwner {
  readonly sessionId: string;
  readonly code: RunCode;
  readonly committer: Committer;
  readonly recorder: Recorder;
  /** False when the recorder did not see the run from its beginning. */
  readonly recorderComplete: boolean;
  readonly registry: StepRegistry;
  readonly journal: SessionJournal;
  readonly thrown = new ThrownErrors();
  readonly #ports: EnginePorts;
  readonly #owner: SessionOwner;
  readonly #snapshots: SnapshotPolicy;
  readonly #releases: (() => void)[] = [];
  #actor: RunActor | null = null;
  #timers: RunTimers | undefined;
  #streams: Streams | undefined;
  #nested: Map<string, Set<string>> | undefined;
  #served: readonly string[] = [];
  readonly #interrupted: boolean;
  #continues: boolean;
  #open = true;
  #finishing = false;
  #held = false;

  constructor(start: SessionStart, ports: EnginePorts, owner: SessionOwner) {
    this.sessionId = start.sessionId;
    this.code = start.code;
    this.#ports = ports;
    this.#owner = owner;
    this.#interrupted = start.interrupted ?? false;
    this.#continues = start.continues;
    this.#held = start.continues;
    this.committer = new Committer(start.sessionId, ports, start.position, this);
    this.recorder = new Recorder();
    this.recorderComplete = !start.continues;
    this.registry = new StepRegistry(start.sessionId, start.maxConcurrency, ports, this);
    this.#snapshots = new SnapshotPolicy(start.replayed);
    this.journal = new SessionJournal(this);
  }

  get state(): SessionState {
    return this.committer.state;
  }
  get runId(): string {
    return this.state.run?.runId ?? "";
  }
  /** Made when something is logged: most sessions log nothing. */
  get #logger(): Logger {
    return this.#ports.logger.child({ sessionId: this.sessionId });
  }
  get values(): Values {
    return this.#ports.values;
  }
  /** Made on first use, since few sessions have any: attempts begun ahead. */
  get streams(): Streams {
    return (this.#streams ??= new Streams(this, this.#ports.worker.executionPorts));
  }
  /** Nested runs under way inside steps of this session, by step. */
  get nested(): Map<string, Set<string>> {
    return (this.#nested ??= new Map());
  }
  get nestedCount(): number {
    return this.#nested?.size ?? 0;
  }
  /** False once it has let go. */
  get open(): boolean {
    return this.#open;
  }

  commit(facts: readonly Fact[], blobs: Blobs): Promise<CommitAnswer> {
    return this.committer.commit(facts, { blobs });
  }

  /** Takes up what reaches the session from the bus, then commits the first facts. */
  async begin(facts: readonly Fact[], blobs?: Blobs): Promise<CommitAnswer> {
    const { bus, deadlines } = this.#ports;
    this.#actor = createRunActor(this.state, {
      onError: (error) => this.#logger.error({ error: errorToData(error) }, "the run machine failed"),
      inspect: this.#ports.inspect,
    });
    deadlines.retain();
    this.#releases.push(() => deadlines.release());
    this.#releases.push(bus.results.watch(this.sessionId, (result) => this.registry.received(result)));
    this.#releases.push(bus.deadLetters.watch(this.sessionId, (letter) => this.registry.buried(letter)));
    this.#releases.push(bus.journal.own(this.sessionId, this.journal));
    this.#releases.push(bus.inbox.watch(this.sessionId, () => this.#owner.onPosted(this)));
    return this.committer.commit(facts, { blobs });
  }

  /** What happens when this is called is undone by `letGo`. */
  onLetGo(release: () => void): void {
    this.#releases.push(release);
  }

  onCommitted(commit: Commit, reduction: CommitReduction): void {
    const { clock } = this.#ports;
    const fromMs = clock.monotonicMs();
    this.#actor?.send({ type: "facts.committed", facts: commit.facts, atMs: commit.atMs, folded: reduction });
    this.recorder.fold(reduction.events, commit.atMs);
    this.#ports.hub.publish(this.sessionId, {
      n: commit.n,
      atMs: commit.atMs,
      runId: reduction.state.run?.runId ?? "",
      events: reduction.events,
    });
    if (!this.#open) return;
    const continues = this.#continues;
    this.#continues = false;
    const effects = continues
      ? [
          ...reduction.effects.filter(({ type }) => type === "question.withdraw"),
          ...outstandingEffects(reduction.state),
        ]
      : withoutTakenBack(reduction.effects);
    // A step that ends makes room for one in line: what the same commit stops, or pauses, must be out of the line by then.
    if (reduction.state.run?.pause) this.registry.pause();
    this.#stopSteps(effects);
    for (const fact of commit.facts) this.#noteFact(fact, reduction);
    if (continues) this.#serve();
    for (const effect of effects) this.#carryOut(effect, continues);
    if (this.#snapshots.note(commit, clock.monotonicMs() - fromMs)) this.#snapshot();
    this.#owner.onAdvanced(this, commit);
    this.#finishIfStill();
  }

  onStopped(error: OrchestraError): void {
    if (!this.#open) return;
    this.letGo(error.code === "ORCH_FENCED" ? "fenced" : "closing");
    this.#owner.onLost(this, error);
  }

  /** Stops everything of the session on this host. Nothing is committed. */
  letGo(reason: AbortReason): void {
    if (!this.#open) return;
    this.#open = false;
    this.#timers?.clear();
    this.registry.clear(reason);
    this.#streams?.clear(reason);
    this.#ports.worker.leave(this.#served);
    this.#actor?.stop();
    for (const release of this.#releases.splice(0)) release();
  }

  #serve(): void {
    const { worker } = this.#ports;
    if (worker.servesAll) {
      worker.join([], this.code);
      return;
    }
    if (this.stays) return;
    const names = new Set<string>();
    for (const node of this.state.run?.topology.nodes ?? []) {
      if (node.kind === "user" || node.kind === "start" || node.kind === "end") continue;
      const name = node.uses ?? node.name;
      if (worker.agentFor(node.kind, name, this.code) !== undefined) names.add(name);
    }
    const before = this.#served;
    this.#served = [...names];
    worker.join(this.#served, this.code);
    worker.leave(before);
  }

  #noteFact(fact: Fact, { effects }: CommitReduction): void {
    switch (fact.type) {
      case "run.started":
        this.#serve();
        return;
      case "step.succeeded":
      case "step.failed":
      case "step.suspended":
        this.registry.settled(fact);
        if (fact.type === "step.succeeded") this.#streams?.succeeded(fact.stepId, effects);
        else this.#streams?.abandon(fact.stepId, "superseded");
        return;
      case "paused":
        this.registry.pause();
        this.#timers?.clear();
        return;
      case "resumed":
        this.registry.resume();
        return;
      default:
        return;
    }
  }

  #stopSteps(effects: readonly Effect[]): void {
    const aborts = effects.filter((effect) => effect.type === "step.abort");
    if (aborts.length === 0) return;
    this.registry.abort(aborts);
    for (const { stepId, reason } of aborts) this.#streams?.abandon(stepId, reason);
  }

  #carryOut(effect: Effect, continues: boolean): void {
    switch (effect.type) {
      case "step.offer":
        this.registry.offer(effect.offer, continues);
        return;
      case "timer.arm":
        this.#armTimer(effect.timerId, effect.dueAtMs);
        return;
      case "timer.disarm":
        this.#timers?.disarm(effect.timerId);
        return;
      case "question.ask":
        this.#owner.onQuestion(this, effect.question);
        return;
      case "question.withdraw":
        this.#owner.onWithdrawn(this, effect.questionId);
        return;
      // Carried out before all others.
      case "step.abort":
      case "run.settled":
        return;
    }
  }

  get stays(): boolean {
    return this.#ports.shared && this.code.stays === true;
  }

  async countHanding({ stepId, attempt }: StepOffer): Promise<number> {
    if (!this.#interrupted) return 0;
    const prefix = `handed:${attempt}:`;
    const before = (await this.journal.list(stepId)).filter(({ key }) => key.startsWith(prefix)).length;
    await this.journal.put({ stepId, key: `${prefix}${before + 1}`, value: { v: null } });
    return before + 1;
  }

  agentOf(offer: StepOffer): string {
    return nodeNamed(this.state, offer.node)?.uses ?? offer.node;
  }

  messageOf(offer: StepOffer): StepMessage {
    const node = nodeNamed(this.state, offer.node);
    return {
      sessionId: this.sessionId,
      runId: this.runId,
      stepId: offer.stepId,
      agent: node?.uses ?? offer.node,
      attempt: offer.attempt,
      body: new OfferedStep(this, offer, node),
    };
  }

  onRecalled(stepId: string, reason: AbortReason): void {
    tell(this.#ports.bus.live, this.sessionId, { type: "abort", host: this.#ports.host, stepId, reason });
  }

  onIdle(): void {
    this.#finishIfStill();
  }

  #armTimer(timerId: string, dueAtMs: number): void {
    this.#timers ??= new RunTimers(this.#ports.clock, this.#ports.deadlines, (fired) => {
      if (fired.startsWith(QUESTION_TIMER)) void this.#expire(fired.slice(QUESTION_TIMER.length));
      else this.committer.submit([{ type: "timer.fired", timerId: fired }]);
    });
    this.#timers.arm(timerId, dueAtMs);
  }

  /** Nobody answered in time. A condition that cannot be judged leaves the question open, and says so. */
  async #expire(questionId: string): Promise<void> {
    const question = openQuestions(this.state).find((open) => open.questionId === questionId);
    if (question === undefined) return;
    const { clock, values } = this.#ports;
    const blobs = new Map<string, Uint8Array>();
    try {
      const ports = { values, code: this.code, nowMs: clock.nowMs() };
      this.committer.submit([await expiredFact(this.state, question, ports, blobs)], blobs);
    } catch (error) {
      this.#logger.error({ questionId, error: errorToData(error) }, "a question that is too late could not be closed");
    }
  }

  onStepEnd(offer: StepOffer, end: StepEnd): void {
    const node = nodeNamed(this.state, offer.node);
    const ports = {
      values: this.#ports.values,
      random: this.#ports.random,
      code: this.code,
      nowMs: () => this.#ports.clock.nowMs(),
    };
    const blobs = "blobs" in end ? end.blobs : undefined;
    const fact = stepFact(this.state, offer, node?.uses ?? offer.node, end, ports);
    if (!(fact instanceof Promise)) {
      if (fact.type === "step.suspended") this.#suspend(fact, blobs);
      else {
        this.committer.submit([fact], blobs);
        if (stopsNobody(this.state, fact)) this.registry.giveOn(offer.stepId);
      }
      return;
    }
    fact.then(
      (made) => this.committer.submit([made], blobs),
      // A blob that cannot be read, or a defect: the step must not be left hanging.
      (error: unknown) =>
        this.committer.submit([
          {
            type: "step.failed",
            stepId: offer.stepId,
            attempt: offer.attempt,
            class: "permanent",
            error: { ...errorToData(error), node: offer.node, branchId: offer.branchId },
            held: [],
            tookMs: 0,
          },
        ]),
    );
  }

  /** A run that is paused opens no questions: the step is let go of, and asks again when it is offered again. */
  #suspend(fact: Extract<Fact, { type: "step.suspended" }>, blobs: Blobs | undefined): void {
    this.committer.commit([fact], { blobs }).then(
      ({ accepted }) => {
        if (accepted || !this.#open || this.state.run?.pause == null) return;
        void this.#ports.bus.results.forget(this.sessionId, fact).catch(() => undefined);
        this.registry.release(fact.stepId);
      },
      // The committer has stopped, and with it the session.
      () => undefined,
    );
  }

  #snapshot(): void {
    this.#snapshots.taken();
    const { n } = this.committer;
    this.#ports.store
      .saveSnapshot(this.sessionId, this.snapshotNow())
      .catch((error: unknown) =>
        this.#logger.warn({ n, error: errorToData(error) }, "a snapshot could not be saved; the log is whole"),
      );
  }

  snapshotNow(): Snapshot {
    const { state } = this;
    return {
      n: this.committer.n,
      reducer: REDUCER_VERSION,
      topologyHash: state.run?.topologyHash ?? null,
      atMs: this.committer.lastAtMs,
      state: encodeState(state),
    };
  }

  /** What was posted while nobody had the session is taken in: from now on it lets go when nothing moves. */
  caughtUp(): void {
    this.#held = false;
    this.#finishIfStill();
  }

  /** S2. Called whenever the run may have stopped moving. */
  #finishIfStill(): void {
    if (this.#held || this.#finishing || !this.#open || !this.isStill()) return;
    this.#finishing = true;
    void this.committer.settled().then(() => {
      this.#finishing = false;
      if (!this.#open) return;
      if (!this.isStill()) return;
      if (this.committer.busy) {
        this.#finishIfStill();
        return;
      }
      if (this.state.run?.end === null && this.#snapshots.isWorthwhile) this.#snapshot();
      // What comes from now on is for whoever owns the session next; who called meanwhile asks again (`isGone`).
      const { sessionId } = this;
      this.committer.stop(
        () => new OrchestraError("ORCH_CLOSED", `session "${sessionId}" has stopped moving and is no longer live here`),
      );
      this.letGo("ended");
      this.#owner.onSettled(this);
    });
  }

  /** Nothing moves, and nothing that the run still wants is in flight. */
  isStill(): boolean {
    const { status, run } = this.state;
    if (!isStillStatus(status)) return false;
    return status !== "paused" || run?.pause?.inFlight !== "finish" || this.registry.out === 0;
  }
}

/** Without the steps that a commit asks for and stops again: they are not begun. */
function withoutTakenBack(effects: readonly Effect[]): readonly Effect[] {
  if (!effects.some(({ type }) => type === "step.abort")) return effects;
  const stoppedAt = new Map<string, number>();
  for (const [i, effect] of effects.entries()) if (effect.type === "step.abort") stoppedAt.set(effect.stepId, i);
  return effects.filter((effect, i) => effect.type !== "step.offer" || (stoppedAt.get(effect.offer.stepId) ?? -1) < i);
}

/** A commit was refused only because the session has let go meanwhile: it can be made by another way. */
export function isGone(session: Session, error: unknown): boolean {
  return !session.open && (isOrchestraError(error, "ORCH_CLOSED") || isOrchestraError(error, "ORCH_FENCED"));
}

export function isStillStatus(status: RunStatus): boolean {
  return status !== "running";
}
