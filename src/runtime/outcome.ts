// Outcome: what a run came to, from a live session or from its log.

import { initialState, reduceAll } from "../actors/reduce.ts";
import type { RunState, SessionState } from "../actors/session-state.ts";
import { OrchestraError } from "../base/errors.ts";
import { onFirstUse } from "../base/on-first-use.ts";
import type { Commit, SessionStore } from "../state/ports.ts";
import type { RecordedStep, RunOutcome, TraceOptions } from "./engine-api.ts";
import { foldLog, foldStart, loadSession } from "./log-fold.ts";
import { Recorder } from "./recorder.ts";
import type { Values } from "./values.ts";

export interface OutcomePorts {
  readonly store: SessionStore;
  readonly values: Values;
}

/**
 * Of a session whose beginning nobody here saw. Its history is taken out of the log, and folded when somebody looks at it:
 * a run that went on after a thousand steps need not be gone through again for its answer.
 * `n` and `lastAtMs`: number and time of its last commit.
 */
export async function outcomeOfResumed(
  ports: OutcomePorts,
  state: SessionState,
  { n, lastAtMs }: { readonly n: number; readonly lastAtMs: number },
): Promise<RunOutcome> {
  const { store, values } = ports;
  const { sessionId, run } = state;
  const commits = (await store.takeOut?.(sessionId, n)) ?? null;
  // Which checkpoints are of this run, only the log says.
  if (run === null || commits === null || (await store.listCheckpoints(sessionId)).length > 0)
    return outcomeFromLog(ports, sessionId);
  const recorder = onFirstUse(() => recorded(sessionId, commits()));
  const branches = onFirstUse(() => recorder().branchesAtHand(values));
  return {
    ...(await endOf(ports, state, run, lastAtMs)),
    later: true,
    get branches() {
      return branches();
    },
    get trace() {
      return recorder().trace();
    },
    get traceTruncated() {
      return recorder().traceTruncated;
    },
    checkpointIds: [],
  };
}

function recorded(sessionId: string, commits: readonly Commit[]): Recorder {
  const recorder = new Recorder();
  let state = initialState(sessionId);
  for (const { facts, atMs } of commits) {
    const reduction = reduceAll(state, facts, atMs);
    recorder.fold(reduction.events, atMs);
    state = reduction.state;
  }
  return recorder;
}

/** What the state alone says. */
async function endOf({ store, values }: OutcomePorts, state: SessionState, run: RunState, lastAtMs: number) {
  return {
    state,
    status: state.status,
    finalResponse: await values.resolveRunValue(run.end?.value ?? null),
    error: run.end?.error ?? null,
    durability: store.durability,
    startedAtMs: run.startedAtMs,
    endedAtMs: run.endedAtMs ?? Math.max(lastAtMs, run.startedAtMs),
  };
}

/** `fromTheMiddle`: the log no longer has the run's beginning. */
export async function outcomeOf(
  ports: OutcomePorts,
  state: SessionState,
  recorder: Recorder,
  fromTheMiddle = false,
): Promise<RunOutcome> {
  const { run } = state;
  if (run === null) throw new OrchestraError("ORCH_SESSION_STATE", `session "${state.sessionId}" has no run`);
  const end = await endOf(ports, state, run, recorder.lastAtMs);
  const branches = await recorder.branches(ports.values);
  const checkpointIds = await present(ports.store, state.sessionId, recorder.checkpointIds);
  return new SeenOutcome(end, branches, checkpointIds, recorder, fromTheMiddle);
}

/** Of a run whose events were all recorded. A class, because a getter of an object of its own costs as much as all the rest. */
class SeenOutcome implements RunOutcome {
  readonly state: SessionState;
  readonly status: RunOutcome["status"];
  readonly finalResponse: unknown;
  readonly error: RunOutcome["error"];
  readonly durability: RunOutcome["durability"];
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly branches: RunOutcome["branches"];
  readonly traceTruncated: boolean;
  readonly checkpointIds: readonly string[];
  readonly #recorder: Recorder;

  constructor(
    end: Awaited<ReturnType<typeof endOf>>,
    branches: RunOutcome["branches"],
    checkpointIds: readonly string[],
    recorder: Recorder,
    fromTheMiddle: boolean,
  ) {
    this.state = end.state;
    this.status = end.status;
    this.finalResponse = end.finalResponse;
    this.error = end.error;
    this.durability = end.durability;
    this.startedAtMs = end.startedAtMs;
    this.endedAtMs = end.endedAtMs;
    this.branches = branches;
    this.traceTruncated = recorder.traceTruncated || fromTheMiddle;
    this.checkpointIds = checkpointIds;
    this.#recorder = recorder;
  }

  /** Few callers look, so it is put together when one does; the recorder changes no more. */
  get trace(): RunOutcome["trace"] {
    return this.#recorder.trace();
  }
}

/** Without those that were removed since, to make room or by somebody. */
async function present(
  store: SessionStore,
  sessionId: string,
  checkpointIds: readonly string[],
): Promise<readonly string[]> {
  if (checkpointIds.length === 0) return [];
  const kept = new Set((await store.listCheckpoints(sessionId)).map((checkpoint) => checkpoint.checkpointId));
  return checkpointIds.filter((id) => kept.has(id));
}

/** @throws {OrchestraError} `ORCH_SESSION_UNKNOWN`, `ORCH_SESSION_STATE` when nothing was ever run in it. */
export async function outcomeFromLog(ports: OutcomePorts, sessionId: string): Promise<RunOutcome> {
  const recorder = new Recorder();
  let state: SessionState | null = null;
  let whole = false;
  for await (const { commit, reduction } of foldLog(
    ports.store,
    sessionId,
    await foldStart(ports.store, sessionId, 0),
  )) {
    if (commit.facts.some((fact) => fact.type === "run.started" || fact.type === "restored")) whole = true;
    recorder.fold(reduction.events, commit.atMs);
    state = reduction.state;
  }
  if (state === null) throw unknownSession(sessionId);
  return outcomeOf(ports, state, recorder, !whole);
}

/** All steps of the last run, in commit order, however many. */
export async function* traceFromLog(
  ports: OutcomePorts,
  sessionId: string,
  { inFull = false }: TraceOptions = {},
): AsyncGenerator<RecordedStep> {
  const { store, values } = ports;
  const loaded = await loadSession(store, sessionId);
  if (loaded === null) throw unknownSession(sessionId);
  const runId = loaded.position.state.run?.runId;
  const recorder = new Recorder();
  for await (const { commit, reduction } of foldLog(store, sessionId, await foldStart(store, sessionId, 0))) {
    for (const event of reduction.events) {
      const before = recorder.endedSteps;
      recorder.fold([event], commit.atMs);
      if (recorder.endedSteps === before || reduction.state.run?.runId !== runId) continue;
      const step = inFull ? await recorder.lastStepInFull(values) : recorder.lastStep();
      if (step !== undefined) yield step;
    }
  }
}

export function unknownSession(sessionId: string): OrchestraError {
  return new OrchestraError("ORCH_SESSION_UNKNOWN", `no session "${sessionId}" in this store`, {
    details: { sessionId },
  });
}
