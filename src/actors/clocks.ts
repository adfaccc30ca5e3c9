// Clocks: deadlines measure live time
//
// While a person is waited for, the clocks of the waiting branch and of the barriers it may still reach stand
// still; while the whole run waits for people, all do. Pause and down-time move what is left by the `shiftMs`
// of the fact that ends them. A person's own deadline is a moment on the wall clock, which nothing moves; it hangs on its
// question and has no place among these.

import { candidates } from "./barriers.ts";
import { disarmed, type Draft } from "./draft.ts";
import type { Timer } from "./session-state.ts";

/** Stops and restarts clocks according to the questions that are open now. */
export function adjustClocks(draft: Draft): void {
  if (!draft.clocks || draft.run.end !== null) return;
  draft.clocks = false;
  const timers = Object.entries(draft.run.timers);
  // To find who waits is to look at every open question, each time one is asked.
  if (timers.length === 0) return;
  const waiting = new Set(draft.run.questions.flatMap((q) => waitersOf(draft, q.branch)));
  // Copied once: there may be as many as branches.
  const adjusted: Record<string, Timer> = { ...draft.run.timers };
  for (const [timerId, timer] of timers) {
    const hold = draft.session.status === "awaiting_user" || (waiting.size > 0 && waitsOn(draft, timer, waiting));
    if (hold === (timer.heldSinceMs !== null)) continue;
    if (hold) {
      adjusted[timerId] = { ...timer, heldSinceMs: draft.atMs };
      draft.effects.push({ type: "timer.disarm", timerId });
    } else {
      const dueAtMs = timer.dueAtMs + draft.atMs - timer.heldSinceMs!;
      adjusted[timerId] = { ...timer, dueAtMs, heldSinceMs: null };
      draft.effects.push({ type: "timer.arm", timerId, dueAtMs });
    }
  }
  draft.run.timers = adjusted;
}

/** Moves all running deadlines, after a pause or down-time. */
export function shiftClocks(draft: Draft, shiftMs: number): void {
  const { run } = draft;
  run.timers = Object.fromEntries(
    Object.entries(run.timers).map(([id, timer]) => [
      id,
      timer.heldSinceMs === null ? { ...timer, dueAtMs: timer.dueAtMs + shiftMs } : timer,
    ]),
  );
  for (const [timerId, timer] of Object.entries(run.timers)) {
    if (timer.heldSinceMs === null) draft.effects.push({ type: "timer.arm", timerId, dueAtMs: timer.dueAtMs });
  }
}

export function stopClocks(draft: Draft): void {
  for (const question of draft.run.questions) draft.effects.push(...disarmed(question));
  for (const timerId of Object.keys(draft.run.timers)) draft.effects.push({ type: "timer.disarm", timerId });
}

/** The branch that asked, and those that wait for its frame, outwards. */
function waitersOf(draft: Draft, branchId: number): number[] {
  const waiters: number[] = [];
  for (let id: number | null = branchId; id !== null && id !== 0;) {
    waiters.push(id);
    const branch = draft.run.branches.get(id);
    id = branch === undefined ? null : draft.frame(branch.frame).owner;
  }
  return waiters;
}

function waitsOn(draft: Draft, timer: Timer, waiting: ReadonlySet<number>): boolean {
  if (timer.kind === "branch") return waiting.has(timer.branch!);
  if (timer.kind === "duration") return false;
  const instance = draft.run.instances.get(timer.instance!);
  return (
    instance !== undefined &&
    candidates(draft, instance, timer.end!).some((c) => "branch" in c && waiting.has(c.branch.id))
  );
}
