import type { StepMessage } from "./ports.ts";
import type { QueuedStep } from "./local-ready-steps.ts";

/** Outstanding steps by session, step and attempt. A step rarely has more than one attempt outstanding, so those stand in a list. */
export class StepIndex {
  readonly #steps = new Map<string, readonly QueuedStep[]>();

  has(step: StepMessage): boolean {
    const attempts = this.#steps.get(keyOf(step.sessionId, step.stepId));
    return attempts !== undefined && attempts.some((one) => one.step.attempt === step.attempt);
  }

  attempts(sessionId: string, stepId: string): readonly QueuedStep[] {
    return this.#steps.get(keyOf(sessionId, stepId)) ?? [];
  }

  add(queued: QueuedStep): void {
    const key = keyOf(queued.step.sessionId, queued.step.stepId);
    const before = this.#steps.get(key);
    this.#steps.set(key, before === undefined ? [queued] : [...before, queued]);
  }

  remove(queued: QueuedStep): void {
    const key = keyOf(queued.step.sessionId, queued.step.stepId);
    const attempts = this.#steps.get(key);
    if (attempts === undefined) return;
    const left = attempts.length === 1 && attempts[0] === queued ? [] : attempts.filter((one) => one !== queued);
    if (left.length > 0) this.#steps.set(key, left);
    else this.#steps.delete(key);
  }

  *all(): Iterable<QueuedStep> {
    for (const attempts of this.#steps.values()) yield* attempts;
  }

  clear(): void {
    this.#steps.clear();
  }
}

/** No id of a session holds a line break. */
function keyOf(sessionId: string, stepId: string): string {
  return `${sessionId}\n${stepId}`;
}
