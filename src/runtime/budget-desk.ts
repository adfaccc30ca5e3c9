// Budget desk
//
// Owns:      what running steps have set aside of their run's budget, and what they used that no fact tells of yet.
// Does not:  end a run: that a step was refused is a fact like any failure, and the reducer makes an end of it.
//
// B1  What is left is the run's limit, less what facts account for, less what steps in flight have used or set aside.
// B2  A step that wants more than is left waits while another holds a part and does not wait itself: it may need less of it
//     than it set aside. When there is none such, waiting would be for ever: the step takes what there is, or is refused.
//     Its time limit stands still meanwhile.
// B3  On a host that does not own the session, left is what was left when the step was offered.
// B4  A step that has ended holds nothing, whether it gave back or not; what it used counts until a fact tells of it.

import type { SessionState } from "../actors/session-state.ts";
import { stepOffer } from "../actors/view.ts";
import { OrchestraError } from "../base/errors.ts";
import type { BudgetLeft, BudgetShare, DecideShare } from "./agent.ts";
import type { Execution } from "./execution.ts";

const UNBOUNDED: BudgetLeft = Object.freeze({ tokens: false, costUsd: false });

/** What a run may still use, by what its facts account for. */
export function budgetLeftOf({ run }: SessionState): BudgetLeft {
  if (run === null || (run.limits.tokens === false && run.limits.costUsd === false)) return UNBOUNDED;
  const { limits, usage } = run;
  return {
    tokens: limits.tokens === false ? false : Math.max(0, limits.tokens - usage.inputTokens - usage.outputTokens),
    costUsd: limits.costUsd === false ? false : Math.max(0, limits.costUsd - usage.costUsd),
  };
}

export class BudgetDesk {
  readonly #stateOf: (sessionId: string) => SessionState | undefined;
  /** By session: what each step has set aside of whose usage no fact tells yet. */
  readonly #shares = new Map<string, Map<Execution, Set<BudgetShare>>>();
  /** By session: how to wake those who wait. */
  readonly #waiting = new Map<string, Map<() => void, Execution>>();

  constructor(stateOf: (sessionId: string) => SessionState | undefined) {
    this.#stateOf = stateOf;
  }

  /**
   * Resolves with the way to give back what `decide` took.
   *
   * @throws {OrchestraError} `ORCH_BUDGET` (B2); when the step has ended its signal's reason, or `ORCH_CLOSED`.
   */
  async reserve(execution: Execution, decide: DecideShare): Promise<() => void> {
    for (;;) {
      assertRunning(execution);
      const left = this.#leftFor(execution);
      const mayGrow = this.#othersMayGiveBack(execution);
      const decision = decide(left, mayGrow);
      if (decision.type === "take") return left === UNBOUNDED ? () => undefined : this.#take(execution, decision.share);
      if (!mayGrow) throw refusedShare(execution, decision.budget, left);
      const letClockRun = execution.hold();
      try {
        await this.#somethingGivenBack(execution);
      } finally {
        letClockRun();
      }
    }
  }

  /** Forgets steps that ended and whose usage facts tell of by now. To be called when the host lets go of a session. */
  settle(sessionId: string): void {
    const ofSession = this.#shares.get(sessionId);
    if (ofSession === undefined) return;
    const state = this.#stateOf(sessionId);
    for (const execution of ofSession.keys()) {
      const { stepId, attempt } = execution.body.offer;
      const isTold = state === undefined || stepOffer(state, stepId)?.attempt !== attempt;
      if (isTold && execution.ended) ofSession.delete(execution);
    }
    if (ofSession.size === 0) this.#shares.delete(sessionId);
  }

  /** B1, B3 */
  #leftFor({ sessionId, body }: Execution): BudgetLeft {
    const state = this.#stateOf(sessionId);
    const left = state === undefined ? (body.budgetLeft ?? UNBOUNDED) : budgetLeftOf(state);
    if (left.tokens === false && left.costUsd === false) return UNBOUNDED;
    this.settle(sessionId);
    let tokens = 0;
    let costUsd = 0;
    for (const [execution, shares] of this.#shares.get(sessionId) ?? []) {
      const used = execution.context?.usageSoFar;
      tokens += (used?.inputTokens ?? 0) + (used?.outputTokens ?? 0);
      costUsd += used?.costUsd ?? 0;
      for (const share of shares) {
        tokens += share.tokens;
        costUsd += share.costUsd;
      }
    }
    return {
      tokens: left.tokens === false ? false : left.tokens - tokens,
      costUsd: left.costUsd === false ? false : left.costUsd - costUsd,
    };
  }

  #take(execution: Execution, share: BudgetShare): () => void {
    const shares = this.#sharesOf(execution);
    shares.add(share);
    return () => {
      if (shares.delete(share)) this.#wake(execution.sessionId);
    };
  }

  #sharesOf(execution: Execution): Set<BudgetShare> {
    const { sessionId } = execution;
    const ofSession = this.#shares.get(sessionId) ?? new Map<Execution, Set<BudgetShare>>();
    this.#shares.set(sessionId, ofSession);
    const known = ofSession.get(execution);
    if (known !== undefined) return known;
    const shares = new Set<BudgetShare>();
    ofSession.set(execution, shares);
    // B4
    execution.onEnd(() => {
      shares.clear();
      this.#wake(sessionId);
      if (this.#stateOf(sessionId) === undefined) this.settle(sessionId);
    });
    return shares;
  }

  #othersMayGiveBack(execution: Execution): boolean {
    const { sessionId } = execution;
    const stuck = new Set(this.#waiting.get(sessionId)?.values());
    for (const [other, shares] of this.#shares.get(sessionId) ?? [])
      if (other !== execution && shares.size > 0 && !stuck.has(other)) return true;
    return false;
  }

  #somethingGivenBack(execution: Execution): Promise<void> {
    const { sessionId } = execution;
    const waiting = this.#waiting.get(sessionId) ?? new Map<() => void, Execution>();
    this.#waiting.set(sessionId, waiting);
    return new Promise((resolve) => {
      const wake = (): void => {
        forgetEnd();
        waiting.delete(wake);
        if (waiting.size === 0) this.#waiting.delete(sessionId);
        resolve();
      };
      const forgetEnd = execution.onEnd(wake);
      waiting.set(wake, execution);
    });
  }

  #wake(sessionId: string): void {
    for (const wake of [...(this.#waiting.get(sessionId)?.keys() ?? [])]) wake();
  }
}

function assertRunning({ ended, signal, body: { offer } }: Execution): void {
  if (!ended) return;
  signal.throwIfAborted();
  throw new OrchestraError("ORCH_CLOSED", `reserve: step ${offer.stepId} of "${offer.node}" has ended`);
}

function refusedShare({ runId, body }: Execution, budget: "tokens" | "costUsd", left: BudgetLeft): OrchestraError {
  const rest = Math.max(0, left[budget] === false ? 0 : left[budget]);
  const what = budget === "tokens" ? `${rest} tokens` : `${Number(rest.toPrecision(6))} US dollars`;
  return new OrchestraError(
    "ORCH_BUDGET",
    `the run's budget has ${what} left, which is not enough for what "${body.offer.node}" is about to do`,
    { details: { budget, runId, left: rest } },
  );
}
