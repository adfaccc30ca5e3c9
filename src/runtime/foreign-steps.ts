// Foreign steps: steps that run here for a session whose owner is another host. They learn from the bus that nobody wants
// them any more, and, where that was lost, from the session's entry in the store.

import { errorToData } from "../base/error-data.ts";
import type { Logger } from "../base/logger.ts";
import type { Bus } from "../bus/ports.ts";
import type { SessionStore } from "../state/ports.ts";
import { isEnded } from "../state/run-status.ts";
import type { Deadline, Deadlines } from "./deadlines.ts";
import type { Execution } from "./execution.ts";
import { signalOf } from "./live-signals.ts";

/** How often the entry is looked at: as often as a step is reported alive. */
const LOOK_MS = 5_000;

export interface ForeignStepsPorts {
  readonly bus: Bus;
  readonly store: SessionStore;
  readonly deadlines: Deadlines;
  readonly logger: Logger;
}

export class ForeignSteps {
  readonly #ports: ForeignStepsPorts;

  constructor(ports: ForeignStepsPorts) {
    this.#ports = ports;
  }

  /** Returns the way to stop. */
  attend(execution: Execution): () => void {
    const { bus, deadlines } = this.#ports;
    const { sessionId } = execution;
    const { stepId } = execution.body.offer;
    const subscription = bus.live.subscribe(sessionId, (event) => {
      const signal = signalOf(event);
      if (signal?.type === "abort" && signal.stepId === stepId) execution.abort(signal.reason);
    });
    let deadline: Deadline | undefined;
    const look = (): void => {
      deadline = deadlines.after(LOOK_MS, () => {
        void this.#look(execution).then(() => {
          if (!execution.ended && deadline !== undefined) look();
        });
      });
    };
    look();
    return () => {
      subscription.close();
      if (deadline !== undefined) deadlines.clear(deadline);
      deadline = undefined;
    };
  }

  async #look(execution: Execution): Promise<void> {
    const { store, logger } = this.#ports;
    try {
      const entry = await store.getSession(execution.sessionId);
      if (entry === null || entry.runId !== execution.runId || isEnded(entry.status)) execution.abort("ended");
    } catch (error) {
      logger.warn(
        { sessionId: execution.sessionId, error: errorToData(error) },
        "it could not be found out whether a step is still wanted; it goes on",
      );
    }
  }
}
