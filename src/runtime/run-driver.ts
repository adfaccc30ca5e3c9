// Run driver
//
// Owns:      one run from its start (or resumption) to the result, as its caller sees it.
// Crossing:  engine.start() or resume() → driver → observers, question desk → OrchestraResult.
//
// D1  The result comes after every event of the run has reached the observers.
// D2  A run that waits for people goes on when the channel brings an answer; without one it ends `awaiting_user`.
// D3  An observer that throws is reported and not called again; the run is not its business.

import { errorToData } from "../base/error-data.ts";
import { isOrchestraError } from "../base/errors.ts";
import { EVENTS_PER_COMMIT_MAX } from "./events.ts";
import type { RunCode, RunEvent, RunHandle, RunOutcome } from "./engine-api.ts";
import type { ExecutionConfig } from "./execution-config.ts";
import type { Kernel } from "./kernel.ts";
import type { OrchestraResult, ResultQuestion } from "./result.ts";
import { resultFromOutcome } from "./result-from-outcome.ts";
import { autoSave } from "./auto-save.ts";
import type { SharedOptions } from "./run-options.ts";
import { statusPrinter, StatusConfig } from "./status.ts";

export interface DriveOptions {
  readonly code: RunCode;
  readonly observers: readonly ((event: RunEvent) => void)[];
  readonly signal?: AbortSignal;
  readonly autoSaveIntervalMs?: number | false;
  /** Nothing can have happened in the session yet. */
  readonly idIsNew?: boolean;
}

/** Where the events of the next commit of a session begin. */
async function eventsFrom(kernel: Kernel, sessionId: string): Promise<number> {
  const last = await kernel.store.last(sessionId);
  return last === null ? 0 : (last.n + 1) * EVENTS_PER_COMMIT_MAX - 1;
}

/** How a run is driven where options say who watches it and how often it is saved. */
export function driveOptionsOf(
  { metricsCollector, observers: shared = [], verbosity = 0, stateManager }: SharedOptions,
  run: Pick<DriveOptions, "code" | "observers"> & {
    readonly execution: ExecutionConfig;
    readonly signal: AbortSignal | undefined;
  },
): DriveOptions {
  const { code, execution, observers, signal } = run;
  const printer = statusPrinter(execution.status ?? StatusConfig.fromVerbosity(verbosity));
  const all = [...observers];
  const watching = metricsCollector === undefined ? shared : [metricsCollector, ...shared];
  for (const one of watching) all.push((event) => one.observe(event));
  if (printer !== undefined) all.push(printer);
  return {
    code,
    observers: all,
    autoSaveIntervalMs: stateManager?.autoSaveIntervalMs ?? false,
    ...(signal !== undefined && { signal }),
  };
}

/** Starts or resumes a run by `begin`, watching from its first event, and follows it until it ends for its caller. */
export function driveRun(
  kernel: Kernel,
  sessionId: string,
  begin: () => Promise<RunHandle>,
  options: DriveOptions,
): Promise<OrchestraResult> {
  const { autoSaveIntervalMs = false, observers } = options;
  return observers.length > 0 || kernel.desk !== undefined || autoSaveIntervalMs !== false
    ? driveWatched(kernel, sessionId, begin, options, autoSaveIntervalMs)
    : driveUnwatched(kernel, sessionId, begin);
}

/** Nobody to tell: the run is followed by its outcome alone. What waits here is all that a long run's caller holds. */
function driveUnwatched(kernel: Kernel, sessionId: string, begin: () => Promise<RunHandle>): Promise<OrchestraResult> {
  return begin()
    .then((handle) => {
      logStarted(kernel, handle);
      return handle.outcome;
    })
    .then(async (outcome) =>
      resultFromOutcome(outcome, outcome.status === "awaiting_user" ? await openQuestions(kernel, sessionId) : []),
    );
}

async function driveWatched(
  kernel: Kernel,
  sessionId: string,
  begin: () => Promise<RunHandle>,
  options: DriveOptions,
  autoSaveIntervalMs: number | false,
): Promise<OrchestraResult> {
  const after = options.idIsNew === true ? 0 : await eventsFrom(kernel, sessionId);
  const segments = new Segments();
  const stopped = new AbortController();
  kernel.desk?.begin(sessionId);
  let go: (handle: Promise<RunHandle>) => void = () => undefined;
  const begins = new Promise<RunHandle>((resolve) => (go = resolve));
  const watching = watch(kernel, sessionId, after, {
    segments,
    begins,
    observers: options.observers,
    idIsNew: options.idIsNew === true,
    signal: stopped.signal,
  });
  const stopSaving = autoSaveIntervalMs === false ? undefined : autoSave(kernel, sessionId, autoSaveIntervalMs);
  try {
    go(begin());
    const handle = await begins;
    logStarted(kernel, handle);
    const outcome = await untilDone(kernel, handle, segments, options);
    const questions = outcome.status === "awaiting_user" ? await openQuestions(kernel, sessionId) : [];
    segments.end();
    // Drained while it ran: nothing ends the events of a run that somebody may take up later.
    if (outcome.status === "running") stopped.abort();
    await watching;
    return resultFromOutcome(outcome, questions);
  } finally {
    segments.end();
    stopped.abort();
    kernel.desk?.end(sessionId);
    await stopSaving?.();
    await watching;
  }
}

function logStarted(kernel: Kernel, { sessionId, runId }: RunHandle): void {
  const { durability } = kernel.engine;
  kernel.logger.info({ sessionId, runId, durability }, `run started (durability: ${durability})`);
}

async function untilDone(
  kernel: Kernel,
  handle: RunHandle,
  segments: Segments,
  { code, signal }: DriveOptions,
): Promise<RunOutcome> {
  let outcome = await handle.outcome;
  while (outcome.status === "awaiting_user" && kernel.desk !== undefined) {
    await kernel.desk.askOpen(handle.sessionId);
    if (!(await kernel.desk.nextAnswer(handle.sessionId, signal))) {
      if (signal?.aborted) await kernel.engine.cancel(handle.sessionId, abortReason(signal));
      segments.next();
      return kernel.engine.outcome(handle.sessionId);
    }
    outcome = await afterAnswer(kernel, handle.sessionId, code, segments, signal);
  }
  return outcome;
}

// The answer set the run going again; by now it may have gone all the way.
async function afterAnswer(
  kernel: Kernel,
  sessionId: string,
  code: RunCode,
  segments: Segments,
  signal: AbortSignal | undefined,
): Promise<RunOutcome> {
  const entry = await kernel.engine.getSession(sessionId);
  if (entry?.status !== "running" && entry?.status !== "awaiting_user") {
    // Its observers have yet to hear of that way.
    segments.next();
    return kernel.engine.outcome(sessionId);
  }
  try {
    const resumed = await kernel.engine.resume(sessionId, { code, ...(signal !== undefined && { signal }) });
    segments.next();
    return await resumed.outcome;
  } catch (error) {
    if (!isOrchestraError(error, "ORCH_SESSION_STATE")) throw error;
    segments.next();
    return kernel.engine.outcome(sessionId);
  }
}

function abortReason(signal: AbortSignal): string {
  return signal.reason instanceof Error ? signal.reason.message : String(signal.reason);
}

async function openQuestions(kernel: Kernel, sessionId: string): Promise<ResultQuestion[]> {
  const questions = await kernel.engine.questions(sessionId);
  return questions.map(({ questionId, node, branchId, promptValue }) => ({
    questionId,
    node,
    branchId,
    prompt: promptValue,
  }));
}

/** How often the run was set going again: observers follow each stretch to its end. */
class Segments {
  #begun = 1;
  #ended = false;
  #wake: (() => void) | undefined;

  next(): void {
    this.#begun++;
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** Resolves with whether there is a stretch after the first `seen`. */
  async after(seen: number): Promise<boolean> {
    while (this.#begun <= seen && !this.#ended) await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.#begun > seen;
  }
}

interface Watching {
  readonly segments: Segments;
  readonly begins: Promise<RunHandle>;
  readonly observers: readonly ((event: RunEvent) => void)[];
  readonly idIsNew: boolean;
  readonly signal: AbortSignal;
}

async function watch(
  kernel: Kernel,
  sessionId: string,
  after: number,
  { segments, begins, observers, idIsNew, signal }: Watching,
): Promise<void> {
  const live = new Set([
    ...observers,
    ...(kernel.desk === undefined ? [] : [(event: RunEvent) => kernel.desk?.observe(event)]),
  ]);
  let cursor = after;
  let seen = 0;
  try {
    do {
      for await (const event of kernel.engine.events(sessionId, {
        after: cursor,
        untilSettled: true,
        begins,
        idIsNew: idIsNew && cursor === 0,
        signal,
      })) {
        cursor = event.seq;
        for (const observe of live) {
          try {
            observe(event);
          } catch (error) {
            live.delete(observe);
            kernel.logger.error(
              { sessionId, type: event.type, error: errorToData(error) },
              "an observer threw; it is not called again",
            );
          }
        }
      }
      seen++;
    } while (await segments.after(seen));
  } catch (error) {
    kernel.logger.error({ sessionId, error: errorToData(error) }, "the events of a run could not be followed");
  }
}
