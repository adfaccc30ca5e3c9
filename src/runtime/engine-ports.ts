// Engine ports: what the parts of one engine share.

import type { Inspect } from "../actors/live-actor.ts";
import type { Clock } from "../base/clock.ts";
import type { Ids } from "../base/ids.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";
import type { Bus } from "../bus/ports.ts";
import type { SessionStore } from "../state/ports.ts";
import type { Deadlines } from "./deadlines.ts";
import type { EventHub } from "./event-hub.ts";
import type { Values } from "./values.ts";
import type { Worker } from "./worker.ts";

export interface EnginePorts {
  readonly store: SessionStore;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: Random;
  readonly ids: Ids;
  readonly logger: Logger;
  /** Who we are in commits and the index. */
  readonly host: string;
  readonly deadlines: Deadlines;
  readonly values: Values;
  readonly worker: Worker;
  readonly hub: EventHub;
  /** Others may use the bus: steps and sessions may be on other hosts. */
  readonly shared: boolean;
  /** Sessions and steps are XState's own actors, and it is told of them. */
  readonly inspect: Inspect | undefined;
}
