// Observer: everything of one seed that the checkers look at, by session.

import type { Commit } from "../../state/ports.ts";
import { BarrierLedger } from "./barrier-ledger.ts";
import type { Machine } from "./sim-machine.ts";
import { SessionModel } from "./session-model.ts";

export class Observer {
  readonly #machine: Machine;
  readonly #models = new Map<string, SessionModel>();
  /** Commits acknowledged so far. */
  commits = 0;
  /** How often each attempt of a step was begun. */
  readonly attempts = new Map<string, number>();

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  session(sessionId: string): SessionModel {
    let model = this.#models.get(sessionId);
    if (model === undefined) {
      const { canary } = this.#machine;
      model = new SessionModel(sessionId, (...found) => this.#machine.report(...found), new BarrierLedger(canary));
      this.#models.set(sessionId, model);
    }
    return model;
  }

  /** An agent is called. */
  called(sessionId: string, stepId: string, attempt: number): void {
    const key = `${sessionId}/${stepId}/${attempt}`;
    this.attempts.set(key, (this.attempts.get(key) ?? 0) + 1);
    this.session(sessionId).called(stepId);
  }

  processDied(): void {
    for (const model of this.#models.values()) model.resultsLost();
  }

  sessions(): readonly SessionModel[] {
    return [...this.#models.values()];
  }

  acknowledged(sessionId: string, commit: Commit, by?: string): void {
    this.commits++;
    // It is begun again under the same number, once it was answered.
    for (const fact of commit.facts)
      if (fact.type === "step.suspended") this.attempts.delete(`${sessionId}/${fact.stepId}/${fact.attempt}`);
    this.session(sessionId).acknowledged(commit, by);
  }
}
