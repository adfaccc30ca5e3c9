// Outstanding steps
//
// What this process offered and knows no result of: steps it keeps to itself (handed to a worker here, or held until their
// time), and steps it sent over the bus. The queue writes, the register and the search for lost steps read.

import type { StepMessage } from "../bus/ports.ts";

export interface KeptStep {
  readonly step: StepMessage;
  /** How often it was handed out so far. */
  deliveries: number;
  state: "open" | "held";
  cancelTimer: (() => void) | undefined;
}

export interface SentStep {
  readonly step: StepMessage;
  /** On the monotonic clock: when it was sent, or last looked for. */
  lookedAtMs: number;
  /** Looks in a row that found neither the step nor a result. */
  missing: number;
}

type StepKey = Pick<StepMessage, "sessionId" | "stepId" | "attempt">;

export class OutstandingSteps {
  readonly kept = new StepMap<KeptStep>();
  readonly sent = new StepMap<SentStep>();

  /** The session is no longer followed here. */
  dropSession(sessionId: string): void {
    this.sent.deleteAll(sessionId);
  }
}

/** By session, then step and attempt. */
export class StepMap<T> {
  readonly #sessions = new Map<string, Map<string, T>>();

  get({ sessionId, stepId, attempt }: StepKey): T | undefined {
    return this.#sessions.get(sessionId)?.get(`${stepId}\n${attempt}`);
  }

  set({ sessionId, stepId, attempt }: StepKey, value: T): void {
    let steps = this.#sessions.get(sessionId);
    if (steps === undefined) this.#sessions.set(sessionId, (steps = new Map()));
    steps.set(`${stepId}\n${attempt}`, value);
  }

  delete({ sessionId, stepId, attempt }: StepKey): boolean {
    const steps = this.#sessions.get(sessionId);
    const had = steps?.delete(`${stepId}\n${attempt}`) ?? false;
    if (steps?.size === 0) this.#sessions.delete(sessionId);
    return had;
  }

  /** All attempts of a step. */
  attempts(sessionId: string, stepId: string): T[] {
    const found: T[] = [];
    for (const [key, value] of this.#sessions.get(sessionId) ?? [])
      if (key.startsWith(`${stepId}\n`)) found.push(value);
    return found;
  }

  deleteAll(sessionId: string, stepId?: string): void {
    if (stepId === undefined) return void this.#sessions.delete(sessionId);
    const steps = this.#sessions.get(sessionId);
    for (const key of steps?.keys() ?? []) if (key.startsWith(`${stepId}\n`)) steps?.delete(key);
    if (steps?.size === 0) this.#sessions.delete(sessionId);
  }

  *values(): Iterable<T> {
    for (const steps of this.#sessions.values()) yield* steps.values();
  }

  clear(): void {
    this.#sessions.clear();
  }
}
