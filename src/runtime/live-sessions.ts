// Live sessions
//
// Owns:      the sessions that are live in this engine, and what their callers wait for.
// Does not:  decide what may start or resume (engine.ts).
//
// E1  A session is live at most once per engine, and in at most one engine per store object.
// E2  It leaves the map before its outcome is told, so that who was told may resume it at once.
// E3  An outcome never rejects for what a run can end in. Fenced callers are parked on the log and get its outcome.

import { errorToData } from "../base/error-data.ts";
import { OrchestraError } from "../base/errors.ts";
import type { Fact } from "../actors/facts.ts";
import type { Question } from "../actors/effects.ts";
import type { Inbox } from "../bus/ports.ts";
import type { Commit } from "../state/ports.ts";
import type { Blobs, CommitAnswer } from "./committer.ts";
import { forgetEnded } from "./ended-results.ts";
import type { EnginePorts } from "./engine-ports.ts";
import type { RunHandle, RunOutcome } from "./engine-api.ts";
import { commitAside } from "./aside.ts";
import { waitOrPoll } from "./events.ts";
import { NOBODY } from "./hosting.ts";
import { leaveBehind } from "./left-behind.ts";
import { dropLive, takeLive } from "./live-owners.ts";
import { outcomeFromLog, outcomeOf, outcomeOfResumed } from "./outcome.ts";
import { Session, isGone, isStillStatus } from "./session.ts";
import type { SessionOwner, SessionStart } from "./session.ts";

export interface Live {
  readonly session: Session;
  readonly outcome: Promise<RunOutcome>;
  readonly resolve: (outcome: RunOutcome | Promise<RunOutcome>) => void;
  readonly reject: (error: OrchestraError) => void;
}

export interface LiveHooks {
  onQuestion(session: Session, question: Question): void;
  onWithdrawn(session: Session, questionId: string): void;
  onAdvanced(session: Session, commit: Commit): void;
  /** A run stopped moving; what has to be done before anyone is told. Never rejects. */
  beforeTold(session: Session): Promise<void> | undefined;
  /** A run stopped moving, and who waited for it has been told. */
  onSettled(session: Session): void;
  onPosted(session: Session): void;
  /** A running session that was lost has no owner from now on. */
  onDisowned(sessionId: string): void;
  /** This host let go of a session. */
  onGone(sessionId: string): void;
  /** A session came or went. */
  onChange(): void;
  /** Until others can know that this host is there. */
  announced(): Promise<void> | undefined;
}

const PARK_POLL_MS = 250;

export class LiveSessions implements SessionOwner {
  readonly #ports: EnginePorts;
  readonly #hooks: LiveHooks;
  readonly #live = new Map<string, Live>();
  /** Of sessions about to be live. Nobody may commit to them yet: their first commit says whose they are. */
  readonly #opening = new Set<string>();
  readonly #parked = new Set<() => void>();
  #released = false;
  #closed = false;

  constructor(ports: EnginePorts, hooks: LiveHooks) {
    this.#ports = ports;
    this.#hooks = hooks;
  }

  get inbox(): Inbox {
    return this.#ports.bus.inbox;
  }
  /** With those about to be live. */
  get size(): number {
    return this.#live.size + this.#opening.size;
  }
  get(sessionId: string): Live | undefined {
    return this.#live.get(sessionId);
  }
  all(): readonly Live[] {
    return [...this.#live.values()];
  }

  /**
   * Makes a session live and commits its first facts. When they are refused or cannot be written, it is as if nothing
   * had happened here.
   * @throws {OrchestraError} `ORCH_SESSION_BUSY` when it is live elsewhere in this process; what the append throws.
   */
  async open(
    start: SessionStart,
    facts: readonly Fact[],
    blobs: Blobs | undefined,
  ): Promise<{ live: Live; answer: CommitAnswer }> {
    const { sessionId } = start;
    if (this.#closed) throw closed();
    if (this.#live.has(sessionId) || this.#opening.has(sessionId) || !takeLive(this.#ports.store, sessionId, this))
      throw busy(sessionId, "it is live already");
    const announced = this.#announced(sessionId);
    if (announced !== undefined) await announced;
    const session = new Session(start, this.#ports, this);
    const live = liveOf(session);
    this.#opening.delete(sessionId);
    this.#live.set(sessionId, live);
    this.#hooks.onChange();
    try {
      const answer = await session.begin(facts, blobs);
      if (!answer.accepted) this.#discard(live);
      return { live, answer };
    } catch (error) {
      this.#discard(live);
      throw error;
    }
  }

  /**
   * Before the log says that a session is ours: others ask for our presence once they have read that. Undefined when there
   * is nothing to wait for.
   */
  #announced(sessionId: string): Promise<void> | undefined {
    this.#opening.add(sessionId);
    this.#hooks.onChange();
    const announced = this.#hooks.announced();
    return announced?.then(() => {
      if (!this.#closed && !this.#released) return;
      this.#opening.delete(sessionId);
      dropLive(this.#ports.store, sessionId, this);
      this.#hooks.onChange();
      throw closed(sessionId);
    });
  }

  /** Undefined when the session let go before the facts could be committed: they can be made by another way. */
  async commit(session: Session, facts: readonly Fact[], blobs?: Blobs): Promise<CommitAnswer | undefined> {
    try {
      return await session.committer.commit(facts, { blobs });
    } catch (error) {
      if (isGone(session, error) && !this.#closed) return undefined;
      throw error;
    }
  }

  handleOf(live: Live): RunHandle {
    return { sessionId: live.session.sessionId, runId: live.session.runId, outcome: live.outcome };
  }

  onQuestion(session: Session, question: Question): void {
    this.#hooks.onQuestion(session, question);
  }

  onWithdrawn(session: Session, questionId: string): void {
    this.#hooks.onWithdrawn(session, questionId);
  }

  onAdvanced(session: Session, commit: Commit): void {
    this.#hooks.onAdvanced(session, commit);
  }

  onPosted(session: Session): void {
    this.#hooks.onPosted(session);
  }

  onSettled(session: Session): void {
    const live = this.#remove(session);
    // An ended run wants no result any more; those that came too late must not pile up.
    if (session.state.run?.end) void forgetEnded(this.#ports.bus.results, session.state).catch(() => undefined);
    const first = this.#hooks.beforeTold(session);
    const outcome = first === undefined ? this.#outcome(session) : first.then(() => this.#outcome(session));
    live?.resolve(outcome);
    this.#ports.hub.nudge(session.sessionId);
    const told = (): void => this.#hooks.onSettled(session);
    outcome.then(told, told);
  }

  onLost(session: Session, error: OrchestraError): void {
    const live = this.#remove(session);
    this.#ports.logger.warn(
      { sessionId: session.sessionId, error: errorToData(error) },
      "the session is no longer ours",
    );
    if (error.code === "ORCH_FENCED") live?.resolve(this.follow(session.sessionId, session.runId, error));
    else {
      live?.reject(error);
      if (this.#ports.shared) this.#leaveBehind(session.sessionId);
    }
    this.#ports.hub.nudge(session.sessionId);
  }

  #leaveBehind(sessionId: string): void {
    const at = {
      ports: this.#ports,
      isBack: (id: string) => this.#live.has(id) || this.#opening.has(id),
      isOver: () => this.#closed || this.#released,
      onDisowned: (id: string) => this.#hooks.onDisowned(id),
    };
    leaveBehind(at, sessionId);
  }

  /**
   * Lets go of every session; their runs stay resumable. Callers get what the log says so far. Where other hosts may go on
   * with them, their logs say that nobody owns them any more. Resolves with the ids of those.
   */
  async releaseAll(): Promise<readonly string[]> {
    const released: string[] = [];
    this.#released = true;
    for (const wake of this.#parked) wake();
    await Promise.all(
      this.all().map(async (live) => {
        const { session } = live;
        const { sessionId, committer } = session;
        session.letGo("closing");
        committer.stop(() => closed(sessionId));
        await committer.settled();
        if (this.#ports.shared && session.state.status === "running" && (await this.#disown(session)))
          released.push(sessionId);
        this.#remove(session);
        live.resolve(this.#outcome(session));
        this.#ports.hub.nudge(sessionId);
      }),
    );
    return released;
  }

  /** Without it others wait until this host is missed. */
  async #disown({ sessionId, committer: { position } }: Session): Promise<boolean> {
    try {
      const nobody: Fact = { type: "owned", host: NOBODY, epoch: position.epoch + 1, shiftMs: 0 };
      return (await commitAside(this.#ports, sessionId, position, [nobody])).accepted;
    } catch (error) {
      this.#ports.logger.warn({ sessionId, error: errorToData(error) }, "a session could not be released");
      return false;
    }
  }

  /** The same for good: whoever still waits is told that nobody here can know. */
  close(): void {
    this.#closed = true;
    for (const wake of this.#parked) wake();
    for (const live of this.all()) {
      live.session.committer.stop(() => closed());
      live.session.letGo("closing");
      this.#remove(live.session);
      live.reject(closed(live.session.sessionId));
    }
  }

  async #outcome(session: Session): Promise<RunOutcome> {
    const outcome: { -readonly [K in keyof RunOutcome]: RunOutcome[K] } = await (session.recorderComplete
      ? outcomeOf(this.#ports, session.state, session.recorder)
      : outcomeOfResumed(this.#ports, session.state, session.committer));
    // Onto it rather than into a copy, for which all that is put together on first use would be.
    outcome.ignoredFacts = session.committer.ignored;
    outcome.thrown = session.thrown.of(outcome.error);
    return outcome;
  }

  /**
   * E3: follows the log until the run, which is not or no longer ours, stops moving by whoever's hand, or all is let go of
   * here: then it is what the log says so far. `error`: when that cannot be known.
   */
  async follow(sessionId: string, runId: string, error: OrchestraError): Promise<RunOutcome> {
    const { store, hub, deadlines } = this.#ports;
    const subscription = hub.subscribe(sessionId);
    const wake = (): void => subscription.nudge();
    this.#parked.add(wake);
    try {
      for (;;) {
        if (this.#closed) throw error;
        const entry = await store.getSession(sessionId);
        if (entry === null) throw error;
        if (this.#released || entry.runId !== runId || isStillStatus(entry.status))
          return await outcomeFromLog(this.#ports, sessionId);
        // Only that something happened counts here.
        subscription.catchUp();
        await waitOrPoll(subscription, deadlines, PARK_POLL_MS);
      }
    } finally {
      this.#parked.delete(wake);
      hub.unsubscribe(sessionId, subscription);
    }
  }

  #discard(live: Live): void {
    live.session.letGo("closing");
    live.session.committer.stop(() => closed(live.session.sessionId));
    this.#remove(live.session);
    live.reject(closed(live.session.sessionId));
  }

  #remove(session: Session): Live | undefined {
    const live = this.#live.get(session.sessionId);
    if (live?.session !== session) return undefined;
    this.#live.delete(session.sessionId);
    dropLive(this.#ports.store, session.sessionId, this);
    this.#hooks.onGone(session.sessionId);
    this.#hooks.onChange();
    return live;
  }
}

function liveOf(session: Session): Live {
  let resolve: Live["resolve"] = () => undefined;
  let reject: Live["reject"] = () => undefined;
  const outcome = new Promise<RunOutcome>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  // Not everyone who starts a run waits for it.
  outcome.catch(() => undefined);
  return { session, outcome, resolve, reject };
}

export function busy(sessionId: string, why: string): OrchestraError {
  return new OrchestraError("ORCH_SESSION_BUSY", `session "${sessionId}": ${why}; one run at a time`, {
    details: { sessionId },
  });
}

/** Refused, and who could do it instead. */
export function ownedElsewhere(sessionId: string, host: string, cure: string): OrchestraError {
  return new OrchestraError("ORCH_SESSION_BUSY", `session "${sessionId}" is live on host "${host}"; ${cure}`, {
    details: { sessionId, host },
  });
}

export function closed(sessionId?: string): OrchestraError {
  return new OrchestraError(
    "ORCH_CLOSED",
    sessionId === undefined
      ? "the engine is closed"
      : `the engine was closed while session "${sessionId}" was live; the session is resumable`,
  );
}
