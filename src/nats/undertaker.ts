// Undertaker
//
// Steps that the server hands out no more. A worker that gets a step once too often buries it (step-queue.ts); this is for
// the case that nobody lived long enough to do so.
//
// T1  The server says so in an advisory, which a stream keeps; one host takes it.
// T2  Advisories can be lost. What lies in the work queue, was handed out and is open nowhere will never be handed out
//     again; whether there is any is seen by counting.
// T3  A step that has a result after all is removed without a letter.

import type { ConsumerInfo, StoredMsg } from "@nats-io/jetstream";
import { z } from "zod";
import type { NatsDeadLetters } from "./dead-letters.ts";
import { DurablePull } from "./durable-pull.ts";
import type { NatsParts } from "./parts.ts";
import type { Pulled } from "./pulled.ts";
import { answered, deleteAt, lastOn, messageAt, nextOn } from "./requests.ts";
import { readStep } from "./step-encoding.ts";

const ADVISORIES_AT_ONCE = 16;
const ACK_WAIT_MS = 60_000;
const CONSUMER = "undertaker";
const HEADSTONE = "handed out as often as the server may";

const advisoryShape = z.object({ stream: z.string(), stream_seq: z.number().int(), deliveries: z.number().int() });

export class Undertaker {
  readonly #parts: NatsParts;
  readonly #letters: NatsDeadLetters;
  readonly #lookEveryMs: number;
  readonly #pull: DurablePull;
  #open = 0;
  #stopped = false;
  #cancelLook: (() => void) | undefined;

  constructor(parts: NatsParts, letters: NatsDeadLetters, lookEveryMs: number) {
    this.#parts = parts;
    this.#letters = letters;
    this.#lookEveryMs = lookEveryMs;
    const { link, settings } = parts;
    const { streams } = link.names;
    this.#pull = new DurablePull({
      link,
      inboxPrefix: settings.inboxPrefix,
      config: {
        stream: streams.dead,
        name: CONSUMER,
        filter: `$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.${streams.work}.>`,
        ackWaitMs: ACK_WAIT_MS,
        maxDeliver: -1,
        maxAckPending: 1_000,
      },
      room: () => ADVISORIES_AT_ONCE - this.#open,
      onMessage: (pulled) => this.#advised(pulled),
      onDenied: () => this.#leaveToOthers(),
    });
    this.#pull.ask();
    this.#planLook();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelLook?.();
    await this.#pull.stop();
  }

  /** A worker may not look into the queue; hosts do. */
  #leaveToOthers(): void {
    this.#parts.link.logger.debug({}, "these credentials may not bury steps; that is left to hosts");
    void this.stop();
  }

  /** T2. Resolves to how many were found. */
  async look(): Promise<number> {
    const { link } = this.#parts;
    const { work } = link.names.streams;
    const { state } = await answered(link, `look at ${work}`, ({ jsm }) => jsm.streams.info(work));
    const consumers = await answered(link, `look at the consumers of ${work}`, async ({ jsm }) => {
      const all: ConsumerInfo[] = [];
      for await (const one of jsm.consumers.list(work)) all.push(one);
      return all;
    });
    let known = 0;
    for (const { num_pending, num_ack_pending } of consumers) known += num_pending + num_ack_pending;
    if (state.messages <= known) return 0;
    let found = 0;
    for (const consumer of consumers) found += await this.#lookAt(consumer);
    return found;
  }

  #planLook(): void {
    if (this.#stopped) return;
    this.#cancelLook = this.#parts.link.clock.setTimer(this.#lookEveryMs, () => {
      this.look()
        .catch((error: unknown) =>
          this.#parts.link.logger.warn({ error }, "steps nobody is handed could not be looked for"),
        )
        .then(
          () => this.#planLook(),
          () => undefined,
        );
    });
  }

  async #lookAt(consumer: ConsumerInfo): Promise<number> {
    const { link } = this.#parts;
    const filter = consumer.config.filter_subject;
    if (filter === undefined) return 0;
    const handedOut: StoredMsg[] = [];
    for (let seq = 1; seq <= consumer.delivered.stream_seq;) {
      const message = await nextOn(link, link.names.streams.work, filter, seq);
      if (message === undefined || message.seq > consumer.delivered.stream_seq) break;
      handedOut.push(message);
      seq = message.seq + 1;
    }
    if (handedOut.length <= consumer.num_ack_pending) return 0;
    if (consumer.num_ack_pending > 0) {
      // Which of them are open is not to be seen; when none is, all are lost.
      link.logger.warn(
        { consumer: consumer.name, handedOut: handedOut.length, open: consumer.num_ack_pending },
        "steps lie in the queue that are handed out no more; they are buried once no other step of the agent is open",
      );
      return 0;
    }
    const now = await answered(link, `look at ${consumer.name}`, ({ jsm }) =>
      jsm.consumers.info(consumer.stream_name, consumer.name),
    );
    if (now.num_ack_pending > 0 || now.delivered.consumer_seq !== consumer.delivered.consumer_seq) return 0;
    for (const message of handedOut) await this.#bury(message, consumer.config.max_deliver ?? 0);
    return handedOut.length;
  }

  #advised(pulled: Pulled): void {
    this.#open++;
    this.#take(pulled)
      .catch((error: unknown) => {
        this.#parts.link.logger.error({ error }, "an advisory could not be dealt with; it comes again");
        pulled.handBack(5_000);
      })
      .then(
        () => {
          this.#open--;
          this.#pull.ask();
        },
        () => undefined,
      );
  }

  async #take(pulled: Pulled): Promise<void> {
    const { link } = this.#parts;
    const { work, dead } = link.names.streams;
    const advisory = pulled.isAnswer ? undefined : readAdvisory(pulled.data);
    if (advisory !== undefined && advisory.stream === work) {
      const message = await messageAt(link, work, advisory.stream_seq);
      if (message !== undefined) await this.#bury(message, advisory.deliveries);
    } else link.logger.warn({ subject: pulled.subject }, "an advisory that is none; dropped");
    pulled.ack();
    await deleteAt(link, dead, pulled.seq);
  }

  async #bury(message: StoredMsg, deliveries: number): Promise<void> {
    const { link, spill } = this.#parts;
    const { names } = link;
    const step = await readStep(spill, { subject: message.subject, data: message.data, headers: message.header });
    const { sessionId, stepId, attempt } = step;
    const result = await lastOn(link, names.streams.results, names.result(sessionId, stepId, attempt));
    if (result === undefined)
      await this.#letters.bury({
        step,
        deliveries,
        reason: `${HEADSTONE} (${deliveries} times), and never ended`,
        workSeq: message.seq,
      });
    await deleteAt(link, names.streams.work, message.seq);
  }
}

function readAdvisory(data: Uint8Array): z.infer<typeof advisoryShape> | undefined {
  try {
    return advisoryShape.parse(JSON.parse(Buffer.from(data).toString("utf8")));
  } catch {
    return undefined;
  }
}
