// Aside: a commit to a session that is not live anywhere, without carrying out what follows from it.

import type { Fact } from "../actors/facts.ts";
import type { SessionState } from "../actors/session-state.ts";
import { Committer } from "./committer.ts";
import type { Blobs, CommitAnswer, LogPosition } from "./committer.ts";
import type { EnginePorts } from "./engine-ports.ts";
import { NOBODY } from "./hosting.ts";

/**
 * The position is checked by the append, so an owner that appeared meanwhile is safe: the commit is refused. Afterwards the index says
 * that nobody owns the session.
 * @throws {OrchestraError} `ORCH_FENCED`, `ORCH_STORE_*`
 */
export async function commitAside(
  ports: Pick<EnginePorts, "store" | "clock" | "ids" | "host" | "hub">,
  sessionId: string,
  position: LogPosition,
  facts: readonly Fact[],
  blobs?: Blobs,
): Promise<CommitAnswer & { readonly state: SessionState }> {
  const { store, clock, ids, host } = ports;
  const committer = new Committer(sessionId, { store, clock, ids, host, owner: NOBODY }, position, {
    onCommitted: (commit, reduction) =>
      ports.hub.publish(sessionId, {
        n: commit.n,
        atMs: commit.atMs,
        runId: reduction.state.run?.runId ?? "",
        events: reduction.events,
      }),
    onStopped: () => undefined,
  });
  const answer = await committer.commit(facts, { blobs });
  return { ...answer, state: committer.state };
}
