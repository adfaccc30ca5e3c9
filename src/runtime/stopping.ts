// Stopping: a run is paused or cancelled, wherever it is live.

import type { Fact } from "../actors/facts.ts";
import { commitAside } from "./aside.ts";
import { forgetEnded } from "./ended-results.ts";
import { stepsOf } from "./engine-parts.ts";
import type { EngineParts } from "./engine-parts.ts";
import type { Exclusive } from "./exclusive.ts";
import { loadSession } from "./log-fold.ts";

/** Done here when the session is ours or nobody's, posted to its owner otherwise. False when there is nothing to stop. */
export async function stopRun(
  parts: EngineParts,
  exclusive: Exclusive,
  sessionId: string,
  fact: Extract<Fact, { type: "paused" | "cancelled" }>,
): Promise<boolean> {
  const { live, ports } = parts;
  const running = live.get(sessionId);
  const answer = running === undefined ? undefined : await live.commit(running.session, [fact]);
  if (answer !== undefined) {
    // Once it is cancelled so is what is nested in it.
    if (answer.accepted && fact.type === "cancelled") await running?.outcome.catch(() => undefined);
    return answer.accepted;
  }
  return exclusive.run(sessionId, async () => {
    const opened = live.get(sessionId);
    const late = opened === undefined ? undefined : await live.commit(opened.session, [fact]);
    if (late !== undefined) return late.accepted;
    const loaded = await loadSession(ports.store, sessionId);
    if (loaded === null) return false;
    if ((await parts.ownerElsewhere(sessionId, loaded.entry)) !== null) {
      const { type, ...body } = fact;
      const command = type === "paused" ? ("pause" as const) : ("cancel" as const);
      await parts.inboxOf(sessionId).post(sessionId, { id: ports.ids.next("cmd"), type: command, body });
      return true;
    }
    const { accepted, state } = await commitAside(ports, sessionId, loaded.position, [fact]);
    if (accepted && fact.type === "cancelled") {
      await parts.nestedEnds.around(sessionId, stepsOf(state));
      // Of attempts that ended when nobody here had the session any more.
      await forgetEnded(ports.bus.results, state);
    }
    return accepted;
  });
}
