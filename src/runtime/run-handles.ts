// Run handles: how whoever starts or resumes a run follows it, wherever it is live.

import type { SessionState } from "../actors/session-state.ts";
import type { OrchestraError } from "../base/errors.ts";
import type { EngineParts } from "./engine-parts.ts";
import type { RunHandle } from "./engine-api.ts";
import type { Live } from "./live-sessions.ts";
import { outcomeFromLog } from "./outcome.ts";

export const SIGNAL_ABORTED = "its signal was aborted";

/** Of a run that is live here. Its `signal` cancels it. */
export function watchedHandle({ live }: EngineParts, running: Live, signal: AbortSignal | undefined): RunHandle {
  const { session } = running;
  const cancel = (): void => session.committer.submit([{ type: "cancelled", reason: SIGNAL_ABORTED }]);
  if (signal?.aborted) cancel();
  else if (signal !== undefined) session.onLetGo(onAbort(signal, cancel));
  return live.handleOf(running);
}

/** Of a run that another host is at, or will be: its outcome is what the log comes to say. `lost`: when that cannot be known. */
export function followedHandle(
  { live }: EngineParts,
  run: { readonly sessionId: string; readonly runId: string },
  lost: OrchestraError,
  aborts?: { readonly signal: AbortSignal; cancel(): void },
): RunHandle {
  const { sessionId, runId } = run;
  const outcome = live.follow(sessionId, runId, lost);
  const forget = aborts === undefined ? (): void => undefined : onAbort(aborts.signal, () => aborts.cancel());
  outcome.then(forget, forget);
  return { sessionId, runId, outcome };
}

/** Of a run that does not move. */
export function loggedHandle({ ports }: EngineParts, sessionId: string, state: SessionState): RunHandle {
  const outcome = outcomeFromLog(ports, sessionId);
  outcome.catch(() => undefined);
  return { sessionId, runId: state.run?.runId ?? "", outcome };
}

function onAbort(signal: AbortSignal, act: () => void): () => void {
  if (signal.aborted) act();
  else signal.addEventListener("abort", act, { once: true });
  return () => signal.removeEventListener("abort", act);
}
