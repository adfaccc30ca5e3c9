// Session model
//
// Owns:      what one session's log must say, folded again from every commit the store was handed.
// Does not:  see the runtime's own state, except to compare it.
//
// A commit that was handed to the store and not acknowledged may or may not be in the log; it is taken up when the store
// shows it. One that was acknowledged must be there for good.

import { initialState, reduceAll } from "../../actors/reduce.ts";
import type { Fact } from "../../actors/facts.ts";
import { encodeState, stepOffer } from "../../actors/view.ts";
import type { SessionState } from "../../actors/session-state.ts";
import type { StepResult } from "../../bus/ports.ts";
import type { StepEnd } from "../../runtime/step-wire.ts";
import type { Commit, Snapshot } from "../../state/ports.ts";
import type { BarrierLedger } from "./barrier-ledger.ts";
import type { Check } from "./findings.ts";

export type Report = (check: Check, message: string) => void;

type StepFact = Extract<Fact, { type: "step.succeeded" | "step.failed" | "step.suspended" }>;

/** Facts a session may be given while its last run is over. */
const AFTER_THE_END: ReadonlySet<Fact["type"]> = new Set([
  "run.started",
  "context.added",
  "owned",
  "checkpointed",
  "restored",
]);

export class SessionModel {
  readonly sessionId: string;
  readonly #report: Report;
  readonly #commits: Commit[] = [];
  /** `#states[n]` is the state after commit n. */
  readonly #states: SessionState[];
  readonly #handedIn = new Map<string, { readonly commit: Commit; readonly by: string | undefined }>();
  readonly #ends = new Set<string>();
  readonly #results = new Map<string, StepEnd>();
  /** Results that stayed in the process that owned the session, by that process. */
  readonly #kept = new Map<string, Map<string, StepEnd>>();
  readonly #barriers: BarrierLedger;
  /** Steps some commit asked for. */
  readonly #offered = new Set<string>();
  #endedBy: string | undefined;

  constructor(sessionId: string, report: Report, barriers: BarrierLedger) {
    this.sessionId = sessionId;
    this.#report = (check, message) => report(check, `session ${sessionId}: ${message}`);
    this.#states = [initialState(sessionId)];
    this.#barriers = barriers;
  }

  get n(): number {
    return this.#commits.length;
  }
  get state(): SessionState {
    return this.#states[this.n] as SessionState;
  }
  /** The process that wrote the end of the last run, where several may have and it has ended. */
  get endedBy(): string | undefined {
    return this.state.run?.end == null ? undefined : this.#endedBy;
  }
  /** The state after commit `n`. */
  stateAt(n: number): SessionState {
    return this.#states[n] ?? this.state;
  }
  commit(n: number): Commit | undefined {
    return this.#commits[n - 1];
  }

  /** The store is asked to write it, by one of several processes. */
  handIn(commit: Commit, by?: string): void {
    this.#handedIn.set(commit.id, { commit, by });
  }

  /** The store said that it is written. */
  acknowledged(commit: Commit, by = this.#handedIn.get(commit.id)?.by): void {
    if (this.commit(commit.n)?.id === commit.id) return;
    if (commit.n !== this.n + 1) {
      this.#report("S1", `commit ${commit.n} was accepted where ${this.n + 1} must come next`);
      return;
    }
    this.#append(commit, by);
  }

  /** The store showed it to a reader. */
  shown(commit: Commit): void {
    const known = this.commit(commit.n);
    if (known === undefined) {
      if (this.#handedIn.get(commit.id)?.commit.n === commit.n) this.acknowledged(commit);
      else this.#report("S1", `commit ${commit.n} (${commit.id}) was read, and was never written`);
      return;
    }
    if (known.id !== commit.id || JSON.stringify(known.facts) !== JSON.stringify(commit.facts))
      this.#report("S1", `commit ${commit.n} was read as ${commit.id}, and was written as ${known.id}`);
  }

  /** The log was read to its end, and no further than this. */
  endedAt(n: number, atLeast: number): void {
    if (n < atLeast) this.#report("S1", `the log ends with commit ${n}, and ${atLeast} was acknowledged`);
  }

  snapshotShown(snapshot: Snapshot): void {
    const state = this.#states[snapshot.n];
    if (state === undefined) {
      this.#report("S5", `a snapshot is of commit ${snapshot.n}, and the log ends with ${this.n}`);
      return;
    }
    this.#compare(snapshot.state, state, `a snapshot after commit ${snapshot.n}`);
  }

  /** A state that the runtime holds for that of the log's end; of one that may be behind, for that after commit `from` or later. */
  compare(state: SessionState, what: string, from = this.n): void {
    for (let n = this.n; n > from; n--) if (isSame(state, this.stateAt(n))) return;
    const own = this.stateAt(from);
    if (state !== own) this.#compare(encodeState(state), own, what);
  }

  /** Somebody was told that the run has stopped moving, in this state. */
  told(state: SessionState): void {
    if (state.run === null) return;
    const { runId, end } = state.run;
    for (let n = this.n; n > 0; n--) if (isSame(state, this.stateAt(n))) return;
    this.#report("S5", `run ${runId} was told to be ${end?.status ?? state.status}, in a state the log never comes to`);
  }

  resultRegistered({ stepId, attempt, body }: StepResult): void {
    const key = `${stepId}/${attempt}`;
    // One that was suspended is begun again under the same number, even where a pause came in between and nothing was recorded.
    const before = this.#results.get(key);
    if (before === undefined || before.kind === "suspended") this.#results.set(key, body as StepEnd);
  }

  /** The owner ran the step itself, and told nobody. */
  resultKept(by: string, { stepId, attempt, body }: StepResult): void {
    const kept = this.#kept.get(by) ?? new Map<string, StepEnd>();
    this.#kept.set(by, kept.set(`${stepId}/${attempt}`, body as StepEnd));
  }

  /** The step has not ended. */
  awaits(stepId: string): boolean {
    return stepOffer(this.state, stepId) !== undefined;
  }

  /** The process that held the registered results is gone, and they with it. */
  resultsLost(): void {
    this.#results.clear();
  }

  /** S6, S7, S9: a step goes to the queue. `knows`: the last commit known to who offers it. */
  offer(stepId: string, attempt: number, attemptsMax: number, knows = this.n): void {
    const state = this.stateAt(knows);
    const { status, run } = state;
    // One that was in flight when the run was paused may finish, so it may be offered again where nobody said that it was taken.
    const finishes = run?.pause?.inFlight === "finish" && this.#offered.has(stepId);
    if (status !== "running" && !finishes) this.#report("S7", `step ${stepId} is offered while the run is ${status}`);
    const offer = stepOffer(state, stepId);
    if (offer === undefined && status === "running")
      this.#report("S6", `step ${stepId} is offered, and no commit asks for it`);
    else if (offer !== undefined && offer.attempt !== attempt)
      this.#report("S6", `attempt ${attempt} of step ${stepId} is offered; the log asks for ${offer.attempt}`);
    this.#offered.add(stepId);
    if (attempt > attemptsMax)
      this.#report("S9", `attempt ${attempt} of step ${stepId} is offered; at most ${attemptsMax} are allowed`);
  }

  /** S6: an agent is called. It may be called more than once, but never for what was not asked. */
  called(stepId: string): void {
    // A stream target is begun ahead under `<step>><node>`.
    if (!this.#offered.has(stepId.split(">")[0] ?? ""))
      this.#report("S6", `an agent is called for step ${stepId}, which was never offered`);
  }

  #append(commit: Commit, by: string | undefined): void {
    const before = this.state;
    const last = this.commit(this.n);
    if (last !== undefined && commit.epoch < last.epoch)
      this.#report("S1", `commit ${commit.n} has epoch ${commit.epoch} after ${last.epoch}`);
    if (last !== undefined && commit.epoch > last.epoch && !isTakeOver(commit, last.epoch + 1))
      this.#report("S1", `commit ${commit.n} has epoch ${commit.epoch} after ${last.epoch}, and is no taking over`);
    if (last !== undefined && commit.atMs < last.atMs)
      this.#report("S1", `commit ${commit.n} is of an earlier time than the one before it`);
    const { end } = before.run ?? { end: null };
    if (end != null)
      for (const fact of commit.facts)
        if (!AFTER_THE_END.has(fact.type))
          this.#report("S8", `commit ${commit.n} holds ${fact.type} although the run ended ${end.status}`);
        else if (fact.type === "run.started" || fact.type === "restored") break;
    const reduction = reduceAll(before, commit.facts, commit.atMs);
    for (const { fact, reason } of reduction.refused)
      this.#report("S2", `commit ${commit.n} holds ${fact.type}, which cannot be: ${reason}`);
    for (const fact of commit.facts)
      if (fact.type === "step.succeeded" || fact.type === "step.failed" || fact.type === "step.suspended")
        this.#noteEnd(fact, by);
    this.#barriers.note(reduction.events, reduction.state, (message) =>
      this.#report("S4", `commit ${commit.n}: ${message}`),
    );
    if (end == null && reduction.state.run?.end != null) this.#endedBy = by;
    this.#commits.push(commit);
    this.#states.push(reduction.state);
    this.#handedIn.delete(commit.id);
  }

  #noteEnd(fact: StepFact, by = ""): void {
    const key = `${fact.stepId}/${fact.attempt}`;
    if (this.#ends.has(key) && fact.type !== "step.suspended")
      this.#report("S3", `attempt ${fact.attempt} of step ${fact.stepId} has ended twice`);
    // A step that was suspended runs again under the same number.
    if (fact.type === "step.suspended") this.#results.delete(key);
    else this.#ends.add(key);
    const kept = this.#kept.get(by)?.get(key);
    if (kept !== undefined && isRecordedAs(fact, kept)) return;
    const result = this.#results.get(key) ?? kept;
    if (result !== undefined && !isRecordedAs(fact, result))
      this.#report("S3", `attempt ${fact.attempt} of step ${fact.stepId} is recorded otherwise than it was registered`);
  }

  #compare(found: unknown, state: SessionState, what: string): void {
    const [a, b] = [JSON.stringify(found), JSON.stringify(encodeState(state))];
    if (a === b) return;
    let at = 0;
    while (a[at] === b[at]) at++;
    this.#report(
      "S5",
      `${what} differs from the fold of the log: …${a.slice(Math.max(0, at - 40), at + 60)}… instead of …${b.slice(Math.max(0, at - 40), at + 60)}…`,
    );
  }
}

/** One `owned` after another raises the epoch, one at a time. */
function isTakeOver({ facts, epoch }: Commit, next: number): boolean {
  let expected = next;
  for (const fact of facts) if (fact.type === "owned" && fact.epoch === expected) expected++;
  return epoch === expected - 1;
}

function isSame(a: SessionState, b: SessionState): boolean {
  return a === b || JSON.stringify(encodeState(a)) === JSON.stringify(encodeState(b));
}

function isRecordedAs(fact: StepFact, result: StepEnd): boolean {
  if (fact.type === "step.succeeded")
    return result.kind === "succeeded" && JSON.stringify(result.outcome) === JSON.stringify(fact.outcome);
  return fact.type !== "step.failed" || result.kind !== "suspended";
}
