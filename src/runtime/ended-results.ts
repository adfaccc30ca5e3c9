// Ended results: those that came too late for their run must not pile up in the register.

import type { SessionState } from "../actors/session-state.ts";
import { isStepUpTo } from "../base/ids.ts";
import type { ResultRegister } from "../bus/ports.ts";

/**
 * Forgets what is left of the session's run, which has ended, and of those before it. One by one: over a bus this may come
 * when the next run has begun, or this one was restored, and their results stay.
 */
export async function forgetEnded(results: ResultRegister, state: SessionState): Promise<void> {
  const { sessionId, generation, run } = state;
  if (run === null) return;
  const left = (await results.list(sessionId)).filter(({ stepId }) => isStepUpTo(stepId, run.seq, generation));
  await Promise.all(left.map((result) => results.forget(sessionId, result)));
}
