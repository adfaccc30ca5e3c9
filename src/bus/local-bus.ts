import type { Clock } from "../base/clock.ts";
import { OrchestraError } from "../base/errors.ts";
import { silentLogger, type Logger } from "../base/logger.ts";
import { LocalDeadLetters, type KeptLetter } from "./local-dead-letters.ts";
import { LocalInbox } from "./local-inbox.ts";
import { LocalJournal } from "./local-journal.ts";
import { LocalLiveEvents } from "./local-live-events.ts";
import { LocalLiveness } from "./local-liveness.ts";
import { LocalResults } from "./local-results.ts";
import { LocalStepQueue } from "./local-step-queue.ts";
import type { Bus } from "./ports.ts";

export interface LocalBusOptions {
  readonly clock: Clock;
  /** Told of dead letters, of claims taken back and of listeners that threw. Default: nobody. */
  readonly logger?: Logger;
  /** A claim not beaten for this many milliseconds is handed to another worker. Default `false`: the workers live in this process and cannot die alone. */
  readonly ackWaitMs?: number | false;
  /** How often a step is handed out before it becomes a dead letter. Default 10. */
  readonly maxDelivery?: number;
  /** Steps of one agent that may wait; `offer` refuses more as `full`. Default 100,000. */
  readonly queueCapacity?: number;
  /** Unread commands of one session; `post` refuses more with ORCH_OVERLOADED. Default 10,000. */
  readonly mailboxCapacity?: number;
  /** Called for each step that leaves the queue without a result: given up, or handed out too often. */
  readonly onDeadLetter?: (letter: KeptLetter) => void;
}

const DEFAULTS = Object.freeze({ maxDelivery: 10, queueCapacity: 100_000, mailboxCapacity: 10_000 });

/**
 * The bus within one process: nothing crosses a wire and nothing is copied, so that a step costs about a microsecond.
 * It survives nothing; what must survive is in the session's log. `close` drops what is queued and does not wait for
 * open claims: stop the servers first.
 *
 * @throws {OrchestraError} `ORCH_BAD_OPTION` for a bound that is not a whole number from 1.
 */
export function createLocalBus(options: LocalBusOptions): Bus {
  const { clock, logger = silentLogger, onDeadLetter } = options;
  const deadLetters = new LocalDeadLetters(clock, logger);
  const steps = new LocalStepQueue({
    clock,
    logger,
    ackWaitMs:
      options.ackWaitMs === undefined || options.ackWaitMs === false ? false : bound("ackWaitMs", options.ackWaitMs),
    maxDelivery: bound("maxDelivery", options.maxDelivery ?? DEFAULTS.maxDelivery),
    queueCapacity: bound("queueCapacity", options.queueCapacity ?? DEFAULTS.queueCapacity),
    onBuried(buried) {
      const letter = deadLetters.add(buried);
      const { sessionId, stepId, agent, attempt, deliveries, reason } = letter;
      logger.error({ sessionId, stepId, agent, attempt, deliveries, reason }, "step became a dead letter");
      try {
        onDeadLetter?.(letter);
      } catch (error) {
        logger.error({ sessionId, stepId, error }, "listener of dead letters threw");
      }
    },
  });
  const results = new LocalResults(logger);
  const journal = new LocalJournal();
  const inbox = new LocalInbox(
    clock,
    logger,
    bound("mailboxCapacity", options.mailboxCapacity ?? DEFAULTS.mailboxCapacity),
  );
  const liveness = new LocalLiveness(clock, logger);
  const live = new LocalLiveEvents(logger);
  return {
    name: "local",
    steps,
    results,
    journal,
    inbox,
    liveness,
    live,
    deadLetters,
    async close() {
      for (const part of [steps, results, journal, inbox, liveness, live, deadLetters]) part.close();
    },
  };
}

function bound(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw new OrchestraError("ORCH_BAD_OPTION", `${name}: expected a whole number from 1, got ${value}`);
}
