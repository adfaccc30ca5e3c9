// Ground: what a process stands on, its machine's own disk and bus or a connection to those that several hosts share.

import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { Bus } from "../../bus/ports.ts";
import type { SessionStore } from "../../state/ports.ts";

export interface SimulatedBus extends Bus {
  /** What the process took hold of and did not let go, for L3. */
  readonly held: readonly string[];
  /** For canaries that come when nothing may come any more. */
  offerAgain(): void;
  /** The last commit of the session this process wrote, and knows of; undefined where it wrote none. */
  known(sessionId: string): number | undefined;
}

export interface Ground {
  readonly bus: SimulatedBus;
  /** Where sessions are kept that the bus does not keep. Opened by the process. */
  storage(): SessionStore;
}

export interface GroundParts {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Attempts the policies of the run allow, for S9. */
  attemptsMax(sessionId: string): number;
}
