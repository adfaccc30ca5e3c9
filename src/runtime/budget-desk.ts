// Budget desk
//
// Owns:      what running steps have set aside of their run's budget, and what they used that no fact tells of yet.
// Does not:  end a run: that a step was refused is a fact like any failure, and the reducer makes an end of it.
//
// B1  What is left is the run's limit, less what facts account for, less what steps in flight have used or set aside.
// B2  A step that wants more than is left waits while others hold a part: they may need less of it than they set aside. When
//     nobody else does it is refused. Its time limit stands still meanwhile.
// B3  On a host that does not own the session, left is what was left when the step was offered.

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
  /** By session: what each step in flight has set aside. */
  readonly #shares = new Map<string, Map<Execution, Set<BudgetShare>>>();
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(stateOf: (sessionId: string) => SessionState | undefined) {
    this.#stateOf = stateOf;
  }

  /** Resolves with the way to give back what `decide` took. @throws {OrchestraError} `ORCH_BUDGET` (B2) */
  async reserve(execution: Execution, decide: DecideShare): Promise<() => void> {
    for (;;) {
      const left = this.#leftFor(execution);
      const mayGrow = this.#othersHold(execution);
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

  /** B1, B3 */
  #leftFor({ sessionId, body }: Execution): BudgetLeft {
    const state = this.#stateOf(sessionId);
    const left = state === undefined ? (body.budgetLeft ?? UNBOUNDED) : budgetLeftOf(state);
    if (left.tokens === false && left.costUsd === false) return UNBOUNDED;
    this.#dropSettled(sessionId, state);
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
    const { sessionId, signal } = execution;
    const ofSession = this.#shares.get(sessionId) ?? new Map<Execution, Set<BudgetShare>>();
    this.#shares.set(sessionId, ofSession);
    const shares = ofSession.get(execution) ?? new Set();
    ofSession.set(execution, shares.add(share));
    const giveBack = (): void => {
      signal.removeEventListener("abort", giveBack);
      if (shares.delete(share)) for (const wake of this.#waiting.get(sessionId) ?? []) wake();
    };
    // An agent that ignores its signal keeps nothing from the others.
    signal.addEventListener("abort", giveBack, { once: true });
    return giveBack;
  }

  /** What facts account for by now is not counted twice. */
  #dropSettled(sessionId: string, state: SessionState | undefined): void {
    const ofSession = this.#shares.get(sessionId);
    if (ofSession === undefined) return;
    for (const [execution, shares] of ofSession) {
      const { stepId, attempt } = execution.body.offer;
      const isOut = state === undefined ? !execution.ended : stepOffer(state, stepId)?.attempt === attempt;
      if (!isOut && shares.size === 0) ofSession.delete(execution);
    }
    if (ofSession.size === 0) this.#shares.delete(sessionId);
  }

  #othersHold(execution: Execution): boolean {
    for (const [other, shares] of this.#shares.get(execution.sessionId) ?? [])
      if (other !== execution && shares.size > 0) return true;
    return false;
  }

  async #somethingGivenBack({ sessionId, signal }: Execution): Promise<void> {
    const waiting = this.#waiting.get(sessionId) ?? new Set<() => void>();
    this.#waiting.set(sessionId, waiting);
    let wake = (): void => undefined;
    const woken = new Promise<void>((resolve) => (wake = resolve));
    waiting.add(wake);
    signal.addEventListener("abort", wake, { once: true });
    await woken;
    signal.removeEventListener("abort", wake);
    waiting.delete(wake);
    if (waiting.size === 0) this.#waiting.delete(sessionId);
    if (signal.aborted) throw signal.reason;
  }
}

function refusedShare({ runId, body }: Execution, budget: "tokens" | "costUsd", left: BudgetLeft): OrchestraError {
  const what = budget === "tokens" ? `${left.tokens} tokens` : `${left.costUsd} USD`;
  return new OrchestraError(
    "ORCH_BUDGET",
    `${what} of the run's budget are left, which is not enough for what ${body.offer.node} is about to do`,
    { details: { budget, runId, left: budget === "tokens" ? left.tokens : left.costUsd } },
  );
}
