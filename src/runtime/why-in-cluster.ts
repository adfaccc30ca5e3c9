// Why in a cluster: who is behind a session, and what of it nobody can do.

import type { SessionState } from "../actors/session-state.ts";
import type { EngineParts } from "./engine-parts.ts";
import { unservedSteps, type Why } from "./why.ts";

/** Undefined where the bus is the engine's own. `full`: steps of its own that the queue has no room for. */
export async function whyInCluster(
  { cluster, ports, live, ownerElsewhere }: EngineParts,
  state: SessionState,
  full: readonly string[],
): Promise<Why["cluster"]> {
  if (cluster === undefined) return undefined;
  const { sessionId } = state;
  const hosts = await cluster.roster.look();
  const entry = await ports.store.getSession(sessionId);
  const elsewhere = entry === null ? null : await ownerElsewhere(sessionId, entry);
  const host = live.get(sessionId) === undefined ? elsewhere : ports.host;
  const unserved = unservedSteps(state, (agent) => ports.worker.serves(agent) || cluster.roster.isServed(agent));
  const found = { host, unserved, full };
  if (host !== null || state.status !== "running") return found;
  const adopting = hosts.filter(({ adopts }) => adopts).length;
  const unowned =
    cluster.leftAlone(sessionId) ??
    (adopting === 0
      ? "no host that is alive takes over sessions (orchestra host does)"
      : `none of the ${adopting} hosts that take over sessions has taken it yet`);
  return { ...found, unowned };
}
