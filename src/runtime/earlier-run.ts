// Earlier run: a run of a session that others have followed, found again by its idempotency key.

import type { RunSummary, SessionState } from "../actors/session-state.ts";
import { OrchestraError } from "../base/errors.ts";
import type { RunHandle, RunOutcome, StartRequest } from "./engine-api.ts";
import { foldLog, foldStart } from "./log-fold.ts";
import { outcomeOf } from "./outcome.ts";
import type { OutcomePorts } from "./outcome.ts";
import { Recorder } from "./recorder.ts";

/** The run before the session's latest that was started with the key of `request`, among the last runs a session remembers (50). */
export function earlierRun(
  { run, runs }: SessionState,
  request: Pick<StartRequest, "idempotencyKey" | "fresh">,
): RunSummary | undefined {
  const key = request.idempotencyKey;
  if (key === undefined || request.fresh === true) return undefined;
  return runs.findLast((one) => one.idempotencyKey === key && one.runId !== run?.runId);
}

export function handleOfRun(ports: OutcomePorts, sessionId: string, { runId }: RunSummary): RunHandle {
  const outcome = outcomeOfRun(ports, sessionId, runId);
  outcome.catch(() => undefined);
  return { sessionId, runId, outcome };
}

/** @throws {OrchestraError} `ORCH_SESSION_STATE` when the log no longer goes back to the run. */
async function outcomeOfRun(ports: OutcomePorts, sessionId: string, runId: string): Promise<RunOutcome> {
  const recorder = new Recorder();
  let state: SessionState | null = null;
  for await (const { commit, reduction } of foldLog(
    ports.store,
    sessionId,
    await foldStart(ports.store, sessionId, 0),
  )) {
    if (reduction.state.run?.runId !== runId) {
      if (state !== null) break;
    } else state = reduction.state;
    recorder.fold(reduction.events, commit.atMs);
  }
  if (state === null) {
    throw new OrchestraError(
      "ORCH_SESSION_STATE",
      `session "${sessionId}": run ${runId} has ended, but the part of the log that told of it was compacted away`,
      { details: { sessionId, runId } },
    );
  }
  return outcomeOf(ports, state, recorder);
}
