// The ports of the bus on one connection, and the order in which they close.

import { CLOSE_MS, finishedWithin } from "../base/finished-within.ts";
import type { Bus } from "../bus/ports.ts";
import { NatsDeadLetters } from "./dead-letters.ts";
import { OPEN_STEPS_MAX } from "./durable-consumer.ts";
import { NatsInbox } from "./inbox.ts";
import { NatsJournal } from "./journal.ts";
import { NatsLiveEvents } from "./live-events.ts";
import { NatsLiveness } from "./liveness.ts";
import { LostSteps } from "./lost-steps.ts";
import type { NatsParts } from "./parts.ts";
import { OutstandingSteps } from "./outstanding-steps.ts";
import { NatsResults } from "./result-register.ts";
import { NatsStepQueue } from "./step-queue.ts";
import { Undertaker } from "./undertaker.ts";

export interface BusTuning {
  /** Steps of one agent that may wait; `offer` refuses more as `full`. */
  readonly queueCapacity: number;
  /** Steps of one agent that all hosts together may have open. An operator may set the consumer otherwise. */
  readonly maxAckPending: number;
  /** Unread commands of one session; `post` refuses more with ORCH_OVERLOADED. */
  readonly mailboxCapacity: number;
  /** How long a journal entry waits for a session to have an owner: longer than a take-over takes. */
  readonly journalPatienceMs: number;
  /** How often outstanding steps are looked for. */
  readonly stepLookMs: number;
  /** How often watchers of an inbox look unasked. */
  readonly inboxLookMs: number;
  /** How often steps that the server hands out no more are looked for. */
  readonly graveLookMs: number;
}

export const DEFAULT_BUS_TUNING: Readonly<BusTuning> = Object.freeze({
  queueCapacity: 100_000,
  maxAckPending: OPEN_STEPS_MAX,
  mailboxCapacity: 10_000,
  journalPatienceMs: 30_000,
  stepLookMs: 5_000,
  inboxLookMs: 30_000,
  graveLookMs: 60_000,
});

export type BusPorts = Omit<Required<Bus>, "name">;

export function createBusPorts(parts: NatsParts, tuning: Partial<BusTuning> = {}): BusPorts {
  const { link, spill, settings } = parts;
  const bounds = { ...DEFAULT_BUS_TUNING, ...tuning };
  const outstanding = new OutstandingSteps();
  const deadLetters = new NatsDeadLetters(link, spill);
  const queue = new NatsStepQueue(parts, deadLetters, outstanding, { ...settings, ...bounds });
  const results = new NatsResults(parts, outstanding);
  const journal = new NatsJournal(link, spill, {
    patienceMs: bounds.journalPatienceMs,
    localFirst: settings.localFirst,
  });
  const inbox = new NatsInbox(parts, bounds.mailboxCapacity, bounds.inboxLookMs);
  const liveness = new NatsLiveness(parts);
  const live = new NatsLiveEvents(link);
  // Neither runs a timer in a process that never needs it.
  let lost: LostSteps | undefined;
  let undertaker: Undertaker | undefined;
  return {
    steps: {
      offer(step) {
        lost ??= new LostSteps(link, outstanding, queue, results, bounds.stepLookMs);
        return queue.offer(step);
      },
      withdraw: (sessionId, stepId) => queue.withdraw(sessionId, stepId),
      depth: (agent) => queue.depth(agent),
      serve(options) {
        const server = queue.serve(options);
        undertaker ??= new Undertaker(parts, deadLetters, bounds.graveLookMs);
        return server;
      },
    },
    results,
    journal,
    inbox,
    liveness,
    live,
    deadLetters,
    status: {
      now: () => (link.status === "idle" ? "reconnecting" : link.status),
      watch: (onChange) => link.onStatus((status) => onChange(status === "idle" ? "reconnecting" : status)),
    },
    async close() {
      lost?.close();
      // What was asked for and is on its way is handed back, unless the server does not answer.
      await finishedWithin(Promise.all([queue.close(), undertaker?.stop()]), CLOSE_MS, link.clock);
      for (const part of [results, journal, inbox, liveness, live, deadLetters]) part.close();
    },
  };
}
