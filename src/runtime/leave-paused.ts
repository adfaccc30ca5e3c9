// Leave paused: a session with nobody behind it is taken over and paused in one commit, so that it shows as what it is.

import { commitAside } from "./aside.ts";
import type { EnginePorts } from "./engine-ports.ts";
import { loadSession } from "./log-fold.ts";

/**
 * Deadlines move by the time since its last commit. False for a session that is not there.
 * @throws {OrchestraError} `ORCH_FENCED` when an owner appeared meanwhile, `ORCH_STORE_*`
 */
export async function leavePaused(ports: EnginePorts, sessionId: string, reason: string): Promise<boolean> {
  const loaded = await loadSession(ports.store, sessionId);
  if (loaded === null) return false;
  const { position } = loaded;
  const shiftMs = Math.max(0, ports.clock.nowMs() - position.lastAtMs);
  await commitAside(ports, sessionId, position, [
    { type: "owned", host: ports.host, epoch: position.epoch + 1, shiftMs },
    { type: "paused", reason, inFlight: "abort" },
  ]);
  return true;
}
