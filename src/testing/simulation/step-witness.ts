// Step witness: what one host offers, runs and hears, as the checkers of its sessions see it. What a host may do is judged by
// the last commit it knows to be in the log: what was written since, it cannot know.

import type { StepMessage, StepQueue, StepResult } from "../../bus/ports.ts";
import type { StoreWatch } from "./network-store.ts";
import type { Observer } from "./observer.ts";
import type { Process } from "./sim-machine.ts";

export class StepWitness implements StoreWatch {
  /** Set by the bus: how a defect is planted. */
  reoffers: (step: StepMessage) => void = () => undefined;
  readonly #observer: Observer;
  readonly #process: Process;
  readonly #attemptsMax: (sessionId: string) => number;
  /** By session: the last commit of its own that it was told is in the log. */
  readonly #known = new Map<string, number>();
  /** Sessions of which it was told that another wrote. */
  readonly #refused = new Set<string>();
  readonly #lastOffered = new Map<string, StepMessage>();

  constructor(observer: Observer, process: Process, attemptsMax: (sessionId: string) => number) {
    this.#observer = observer;
    this.#process = process;
    this.#attemptsMax = attemptsMax;
  }

  known(sessionId: string): number | undefined {
    return this.#refused.has(sessionId) ? undefined : this.#known.get(sessionId);
  }

  wrote(sessionId: string, n: number): void {
    this.#known.set(sessionId, n);
    this.#refused.delete(sessionId);
  }

  refused(sessionId: string): void {
    this.#refused.add(sessionId);
    const step = this.#lastOffered.get(sessionId);
    if (this.#process.machine.canary === "goes-on-when-fenced" && step !== undefined) this.reoffers(step);
  }

  offered(step: StepMessage): void {
    const { sessionId, stepId, attempt } = step;
    const model = this.#observer.session(sessionId);
    this.#lastOffered.set(sessionId, step);
    if (this.#refused.has(sessionId))
      this.#process.machine.report(
        "S7",
        `session ${sessionId}: step ${stepId} is offered by ${this.#process.scope.name}, which was told that another owns the session`,
      );
    else model.offer(stepId, attempt, this.#attemptsMax(sessionId), this.#known.get(sessionId) ?? 0);
  }

  keptResult(result: StepResult): void {
    this.#observer.session(result.sessionId).resultKept(this.#process.scope.name, result);
  }

  registered(result: StepResult): void {
    this.#observer.session(result.sessionId).resultRegistered(result);
  }

  /** For canaries that come when nothing may come any more. */
  offerAgain(steps: StepQueue): void {
    const { canary } = this.#process.machine;
    const [step] = this.#lastOffered.values();
    if (step === undefined) return;
    if (canary === "offers-after-the-end") void steps.offer(step);
  }
}
