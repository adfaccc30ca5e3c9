// Nested recovery: nested runs whose step is not coming back for them.
//
// A step that runs again finds its nested runs itself. Those of a run that is over, or gone, have nobody: a crash between
// the end of a run and that of what was nested in it leaves them so. Those of a run that stands still, stand still.

import { errorToData } from "../base/error-data.ts";
import type { RunStatus } from "../actors/effects.ts";
import type { SessionEntry } from "../state/ports.ts";
import { isEnded } from "../state/run-status.ts";
import type { EngineParts } from "./engine-parts.ts";
import { leavePaused } from "./leave-paused.ts";
import { AROUND_STANDS_STILL } from "./nested-ends.ts";

type Parts = Pick<EngineParts, "ports" | "live" | "ownerElsewhere" | "nestedEnds">;
type Status = RunStatus | "gone";

const PAGE = 200;

/** Called once the runs around them were recovered. What fails is reported to the logger and passed over. */
export async function recoverNested(parts: Parts): Promise<void> {
  const { store, logger } = parts.ports;
  const known = new Map<string, Promise<Status>>();
  const settled = (sessionId: string): Promise<Status> => {
    const before = known.get(sessionId);
    if (before !== undefined) return before;
    const now = store.getSession(sessionId).then((entry) => (entry === null ? "gone" : settle(entry)));
    known.set(sessionId, now);
    return now;
  };
  const settle = async (entry: SessionEntry): Promise<Status> => {
    const { sessionId, parentSessionId, status } = entry;
    if (parentSessionId === undefined || isEnded(status)) return status;
    const around = await settled(parentSessionId);
    const isOver = around === "gone" || isEnded(around);
    if (!isOver && (status !== "running" || around === "running")) return status;
    if (parts.live.get(sessionId) !== undefined || (await parts.ownerElsewhere(sessionId, entry)) !== null)
      return status;
    if (isOver) {
      await parts.nestedEnds.orphaned(sessionId);
      return "cancelled";
    }
    await leavePaused(parts.ports, sessionId, AROUND_STANDS_STILL);
    return "paused";
  };
  for (const entry of await nestedEntries(parts)) {
    await settled(entry.sessionId).catch((error: unknown) =>
      logger.error(
        { sessionId: entry.sessionId, error: errorToData(error) },
        "a nested session could not be recovered",
      ),
    );
  }
}

/** Of runs that have not ended. Read in full before any is touched: that changes what the listing shows. */
async function nestedEntries({ ports }: Parts): Promise<SessionEntry[]> {
  const found: SessionEntry[] = [];
  for (const status of ["running", "paused", "awaiting_user"] as const) {
    for (let cursor: string | undefined; ;) {
      const page = await ports.store.listSessions({ status, limit: PAGE, ...(cursor === undefined ? {} : { cursor }) });
      for (const entry of page) if (entry.parentSessionId !== undefined) found.push(entry);
      if (page.length < PAGE) break;
      cursor = page.at(-1)?.sessionId;
    }
  }
  return found;
}
