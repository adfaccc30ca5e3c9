// Lost steps
//
// Of the steps this process sent and knows no result of, some are looked for now and then: a result whose hint was lost is
// told, and a step that is in neither the queue nor the register (a stream that lost its messages) is sent again. One that
// was buried stays so.

import type { NatsLink } from "./link.ts";
import type { OutstandingSteps, SentStep } from "./outstanding-steps.ts";
import { lastOn, mapSome, subjectsOf } from "./requests.ts";
import type { NatsResults } from "./result-register.ts";
import type { NatsStepQueue } from "./step-queue.ts";

/** Looked for at a time, so that many open steps cost no more than a few. */
const LOOKED_FOR_MAX = 64;
/** A step leaves the queue right after its result is registered: once seen as missing may be in between. */
const MISSING_MAX = 2;

export class LostSteps {
  readonly #link: NatsLink;
  readonly #steps: OutstandingSteps;
  readonly #queue: NatsStepQueue;
  readonly #results: NatsResults;
  readonly #everyMs: number;
  #cancel: (() => void) | undefined;
  #closed = false;

  constructor(link: NatsLink, steps: OutstandingSteps, queue: NatsStepQueue, results: NatsResults, everyMs: number) {
    this.#link = link;
    this.#steps = steps;
    this.#queue = queue;
    this.#results = results;
    this.#everyMs = everyMs;
    this.#plan();
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }

  #plan(): void {
    if (this.#closed) return;
    this.#cancel = this.#link.clock.setTimer(this.#everyMs, () => {
      this.#look()
        .catch((error: unknown) => this.#link.logger.warn({ error }, "outstanding steps could not be looked for"))
        .then(
          () => this.#plan(),
          () => undefined,
        );
    });
  }

  async #look(): Promise<void> {
    if (this.#link.status !== "connected") return;
    const nowMs = this.#link.clock.monotonicMs();
    const due: SentStep[] = [];
    for (const sent of this.#steps.sent.values()) if (nowMs - sent.lookedAtMs >= this.#everyMs) due.push(sent);
    due.sort((a, b) => a.lookedAtMs - b.lookedAtMs);
    await mapSome(due.slice(0, LOOKED_FOR_MAX), (sent) => this.#lookFor(sent));
  }

  async #lookFor(sent: SentStep): Promise<void> {
    const { step } = sent;
    const { sessionId, stepId, attempt, agent } = step;
    const { names, logger, clock } = this.#link;
    sent.lookedAtMs = clock.monotonicMs();
    if (await this.#results.look(sessionId, stepId, attempt)) return;
    const subject = names.work(agent, sessionId, stepId, attempt);
    const waits = (await subjectsOf(this.#link, names.streams.work, subject)).length > 0;
    sent.missing = waits ? 0 : sent.missing + 1;
    if (sent.missing < MISSING_MAX || this.#steps.sent.get(step) !== sent) return;
    if ((await lastOn(this.#link, names.streams.dead, names.dead(agent, sessionId, stepId, attempt))) !== undefined)
      return;
    logger.warn({ sessionId, stepId, agent }, "a step is neither in the queue nor has it a result; it is sent again");
    await this.#queue.sendAgain(step);
  }
}
