// Committer
//
// Owns:      the position in one session's log, and the state it adds up to.
// Does not:  carry out effects (session.ts), or decide what a fact means (actors/).
// Crossing:  anyone → submit(); committer → SessionStore.append(); committer → onCommitted(), onStopped().
//
// C1  Facts the state cannot accept are dropped and counted; a submission none of which was accepted is answered "refused".
// C2  At most one append is in flight. What is submitted meanwhile goes into the next commit together.
// C3  The state moves, and `onCommitted` is called, only after the append resolved.
// C4  An append refused because another epoch wrote: fenced. Nothing is applied; `onStopped` is called once.
// C5  A store that throws stops the session the same way: we do not know what is on disk, so nothing is pretended.

import { reduceAll } from "../actors/reduce.ts";
import type { CommitReduction } from "../actors/reduction.ts";
import type { Fact } from "../actors/facts.ts";
import type { SessionState } from "../actors/session-state.ts";
import { firstDueAtMs } from "../actors/view.ts";
import type { Clock } from "../base/clock.ts";
import { OrchestraError, isOrchestraError } from "../base/errors.ts";
import type { Ids } from "../base/ids.ts";
import type { AppendRequest, AppendResult, Commit, SessionEntry, SessionStore } from "../state/ports.ts";

export type Blobs = ReadonlyMap<string, Uint8Array>;

export type CommitAnswer = { readonly accepted: boolean; readonly reasons: readonly string[]; readonly n: number };

export interface CommitterPorts {
  readonly store: SessionStore;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly host: string;
  /** Who is behind the session once this is committed, as the index says it. Default: `host`. */
  readonly owner?: string;
}

/** Where a session's log stands. */
export interface LogPosition {
  readonly state: SessionState;
  /** Commits so far. */
  readonly n: number;
  readonly epoch: number;
  readonly lastAtMs: number;
  readonly entry: SessionEntry | null;
  /** Position in the inbox up to which commands are taken in. */
  readonly inbox: number;
  /** Nobody else can have written to the session, because nobody else knows its id. */
  readonly idIsNew?: boolean;
}

export interface CommitterOwner {
  onCommitted(commit: Commit, reduction: CommitReduction): void;
  /** ORCH_FENCED, or an ORCH_STORE_* error. Called once; nothing is committed afterwards. */
  onStopped(error: OrchestraError): void;
}

interface Submission {
  readonly facts: readonly Fact[];
  readonly blobs: Blobs | undefined;
  readonly inbox: number | undefined;
  readonly answer: ((answer: CommitAnswer) => void) | undefined;
  readonly fail: ((error: OrchestraError) => void) | undefined;
}

/** An append under way, and what it is for. */
interface Pending {
  readonly batch: readonly Submission[];
  readonly reduction: CommitReduction;
  readonly request: { -readonly [K in keyof AppendRequest]: AppendRequest[K] };
  /** How often it was made again. */
  repeats: number;
}

/** What the log ends with where another wrote. */
type FencedBy = { readonly n: number; readonly epoch: number; readonly id: string } | null;

const REPEATS_MAX = 3;
const NONCE_LENGTH = 10;

export class Committer {
  readonly #sessionId: string;
  readonly #ports: CommitterPorts;
  readonly #owner: CommitterOwner;
  #state: SessionState;
  #n: number;
  #epoch: number;
  #lastAtMs: number;
  #entry: SessionEntry | null;
  #inbox: number;
  readonly #idIsNew: boolean;
  /** Chance once per committer, then counted: commit ids stay unique and cost nothing. */
  #nonce = "";
  #appends = 0;
  #ignored = 0;
  #waiting: Submission[] = [];
  #running = false;
  #stopped: (() => OrchestraError) | null = null;
  #idle: (() => void)[] | undefined;

  constructor(sessionId: string, ports: CommitterPorts, position: LogPosition, owner: CommitterOwner) {
    this.#sessionId = sessionId;
    this.#ports = ports;
    this.#owner = owner;
    this.#state = position.state;
    this.#n = position.n;
    this.#epoch = position.epoch;
    this.#lastAtMs = position.lastAtMs;
    this.#entry = position.entry;
    this.#inbox = position.inbox;
    this.#idIsNew = position.idIsNew === true;
  }

  get state(): SessionState {
    return this.#state;
  }
  get n(): number {
    return this.#n;
  }
  get lastAtMs(): number {
    return this.#lastAtMs;
  }
  get inbox(): number {
    return this.#inbox;
  }
  /** Where the log stands as far as this committer knows. */
  get position(): LogPosition {
    return {
      state: this.#state,
      n: this.#n,
      epoch: this.#epoch,
      lastAtMs: this.#lastAtMs,
      entry: this.#entry,
      inbox: this.#inbox,
    };
  }
  /** Facts dropped here because the state could not accept them. */
  get ignored(): number {
    return this.#ignored;
  }

  /** Commits in the background. After a stop, the facts are dropped and counted. */
  submit(facts: readonly Fact[], blobs?: Blobs): void {
    this.#enqueue({ facts, blobs, inbox: undefined, answer: undefined, fail: undefined });
  }

  /** Resolves after the facts are committed and applied, or were refused. @throws ORCH_FENCED, ORCH_STORE_*, ORCH_CLOSED */
  commit(facts: readonly Fact[], options: { blobs?: Blobs | undefined; inbox?: number } = {}): Promise<CommitAnswer> {
    return new Promise((answer, fail) => {
      this.#enqueue({ facts, blobs: options.blobs, inbox: options.inbox, answer, fail });
    });
  }

  /**
   * Refuses everything from now on, and rejects what waits. The append in flight, if any, may still land. `why` is asked for
   * each refusal: most sessions are stopped without one, and an error costs its stack.
   */
  stop(why: () => OrchestraError): void {
    if (this.#stopped !== null) return;
    this.#stopped = why;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const submission of waiting) submission.fail?.(why());
  }

  /** C4, where it was read from the log that another wrote there. */
  fence(last: FencedBy): void {
    if (this.#stopped === null) this.#halt(this.#fenced(this.#n + 1, this.#epoch, last), []);
  }

  /** Something is being appended or waits to be. */
  get busy(): boolean {
    return this.#running;
  }

  /** Resolves once nothing is being appended. */
  settled(): Promise<void> {
    if (!this.#running) return Promise.resolve();
    return new Promise((resolve) => (this.#idle ??= []).push(resolve));
  }

  #enqueue(submission: Submission): void {
    if (this.#stopped !== null) {
      this.#ignored += submission.facts.length;
      submission.fail?.(this.#stopped());
      return;
    }
    this.#waiting.push(submission);
    if (!this.#running) {
      this.#running = true;
      this.#goOn();
    }
  }

  /** Goes on with what waits, until an append is under way or nothing waits. */
  #goOn(): void {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        if (this.#begin(batch)) return;
      } catch (error) {
        this.#halt(coded(error, this.#sessionId), batch);
      }
    }
    this.#running = false;
    const idle = this.#idle;
    if (idle === undefined) return;
    this.#idle = undefined;
    for (const resolve of idle) resolve();
  }

  /** False when nothing is to be appended. */
  #begin(batch: readonly Submission[]): boolean {
    const facts = batch.length === 1 ? (batch[0] as Submission).facts : batch.flatMap((submission) => submission.facts);
    const atMs = Math.max(this.#lastAtMs, this.#ports.clock.nowMs());
    const reduction = reduceAll(this.#state, facts, atMs);
    this.#ignored += reduction.refused.length;
    const inbox = inboxAfter(batch, this.#inbox);
    if (reduction.accepted.length === 0 && inbox === this.#inbox) {
      answerAll(batch, reduction, this.#n);
      return false;
    }
    const commit: { -readonly [K in keyof Commit]: Commit[K] } = {
      v: 1,
      n: this.#n + 1,
      epoch: epochAfter(reduction.accepted, this.#epoch),
      id: this.#nextId(),
      host: this.#ports.host,
      atMs,
      facts: reduction.accepted,
    };
    if (inbox > 0) commit.inbox = inbox;
    const request: { -readonly [K in keyof AppendRequest]: AppendRequest[K] } = {
      sessionId: this.#sessionId,
      expected: this.#n,
      commit,
    };
    const blobs = blobsOf(batch);
    if (blobs !== undefined) request.blobs = blobs;
    const entry = this.#entryFor(reduction.state, commit);
    if (entry !== undefined) request.entry = entry;
    if (this.#idIsNew && this.#n === 0) request.idIsNew = true;
    this.#append({ batch, reduction, request, repeats: 0 });
    return true;
  }

  #append(pending: Pending): void {
    this.#ports.store.append(pending.request).then(
      (result) => this.#appended(pending, result),
      (error: unknown) => this.#failed(pending, error),
    );
  }

  #appended(pending: Pending, result: AppendResult): void {
    const { batch, reduction, request } = pending;
    const { commit, entry } = request;
    try {
      if (!result.ok) {
        // Refused although the log ends where we expect: the refusal is stale (another's append failed meanwhile).
        if ((result.last?.n ?? 0) !== this.#n || pending.repeats++ === REPEATS_MAX)
          throw this.#fenced(commit.n, commit.epoch, result.last);
        delete request.idIsNew;
        this.#append(pending);
        return;
      }
      if (this.#stopped !== null) throw this.#stopped();
      this.#state = reduction.state;
      this.#n = commit.n;
      this.#epoch = commit.epoch;
      this.#lastAtMs = commit.atMs;
      this.#inbox = commit.inbox ?? 0;
      if (entry !== undefined) this.#entry = entry;
      this.#owner.onCommitted(commit, reduction);
      answerAll(batch, reduction, commit.n);
    } catch (error) {
      this.#halt(coded(error, this.#sessionId), batch);
    }
    this.#goOn();
  }

  #failed({ batch }: Pending, error: unknown): void {
    this.#halt(coded(error, this.#sessionId), batch);
    this.#goOn();
  }

  #nextId(): string {
    // Ids are compared at one position of one log only, so the end of one, which is chance, is enough.
    if (this.#nonce === "") this.#nonce = this.#ports.ids.next("cm").slice(-NONCE_LENGTH);
    return `${this.#nonce}.${++this.#appends}`;
  }

  #fenced(n: number, epoch: number, last: FencedBy): OrchestraError {
    return new OrchestraError(
      "ORCH_FENCED",
      `session "${this.#sessionId}": another owner wrote commit ${last?.n ?? 0} (epoch ${last?.epoch ?? 0}); expected to write ${n} (epoch ${epoch})`,
      { details: { sessionId: this.#sessionId, n, epoch, last } },
    );
  }

  #halt(error: OrchestraError, batch: readonly Submission[]): void {
    const first = this.#stopped === null;
    this.stop(() => error);
    for (const submission of batch) submission.fail?.(error);
    if (first) this.#owner.onStopped(error);
  }

  /** The index entry, when more than its position and time changed. */
  #entryFor(state: SessionState, commit: Commit): SessionEntry | undefined {
    const before = this.#entry;
    const owner = this.#ports.owner ?? commit.host;
    const run = state.run;
    const runId = run?.runId ?? null;
    const topologyHash = run?.topologyHash ?? null;
    const dueAtMs = firstDueAtMs(state);
    if (
      before !== null &&
      before.status === state.status &&
      before.runId === runId &&
      before.topologyHash === topologyHash &&
      before.host === owner &&
      before.dueAtMs === dueAtMs
    )
      return undefined;
    return {
      sessionId: this.#sessionId,
      status: state.status,
      runId,
      topologyHash,
      createdAtMs: before?.createdAtMs ?? commit.atMs,
      updatedAtMs: commit.atMs,
      host: owner,
      n: commit.n,
      ...(run?.parent ? { parentSessionId: run.parent.sessionId } : {}),
      ...(dueAtMs === undefined ? {} : { dueAtMs }),
    };
  }
}

function answerAll(batch: readonly Submission[], reduction: CommitReduction, n: number): void {
  for (const submission of batch) {
    if (submission.answer === undefined) continue;
    const reasons = reduction.refused.filter(({ fact }) => submission.facts.includes(fact)).map(({ reason }) => reason);
    submission.answer({
      accepted: reasons.length < submission.facts.length || submission.facts.length === 0,
      reasons,
      n,
    });
  }
}

function blobsOf(batch: readonly Submission[]): Blobs | undefined {
  let all: Map<string, Uint8Array> | undefined;
  for (const { blobs } of batch) {
    if (blobs === undefined || blobs.size === 0) continue;
    all ??= new Map();
    for (const [ref, bytes] of blobs) all.set(ref, bytes);
  }
  return all;
}

function inboxAfter(batch: readonly Submission[], before: number): number {
  let position = before;
  for (const { inbox } of batch) if (inbox !== undefined && inbox > position) position = inbox;
  return position;
}

function epochAfter(facts: readonly Fact[], before: number): number {
  let epoch = before;
  for (const fact of facts) if (fact.type === "owned" && fact.epoch > epoch) epoch = fact.epoch;
  return epoch;
}

function coded(error: unknown, sessionId: string): OrchestraError {
  if (isOrchestraError(error)) return error;
  return new OrchestraError(
    "ORCH_STORE_FAILED",
    `session "${sessionId}": the store refused a commit: ${error instanceof Error ? error.message : String(error)}`,
    { cause: error, details: { sessionId } },
  );
}
