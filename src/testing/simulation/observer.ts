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

  processDied(): void {
    for (const model of this.#models.values()) model.resultsLost();
  }

  sessions(): readonly SessionModel[] {
    return [...this.#models.values()];
  }

  acknowledged(sessionId: string, commit: Commit): void {
    this.commits++;
    this.session(sessionId).acknowledged(commit);
  }
}
