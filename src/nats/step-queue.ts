// Step queue on JetStream
//
// Owns:      where each step offered by this process is (kept here or sent), and what the claims of its servers come to.
// Does not:  know results, or decide who serves what.
// Crossing:  offer → a server of this process, or the stream; DurablePull → NatsStepServer → run.
//
// S1  A step stands under its id in one place: kept here (open, or held until its time) or in the stream, which refuses a
//     second under the same subject until the first is acknowledged (B1).
// S2  Local first: a step goes to a server of this process that has a free slot without touching the bus. One that was taken
//     over, or sent before, goes over the bus, where deliveries are counted.
// S3  The server of NATS hands a step out again by itself (B2). A worker that gets it more than `maxDelivery` times does not
//     run it but buries it; the server's own limit lies above and is the undertaker's business.
// S4  What this process holds for a time is sent when the time has come, however often that has to be tried.

import { headers } from "@nats-io/transport-node";
import { closedError } from "../bus/closed-error.ts";
import type { Claim, StepMessage, StepQueue, StepServer } from "../bus/ports.ts";
import { isFull, JS_CODE, jsCode } from "./bus-errors.ts";
import type { NatsDeadLetters } from "./dead-letters.ts";
import { agentConsumer } from "./durable-consumer.ts";
import { agentConsumerName, encodeName } from "./names.ts";
import type { NatsParts } from "./parts.ts";
import { OpenClaims, type HandedStep } from "./open-claims.ts";
import type { KeptStep, OutstandingSteps } from "./outstanding-steps.ts";
import type { Pulled } from "./pulled.ts";
import { QueueDepth } from "./queue-depth.ts";
import { answered, deleteAt, lastOn, subjectsOf } from "./requests.ts";
import { plainStep, readStep, SESSION_HEADER, STEP_HEADER } from "./step-encoding.ts";
import { NatsStepServer } from "./step-server.ts";
import { read } from "./shapes.ts";

/** How often a step was handed out before it was sent. */
const DELIVERIES_HEADER = "Orch-Deliveries";
const DISCOVER_EVERY_MS = 500;
const RESEND_MS = 250;
const RESEND_MS_MAX = 10_000;

export interface NatsStepQueueOptions {
  readonly localFirst: boolean;
  readonly ackWaitMs: number;
  readonly maxDelivery: number;
  /** Steps of one agent that may wait; more are refused as `full`. */
  readonly queueCapacity: number;
  /** Steps of one agent that all hosts together may have open. */
  readonly maxAckPending: number;
}

interface Serving {
  readonly server: NatsStepServer;
  readonly agents: ReadonlySet<string> | undefined;
}

type Answer = "queued" | "already" | "full";

export class NatsStepQueue implements StepQueue {
  readonly #parts: NatsParts;
  readonly #options: NatsStepQueueOptions;
  readonly #letters: NatsDeadLetters;
  readonly #steps: OutstandingSteps;
  readonly #claims: OpenClaims;
  readonly #depth: QueueDepth;
  #servings: readonly Serving[] = [];
  /** Steps kept here that wait for their time, by agent. */
  readonly #held = new Map<string, number>();
  #cancelDiscovery: (() => void) | undefined;
  #closed = false;

  constructor(parts: NatsParts, letters: NatsDeadLetters, steps: OutstandingSteps, options: NatsStepQueueOptions) {
    this.#parts = parts;
    this.#letters = letters;
    this.#steps = steps;
    this.#options = options;
    const { link } = parts;
    this.#claims = new OpenClaims(link.clock, link.logger, options.ackWaitMs);
    this.#depth = new QueueDepth(link, options.queueCapacity);
  }

  /** @throws {OrchestraError} `ORCH_NOT_SERIALIZABLE`, `ORCH_PAYLOAD_TOO_LARGE`, `ORCH_BUS_UNREACHABLE` */
  async offer(offered: StepMessage): Promise<Answer> {
    if (this.#closed) throw closedError(`offer of step ${offered.stepId}`);
    if (this.#steps.kept.get(offered) !== undefined) return "already";
    const wasSent = this.#steps.sent.get(offered) !== undefined;
    const waitMs = (offered.notBeforeMs ?? 0) - this.#parts.link.clock.nowMs();
    if (waitMs <= 0 && !wasSent && this.#keep(offered, 0)) return "queued";
    // Now, and not when its turn comes: what it tells is how things stood when it was offered.
    const step = plainStep(offered);
    if (await this.#depth.isFull(step.agent, this.#held.get(step.agent) ?? 0)) return "full";
    // Somebody else may have offered it here while the server was asked.
    if (this.#steps.kept.get(step) !== undefined) return "already";
    if (waitMs <= 0) return this.#send(step, 0);
    this.#hold(step, 0, waitMs);
    return "queued";
  }

  /**
   * A step that was claimed before and waits to be handed out again counts as claimed: that is not to be seen from outside.
   * @throws {OrchestraError} `ORCH_BUS_UNREACHABLE`
   */
  async withdraw(sessionId: string, stepId: string): Promise<boolean> {
    let found = false;
    for (const kept of this.#steps.kept.attempts(sessionId, stepId)) {
      if (kept.state !== "held") continue;
      this.#letGo(kept);
      found = true;
    }
    const { link } = this.#parts;
    const { names } = link;
    const filter = names.pattern("work", "*", encodeName(sessionId), encodeName(stepId), "*");
    for (const subject of await subjectsOf(link, names.streams.work, filter))
      if (await this.#withdrawSubject(subject)) found = true;
    this.#steps.sent.deleteAll(sessionId, stepId);
    return found;
  }

  serve(options: { agents?: readonly string[]; slots: number; run: (claim: Claim) => Promise<void> }): StepServer {
    if (this.#closed) throw closedError("serve");
    const { link, settings } = this.#parts;
    const server = new NatsStepServer(options.slots, options.run, {
      link,
      inboxPrefix: settings.inboxPrefix,
      claims: this.#claims,
      ackWaitMs: this.#options.ackWaitMs,
      consumerOf: (token) => agentConsumer(link.names, token, this.#options),
      open: (pulled) => this.#open(pulled),
      onStopped: () => (this.#servings = this.#servings.filter((one) => one.server !== server)),
    });
    this.#servings = [
      ...this.#servings,
      { server, agents: options.agents === undefined ? undefined : new Set(options.agents) },
    ];
    for (const agent of options.agents ?? []) server.addAgent(encodeName(agent));
    if (options.agents === undefined) this.#discover();
    return server;
  }

  /** Held here, and waiting at the server as far as is known; asking makes it look again. */
  depth(agent?: string): number {
    let held = 0;
    for (const [name, count] of this.#held) if (agent === undefined || agent === name) held += count;
    return held + this.#depth.now(agent);
  }

  /** Sends a step again that was lost on the bus; of one that is there after all nothing changes. */
  async sendAgain(step: StepMessage): Promise<void> {
    await this.#send(step, 0);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelDiscovery?.();
    for (const kept of this.#steps.kept.values()) kept.cancelTimer?.();
    this.#steps.kept.clear();
    this.#steps.sent.clear();
    const servings = this.#servings;
    this.#servings = [];
    this.#claims.close();
    await Promise.all(servings.map(({ server }) => server.halt()));
  }

  // ---- steps kept here

  /** S2. */
  #keep(step: StepMessage, deliveries: number): boolean {
    if (!this.#options.localFirst || step.recovered === true) return false;
    const serving = this.#servings.find(
      ({ server, agents }) => server.hasFreeSlot && (agents === undefined || agents.has(step.agent)),
    );
    if (serving === undefined) return false;
    const kept: KeptStep = { step, deliveries: deliveries + 1, state: "open", cancelTimer: undefined };
    this.#steps.kept.set(step, kept);
    serving.server.give(this.#handedHere(kept));
    return true;
  }

  #handedHere(kept: KeptStep): HandedStep {
    const { step } = kept;
    const delivery = kept.deliveries;
    const isMine = (): boolean => this.#steps.kept.get(step) === kept && kept.deliveries === delivery;
    const { clock, logger } = this.#parts.link;
    /** S4: nobody else knows of it. */
    const bury = async (reason: string, retryMs = RESEND_MS): Promise<void> => {
      try {
        await this.#letters.bury({ step, deliveries: delivery, reason });
      } catch (error) {
        if (this.#closed || !isMine()) return;
        logger.error({ stepId: step.stepId, error, retryMs }, "a step could not be buried; tried again");
        kept.cancelTimer = clock.setTimer(retryMs, () => void bury(reason, Math.min(2 * retryMs, RESEND_MS_MAX)));
        return;
      }
      if (isMine()) this.#steps.kept.delete(step);
    };
    const handBack = async (delayMs: number, why: string): Promise<void> => {
      if (this.#closed || !isMine()) return;
      if (delivery >= this.#options.maxDelivery) return bury(tooOften(delivery, why));
      this.#steps.kept.delete(step);
      this.#hold(plainStep(step), delivery, delayMs);
    };
    return {
      step,
      delivery,
      isOverBus: false,
      beat: () => undefined,
      finish: () => {
        if (isMine()) this.#steps.kept.delete(step);
      },
      finishLate: () => {
        const now = this.#steps.kept.get(step);
        if (now?.state === "held") this.#letGo(now);
      },
      handBack,
      lapse: (why) => void handBack(0, why),
      giveUp: (reason) => bury(reason),
    };
  }

  #hold(step: StepMessage, deliveries: number, delayMs: number): void {
    const kept: KeptStep = { step, deliveries, state: "held", cancelTimer: undefined };
    this.#steps.kept.set(step, kept);
    this.#held.set(step.agent, (this.#held.get(step.agent) ?? 0) + 1);
    const { clock } = this.#parts.link;
    const dueAtMs = clock.monotonicMs() + delayMs;
    // The wall clock may have been set back meanwhile: a time that was given on it is looked at again.
    const due = (): void => {
      const leftMs = deliveries > 0 ? dueAtMs - clock.monotonicMs() : (step.notBeforeMs ?? 0) - clock.nowMs();
      if (leftMs > 0) kept.cancelTimer = clock.setTimer(leftMs, due);
      else this.#release(kept, RESEND_MS);
    };
    kept.cancelTimer = clock.setTimer(Math.max(0, delayMs), due);
  }

  /** S4. */
  #release(kept: KeptStep, retryMs: number): void {
    const { step, deliveries } = kept;
    if (this.#closed || this.#steps.kept.get(step) !== kept) return;
    this.#letGo(kept);
    if (this.#keep(step, deliveries)) return;
    this.#steps.kept.set(step, kept);
    this.#held.set(step.agent, (this.#held.get(step.agent) ?? 0) + 1);
    const again = (error?: unknown): void => {
      this.#parts.link.logger.warn(
        { stepId: step.stepId, error, retryMs },
        "a held step could not be sent; tried again",
      );
      kept.cancelTimer = this.#parts.link.clock.setTimer(retryMs, () =>
        this.#release(kept, Math.min(2 * retryMs, RESEND_MS_MAX)),
      );
    };
    this.#send(step, deliveries).then((answer) => {
      if (this.#steps.kept.get(step) !== kept) return this.#withdrawn(step, answer);
      if (answer === "full") return again();
      this.#letGo(kept);
    }, again);
  }

  /** It was withdrawn while it was being sent. */
  #withdrawn({ sessionId, stepId }: StepMessage, answer: Answer): void {
    if (answer === "queued" && !this.#closed)
      this.withdraw(sessionId, stepId).catch((error: unknown) =>
        this.#parts.link.logger.warn({ sessionId, stepId, error }, "a step could not be withdrawn"),
      );
  }

  #letGo(kept: KeptStep): void {
    const { step } = kept;
    kept.cancelTimer?.();
    this.#steps.kept.delete(step);
    const left = (this.#held.get(step.agent) ?? 1) - 1;
    if (left === 0) this.#held.delete(step.agent);
    else this.#held.set(step.agent, left);
  }

  // ---- steps on the bus

  async #send(step: StepMessage, deliveries: number): Promise<Answer> {
    const { link, spill } = this.#parts;
    const { sessionId, stepId, agent, attempt } = step;
    const payload = await spill.pack(step);
    const subject = link.names.work(agent, sessionId, stepId, attempt);
    const what = `offer step ${stepId} of session "${sessionId}"`;
    const answer = await answered(link, what, async ({ js }): Promise<Answer> => {
      const sent = headers();
      sent.set(SESSION_HEADER, encodeURIComponent(sessionId));
      sent.set(STEP_HEADER, encodeURIComponent(stepId));
      if (deliveries > 0) sent.set(DELIVERIES_HEADER, String(deliveries));
      try {
        await js.publish(subject, payload, { headers: sent });
        return "queued";
      } catch (error) {
        if (isFull(error)) return "full";
        if (jsCode(error) === JS_CODE.maxMessagesPerSubject) return "already";
        throw error;
      }
    });
    if (answer === "queued") this.#depth.sent(agent);
    if (answer !== "full") this.#steps.sent.set(step, { step, lookedAtMs: link.clock.monotonicMs(), missing: 0 });
    return answer;
  }

  async #open(pulled: Pulled): Promise<HandedStep | undefined> {
    const { link, spill } = this.#parts;
    if (pulled.isAnswer) {
      link.logger.error(
        { subject: pulled.subject },
        "a step that nobody offered, but an answer of the server; dropped",
      );
      pulled.term();
      return undefined;
    }
    const before = Number(pulled.headers?.get(DELIVERIES_HEADER) ?? 0) || 0;
    const delivery = before + pulled.delivery;
    const what = `step ${pulled.subject}`;
    const bury = async (step: StepMessage, deliveries: number, reason: string): Promise<undefined> => {
      await this.#letters.bury({ step, deliveries, reason, workSeq: pulled.seq });
      pulled.term();
    };
    let step: StepMessage;
    try {
      step = read.step(await spill.unpack(pulled.data, what), what);
    } catch (error) {
      if ((error as { code?: unknown }).code !== "ORCH_BUS_PAYLOAD") throw error;
      return bury(await readStep(spill, pulled), delivery, (error as Error).message);
    }
    const { maxDelivery } = this.#options;
    if (delivery > maxDelivery) return bury(step, maxDelivery, tooOften(maxDelivery, "no worker ended it"));
    return {
      step,
      delivery,
      isOverBus: true,
      beat: () => pulled.beat(),
      finish: () => pulled.ack(),
      finishLate: () => pulled.ack(),
      handBack: async (delayMs, why) => {
        if (delivery >= maxDelivery) await bury(step, delivery, tooOften(delivery, why));
        else pulled.handBack(delayMs);
      },
      lapse: () => undefined,
      giveUp: (reason) => bury(step, delivery, reason),
    };
  }

  async #withdrawSubject(subject: string): Promise<boolean> {
    const { link } = this.#parts;
    const { work } = link.names.streams;
    const message = await lastOn(link, work, subject);
    if (message === undefined) return false;
    const agentToken = subject.split(".").at(-4) ?? "";
    const delivered = await answered(link, `look at the consumer of ${agentToken}`, async ({ jsm }) => {
      try {
        return (await jsm.consumers.info(work, agentConsumerName(agentToken))).delivered.stream_seq;
      } catch (error) {
        if (jsCode(error) === JS_CODE.consumerNotFound) return 0;
        throw error;
      }
    });
    return message.seq > delivered && deleteAt(link, work, message.seq);
  }

  /** Who serves all agents finds them by the steps that wait. */
  #discover(): void {
    if (this.#cancelDiscovery !== undefined || this.#closed) return;
    const { link } = this.#parts;
    const all = this.#servings.filter(({ agents }) => agents === undefined);
    if (all.length === 0) return;
    this.#cancelDiscovery = () => undefined;
    subjectsOf(link, link.names.streams.work, link.names.pattern("work", ">"))
      .then(
        (subjects) => {
          for (const subject of subjects)
            for (const { server } of all) server.addAgent(subject.split(".").at(-4) ?? "");
        },
        (error: unknown) => link.logger.warn({ error }, "agents with steps could not be looked for; tried again"),
      )
      .then(() => {
        if (this.#closed) return;
        this.#cancelDiscovery = link.clock.setTimer(DISCOVER_EVERY_MS, () => {
          this.#cancelDiscovery = undefined;
          this.#discover();
        });
      })
      .catch(() => undefined);
  }
}

function tooOften(deliveries: number, why: string): string {
  return `handed out ${deliveries} times, the most allowed; the last time ${why}`;
}
