// Session removal
//
// Owns:      removing a session with all it left behind: in the store, on the bus, and the sessions nested in it.
// Does not:  stop a session that is live; only what is nested in one that is not is cancelled first.
//
// The innermost goes first, so that a removal that was interrupted leaves nothing that only its name leads to.

import { allNestedIn } from "../state/nested-sessions.ts";
import type { SessionEntry } from "../state/ports.ts";
import type { EngineParts } from "./engine-parts.ts";
import type { Exclusive } from "./exclusive.ts";
import { busy, ownedElsewhere } from "./live-sessions.ts";

type Parts = Pick<EngineParts, "ports" | "live" | "ownerElsewhere" | "nestedEnds">;

/** False for an unknown session. @throws {OrchestraError} `ORCH_SESSION_BUSY` while it is live anywhere. */
export function removeSession(parts: Parts, exclusive: Exclusive, sessionId: string): Promise<boolean> {
  return exclusive.run(sessionId, async () => {
    const { live, ports } = parts;
    if (live.get(sessionId) !== undefined) throw busy(sessionId, "cancel its run before deleting it");
    const entry = await ports.store.getSession(sessionId);
    const host = entry === null ? null : await parts.ownerElsewhere(sessionId, entry);
    if (host !== null) throw ownedElsewhere(sessionId, host, "cancel its run before deleting it");
    const nested = await allNestedIn(ports.store, sessionId);
    await parts.nestedEnds.around(sessionId, "all");
    for (const { sessionId: nestedId } of nested.reverse()) await exclusive.run(nestedId, () => drop(parts, nestedId));
    return drop(parts, sessionId);
  });
}

/** The same, and nothing when it has moved since `seen` or is live anywhere. */
export function removeUnmoved(parts: Parts, exclusive: Exclusive, seen: SessionEntry): Promise<void> {
  const { sessionId } = seen;
  return exclusive.run(sessionId, async () => {
    const { live, ports } = parts;
    if (live.get(sessionId) !== undefined) return;
    const entry = await ports.store.getSession(sessionId);
    if (entry === null || entry.n !== seen.n || (await parts.ownerElsewhere(sessionId, entry)) !== null) return;
    await drop(parts, sessionId);
  });
}

async function drop({ ports }: Parts, sessionId: string): Promise<boolean> {
  await ports.bus.results.forget(sessionId);
  await ports.bus.inbox.forget(sessionId);
  return ports.store.deleteSession(sessionId);
}
