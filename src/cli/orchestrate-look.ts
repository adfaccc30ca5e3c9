// `orchestrate status`, `events` and `cancel`: runs looked at and ended from another process than their own.

import type { EventView } from "../control/index.ts";
import { OrchestraError, type RunEvent } from "../index.ts";
import { foldRunEvents, isRunTopology, RunProjection, statusOf, type RunStatus } from "../orchestrator/index.ts";
import { eventsCommand } from "./events-command.ts";
import { EXIT } from "./exit-code.ts";
import type { Io } from "./io.ts";
import { runEventLine } from "./orchestrate-line.ts";
import type { StoreFlags } from "./session-options.ts";
import { allSessions, knownSession, withStore, type OpenStore } from "./store-access.ts";

interface LookFlags extends StoreFlags {
  readonly json?: boolean;
}

/** Of one run, or of all. */
export async function statusCommand(runId: string | undefined, flags: LookFlags, io: Io): Promise<number> {
  return withStore(flags, io, async (store) => {
    const ids = runId === undefined ? await runsOf(store) : [await knownRun(store, runId)];
    const runs: (RunStatus & { readonly runId: string })[] = [];
    for (const id of ids) runs.push({ runId: id, ...statusOf(await foldRunEvents(id, recordedEvents(store, id))) });
    if (flags.json) io.out(JSON.stringify(runId === undefined ? runs : runs[0], null, 2));
    else for (const run of runs) io.out(statusLine(run));
    return EXIT.ok;
  });
}

export async function runEventsCommand(
  runId: string,
  { after = 0, ...flags }: LookFlags & { readonly follow?: boolean; readonly after?: number },
  io: Io,
): Promise<number> {
  await withStore(flags, io, (store) => knownRun(store, runId));
  const projection = new RunProjection(runId);
  return eventsCommand(runId, flags, io, (event) =>
    projection
      .next(runEvent(event))
      .filter(({ seq }) => seq > after)
      .map((told) => (flags.json ? JSON.stringify(told) : runEventLine(told))),
  );
}

export async function cancelRunCommand(
  runId: string,
  flags: LookFlags & { readonly reason?: string },
  io: Io,
): Promise<number> {
  return withStore(flags, io, async (store) => {
    await knownRun(store, runId);
    const { reason } = flags;
    const success = await store.operations.cancel({ sessionId: runId, ...(reason !== undefined && { reason }) });
    if (flags.json) io.out(JSON.stringify({ success }));
    else io.out(success ? `run ${runId} was cancelled` : `run ${runId} has ended already`);
    return success ? EXIT.ok : EXIT.failed;
  });
}

async function runsOf({ operations }: OpenStore): Promise<readonly string[]> {
  const ids: string[] = [];
  for await (const { sessionId, topologyHash } of allSessions(operations))
    if (isRunTopology(topologyHash)) ids.push(sessionId);
  return ids;
}

/** @throws {OrchestraError} `ORCH_SESSION_UNKNOWN` also for a session that is no run. */
async function knownRun(store: OpenStore, runId: string): Promise<string> {
  const { topologyHash } = await knownSession(store, runId);
  if (isRunTopology(topologyHash)) return runId;
  throw new OrchestraError("ORCH_SESSION_UNKNOWN", `"${runId}" is a session, but no run of an orchestrator`, {
    details: { sessionId: runId },
  });
}

async function* recordedEvents({ operations }: OpenStore, runId: string): AsyncGenerator<RunEvent> {
  const { signal } = new AbortController();
  for await (const event of operations.events({ sessionId: runId }, signal)) yield runEvent(event);
}

/** What the store's process tells is the event itself, as JSON. */
function runEvent(event: EventView): RunEvent {
  return event as EventView & RunEvent;
}

function statusLine({
  runId,
  phase,
  progress,
  reason,
  budget,
  waiting,
  iteration,
}: RunStatus & { runId: string }): string {
  const how = reason === undefined ? (waiting ?? "") : budget === undefined ? reason : `${reason} (${budget})`;
  return [runId, phase, `${progress} %`, `iteration ${iteration}`, how].filter((one) => one !== "").join("  ");
}
