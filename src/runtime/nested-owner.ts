// Nested owner: a step that waits for a nested run which is live on another host finds out that this host is gone. Nobody
// else takes a nested run over: only the step has its agents.

import type { Engine, RunHandle, RunOutcome } from "./engine-api.ts";
import type { Deadline, Deadlines } from "./deadlines.ts";

const LOOK_MS = 5_000;
/** So often in a row it must be found without an owner: one that comes may be named by the log before it is seen to be alive. */
const LOOKS = 2;

export interface NestedOwnerPorts {
  readonly engine: Pick<Engine, "outcome">;
  readonly deadlines: Deadlines;
  /** It says that it runs, and neither this host nor another that is alive owns it. */
  isAbandoned(sessionId: string): Promise<boolean>;
}

/** What the run ends in, or how it stands when nobody is behind it any more. */
export function outcomeWhileOwned(ports: NestedOwnerPorts, { sessionId, outcome }: RunHandle): Promise<RunOutcome> {
  const { engine, deadlines } = ports;
  return new Promise((resolve, reject) => {
    let found = 0;
    let next: Deadline | undefined;
    const settled = (): void => {
      if (next !== undefined) deadlines.clear(next);
      found = -Infinity;
    };
    const look = (): void => {
      next = deadlines.after(LOOK_MS, () => {
        next = undefined;
        ports.isAbandoned(sessionId).then(
          (isAbandoned) => {
            if (isAbandoned) found++;
            else found = Math.min(found, 0);
            if (found >= LOOKS) engine.outcome(sessionId).then(resolve, reject);
            else if (found >= 0) look();
          },
          () => found >= 0 && look(),
        );
      });
    };
    look();
    void outcome.then(resolve, reject).finally(settled);
  });
}
