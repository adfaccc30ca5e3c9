import type { StepMessage } from "./ports.ts";
import type { QueuedStep } from "./local-ready-steps.ts";

/** Outstanding steps by session, step and attempt. A step rarely has more than one attempt outstanding, so those stand in a list. */
export class StepIndex {
  readonly #sessions = new Map<string, Map<string, readonly QueuedStep[]>>();

  has(step: StepMessage): boolean {
    const attempts = this.#sessions.get(step.sessionId)?.get(step.stepId);
    return attempts !== undefined && attempts.some((one) => one.step.attempt === step.attempt);
  }

  attempts(sessionId: string, stepId: string): readonly QueuedStep[] {
    return this.#sessions.get(sessionId)?.get(stepId) ?? [];
  }

  add(queued: QueuedStep): void {
    const { sessionId, stepId } = queued.step;
    let steps = this.#sessions.get(sessionId);
    if (steps === undefined) this.#sessions.set(sessionId, (steps = new Map()));
    const before = steps.get(stepId);
    steps.set(stepId, before === undefined ? [queued] : [...before, queued]);
  }

  remove(queued: QueuedStep): void {
    const { sessionId, stepId } = queued.step;
    const steps = this.#sessions.get(sessionId);
    const attempts = steps?.get(stepId);
    if (steps === undefined || attempts === undefined) return;
    const left = attempts.length === 1 && attempts[0] === queued ? [] : attempts.filter((one) => one !== queued);
    if (left.length > 0) steps.set(stepId, left);
    else if (steps.size > 1) steps.delete(stepId);
    else this.#sessions.delete(sessionId);
  }

  *all(): Iterable<QueuedStep> {
    for (const steps of this.#sessions.values()) for (const attempts of steps.values()) yield* attempts;
  }

  clear(): void {
    this.#sessions.clear();
  }
}
