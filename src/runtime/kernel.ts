// Kernel: everything one instance (or one run) needs, brought together and taken apart again in the right order.

import type { Inspect } from "../actors/live-actor.ts";
import { systemClock, type Clock } from "../base/clock.ts";
import { errorToData } from "../base/error-data.ts";
import { createIds, type Ids } from "../base/ids.ts";
import { silentLogger, type Logger } from "../base/logger.ts";
import { systemRandom } from "../base/random.ts";
import { createLocalBus } from "../bus/local-bus.ts";
import type { Bus } from "../bus/ports.ts";
import { memoryStorage } from "../state/memory-store.ts";
import { copiedStoreOf } from "../state/copied-store.ts";
import type { SessionStore } from "../state/ports.ts";
import type { Channel } from "./channel.ts";
import type { Engine } from "./engine-api.ts";
import { createEngine } from "./engine.ts";
import { DEFAULT_UNSERVED, type HostingOptions } from "./hosting.ts";
import { planNestedRun } from "./nested-run.ts";
import type { Observe } from "./owned-events.ts";
import { QuestionDesk } from "./question-desk.ts";
import { resultFromOutcome } from "./result-from-outcome.ts";
import type { SharedOptions } from "./run-options.ts";
import type { StateManager } from "./state-manager.ts";

export interface Kernel {
  readonly engine: Engine;
  readonly store: SessionStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly desk: QuestionDesk | undefined;
  /** Nobody else in this process used the store when it was opened, so a session that is `running` there has nobody behind it. */
  readonly alone: boolean;
  /** Idempotent. Errors while closing are combined. */
  close(): Promise<void>;
}

/** Where the parts come from that exist before the kernel does. */
export interface Grounds {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: Logger;
  readonly inspect?: SharedOptions["inspect"];
}

export function groundsOf(options: Pick<SharedOptions, "clock" | "random" | "logger" | "inspect">): Grounds {
  const clock = options.clock ?? systemClock();
  const random = options.random ?? systemRandom();
  const logger = options.logger ?? silentLogger;
  const { inspect } = options;
  return { clock, ids: createIds(clock, random), logger, inspect: inspect && reported(inspect, logger) };
}

/** An inspector that throws would throw into the actor it is told of. */
function reported(inspect: Inspect, logger: Logger): Inspect {
  return (event) => {
    try {
      inspect(event);
    } catch (error) {
      logger.error({ error: errorToData(error) }, "an inspector threw");
    }
  };
}

/** Without a store of their own, this many ended sessions can be continued or looked at; a service must not grow for ever. */
const ENDED_SESSIONS_MAX = 1_000;

export interface KernelOptions extends Pick<
  SharedOptions,
  "bus" | "memory" | "random" | "unserved" | "unservedAfterMs"
> {
  readonly hosting?: HostingOptions;
  /** Of a host. */
  readonly observers?: readonly Observe[];
  readonly stateManager?: StateManager;
  readonly channel: Channel | undefined;
  readonly maxSessions?: number;
}

/** Opens the store and starts an engine on it. @throws {OrchestraError} `ORCH_STORE_*` */
export async function openKernel(options: KernelOptions, { clock, ids, logger, inspect }: Grounds): Promise<Kernel> {
  const sessions = options.bus?.sessions;
  // What all hosts must reach is nowhere but there; a folder of one's own beside it holds a copy.
  const isUsed = sessions === undefined || options.stateManager?.storage.another !== undefined;
  const lease = isUsed ? await options.stateManager?.acquire() : undefined;
  const own = lease?.store ?? memoryStorage({ endedSessionsMax: ENDED_SESSIONS_MAX });
  const copied = sessions === undefined || lease === undefined ? undefined : copiedStoreOf(sessions, own, logger);
  const store = copied ?? sessions ?? own;
  await sessions?.open();
  const ownBus: Bus | undefined = options.bus === undefined ? createLocalBus({ clock, logger }) : undefined;
  const bus = options.bus ?? ownBus;
  if (bus === undefined) throw new TypeError("a kernel without a bus");
  const engine = createEngine({
    store,
    bus,
    clock,
    random: options.random ?? systemRandom(),
    ids,
    logger,
    inspect,
    busIsOwn: ownBus !== undefined,
    unserved: {
      afterMs: options.unservedAfterMs ?? DEFAULT_UNSERVED.afterMs,
      fails: options.unserved === "fail",
    },
    ...(options.hosting !== undefined && { hosting: options.hosting }),
    ...(options.observers !== undefined && { observers: options.observers }),
    ...(options.memory !== undefined && { memory: options.memory }),
    ...(options.maxSessions !== undefined && { maxSessions: options.maxSessions }),
    ...(options.stateManager?.retention !== undefined && { retention: options.stateManager.retention }),
    nested: { prepare: planNestedRun, result: (outcome) => resultFromOutcome(outcome) },
  });
  const desk = options.channel === undefined ? undefined : new QuestionDesk(engine, options.channel, logger, clock);
  let closing: Promise<void> | undefined;
  return {
    engine,
    store,
    clock,
    logger,
    desk,
    alone: sessions === undefined && (lease?.first ?? true),
    close() {
      closing ??= closeAll(
        [
          () => desk?.close(),
          () => engine.close(),
          () => ownBus?.close(),
          () => copied?.idle(),
          () => lease?.release(),
        ],
        logger,
      );
      return closing;
    },
  };
}

async function closeAll(closers: readonly (() => unknown)[], logger: Logger): Promise<void> {
  const failures: unknown[] = [];
  for (const close of closers) {
    try {
      await close();
    } catch (error) {
      logger.error({ error: errorToData(error) }, "closing failed");
      failures.push(error);
    }
  }
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) throw new AggregateError(failures, "several parts could not be closed");
}
