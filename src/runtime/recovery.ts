// Recovery: sessions that say "running" while nobody runs them, and those that waited for people for too long.

import { leavePaused } from "./leave-paused.ts";
import type { Engine, RunCode, RunHandle } from "./engine-api.ts";
import type { EngineParts } from "./engine-parts.ts";
import { errorToData } from "../base/error-data.ts";
import { isOrchestraError, type OrchestraErrorCode } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { SessionEntry, SessionStore } from "../state/ports.ts";

type Recovered = Awaited<ReturnType<Engine["recover"]>>[number];

const PAGE = 200;
const LEAVES_PAUSED: ReadonlySet<string> = new Set([
  "ORCH_AGENT_UNKNOWN",
  "ORCH_CONDITION_UNKNOWN",
  "ORCH_MIGRATION",
] satisfies OrchestraErrorCode[]);

/**
 * Continues those whose code is known and whole; the others are left paused, so that nothing stays "running" with nobody behind it.
 * Nested runs are found again by the step that ran them. A session that cannot be read is reported to the logger and passed over.
 */
export async function recoverSessions(
  parts: EngineParts,
  options: NonNullable<Parameters<Engine["recover"]>[0]>,
  resume: (sessionId: string, code: RunCode) => Promise<RunHandle>,
): Promise<Recovered[]> {
  const { ports } = parts;
  const recovered: Recovered[] = [];
  for (const entry of await interrupted(parts)) {
    const { sessionId } = entry;
    const runId = entry.runId ?? "";
    try {
      const code =
        options.code?.(entry) ?? (entry.topologyHash === null ? undefined : parts.codes.get(entry.topologyHash));
      if (options.resume !== false && code !== undefined) {
        const handle = await resume(sessionId, code).catch((error: unknown) => leftFor(error, sessionId, ports.logger));
        if (handle !== undefined) {
          recovered.push({ sessionId, runId, action: "resumed", handle });
          continue;
        }
      }
      // It waits as before, for whoever has its functions.
      if (entry.status === "awaiting_user") continue;
      // Hosts that are alive may have what this one lacks.
      if (((await parts.cluster?.roster.look()) ?? []).some(({ adopts }) => adopts)) continue;
      if (!(await leavePaused(ports, sessionId, "its process ended"))) continue;
      recovered.push({ sessionId, runId, action: "left" });
    } catch (error) {
      ports.logger.error({ sessionId, error: errorToData(error) }, "an interrupted session could not be recovered");
    }
  }
  return recovered;
}

/** Undefined, with a warning, when only functions were missing or a migration did not fit: then nothing was committed. */
function leftFor(error: unknown, sessionId: string, logger: Logger): undefined {
  if (!isOrchestraError(error) || !LEAVES_PAUSED.has(error.code)) throw error;
  logger.warn(
    { sessionId, error: errorToData(error) },
    "an interrupted session is left paused until it is resumed with what it needs",
  );
}

/** Read in full before any is touched: recovering one changes what the listing shows. */
async function interrupted(parts: EngineParts): Promise<SessionEntry[]> {
  const { store, clock } = parts.ports;
  const found: SessionEntry[] = [];
  const consider = async (entry: SessionEntry): Promise<void> => {
    if (parts.live.get(entry.sessionId) !== undefined) return;
    if ((await parts.ownerElsewhere(entry.sessionId, entry)) === null) found.push(entry);
  };
  for await (const entry of topSessions(store, "running")) await consider(entry);
  for await (const entry of waitingSessions(store))
    if (entry.dueAtMs !== undefined && entry.dueAtMs <= clock.nowMs()) await consider(entry);
  return found;
}

/** Sessions that wait for people, without nested ones: those go on with the session around them. */
export function waitingSessions(store: SessionStore): AsyncGenerator<SessionEntry> {
  return topSessions(store, "awaiting_user");
}

async function* topSessions(store: SessionStore, status: "running" | "awaiting_user"): AsyncGenerator<SessionEntry> {
  for (let cursor: string | undefined; ;) {
    const page = await store.listSessions({ status, limit: PAGE, ...(cursor === undefined ? {} : { cursor }) });
    for (const entry of page) if (entry.parentSessionId === undefined) yield entry;
    if (page.length < PAGE) return;
    cursor = page.at(-1)?.sessionId;
  }
}
