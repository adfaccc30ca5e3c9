// Left behind
//
// Owns:      that a session this process had to let go of, since the store failed, is left to others once the store is back.
// Does not:  go on with it: who may, a host that adopts does, or whoever resumes it.
//
// Its log still names this host, which is alive, so that nobody else would take it.

import { errorToData } from "../base/error-data.ts";
import { isOrchestraError } from "../base/errors.ts";
import type { Fact } from "../actors/facts.ts";
import { againLater } from "./again-later.ts";
import { commitAside } from "./aside.ts";
import type { EnginePorts } from "./engine-ports.ts";
import { NOBODY } from "./hosting.ts";
import { loadSession } from "./log-fold.ts";

const AGAIN_MS = 1_000;

export interface LeftBehindPorts {
  readonly ports: EnginePorts;
  /** Whether it is live here again, or will be. */
  isBack(sessionId: string): boolean;
  isOver(): boolean;
  onDisowned(sessionId: string): void;
}

export function leaveBehind(at: LeftBehindPorts, sessionId: string, times = 0): void {
  const { deadlines, logger } = at.ports;
  againLater(deadlines, AGAIN_MS, times, () => {
    if (at.isOver()) return;
    disown(at, sessionId).catch((error: unknown) => {
      if (isOrchestraError(error, "ORCH_FENCED")) return;
      logger.warn(
        { sessionId, times, error: errorToData(error) },
        "a session that was lost could not be left to others",
      );
      leaveBehind(at, sessionId, times + 1);
    });
  });
}

async function disown(at: LeftBehindPorts, sessionId: string): Promise<void> {
  const { ports } = at;
  if (at.isBack(sessionId)) return;
  const loaded = await loadSession(ports.store, sessionId);
  if (loaded === null || at.isBack(sessionId) || at.isOver()) return;
  const { entry, position } = loaded;
  if (entry.status !== "running" || entry.host !== ports.host || entry.parentSessionId !== undefined) return;
  const nobody: Fact = { type: "owned", host: NOBODY, epoch: position.epoch + 1, shiftMs: 0 };
  if ((await commitAside(ports, sessionId, position, [nobody])).accepted) at.onDisowned(sessionId);
}
