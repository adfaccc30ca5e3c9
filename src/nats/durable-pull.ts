// Durable pull
//
// Owns:      one durable consumer as this process uses it: that it exists, which requests for messages are out.
// Does not:  know what the messages mean, or how many are open here: `room` tells how many more it may ask for.
//
// U1  Never asks for more than there is room: nothing is fetched ahead, so nothing ages in a buffer.
// U2  A request that gives no sign of life for two heartbeats, or was made before the connection broke, counts for
//     nothing. Should its messages come after all they are handed on like any others.
// U3  After `stop`, what is still on its way is handed back at once.

import type { ConsumerConfig } from "@nats-io/jetstream";
import { createInbox, nanos, type Msg, type Subscription } from "@nats-io/transport-node";
import { OrchestraError } from "../base/errors.ts";
import {
  addDurable,
  durableCommand,
  durableInfo,
  durableSettings,
  type DurableConfig,
  type DurableSettings,
} from "./durable-consumer.ts";
import type { Connected, NatsLink } from "./link.ts";
import { Pulled } from "./pulled.ts";
import { answered } from "./requests.ts";

const HEARTBEAT_MS = 5_000;
const BATCH_MAX = 1_000;
const RETRY_MS = 100;
const RETRY_MS_MAX = 5_000;

const STATUS = { heartbeat: 100, noMessages: 404, expired: 408 } as const;

export interface DurablePullOptions {
  readonly link: NatsLink;
  readonly inboxPrefix: string;
  readonly config: DurableConfig;
  /** How many messages may be out, those asked for already included. */
  room(): number;
  /** How long a request waits at the server for messages, 0: not at all. Default 30_000. */
  waitMs?(): number;
  onMessage(message: Pulled): void;
  /** A request ended without its messages. Default: asks again. */
  onEmpty?(): void;
  /** These credentials may not have it. Default: that is an error, told once, and tried again. */
  onDenied?(error: unknown): void;
}

const WAIT_MS = 30_000;

interface Request {
  readonly subscription: Subscription;
  left: number;
  seenAtMs: number;
}

export class DurablePull {
  readonly #options: DurablePullOptions;
  readonly #requests = new Set<Request>();
  readonly #stopListening: () => void;
  #ensured = false;
  #asking = false;
  #stopped = false;
  #retryMs = RETRY_MS;
  #toldDenied = false;
  #cancelRetry: (() => void) | undefined;
  #cancelWatch: (() => void) | undefined;

  constructor(options: DurablePullOptions) {
    this.#options = options;
    this.#stopListening = options.link.onStatus((status) => {
      if (status !== "connected" && status !== "idle") return;
      for (const request of this.#requests) this.#forget(request);
      this.ask();
    });
  }

  /** There may be more room than before. */
  ask(): void {
    if (this.#asking || this.#stopped || this.#cancelRetry !== undefined || this.#toAsk() === 0) return;
    this.#asking = true;
    this.#ask().then(
      () => {
        this.#asking = false;
        this.#retryMs = RETRY_MS;
        this.ask();
      },
      (error: unknown) => {
        this.#asking = false;
        this.#retry(error);
      },
    );
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#stopListening();
    this.#cancelRetry?.();
    this.#cancelWatch?.();
    await Promise.all([...this.#requests].map(({ subscription }) => subscription.drain().catch(() => undefined)));
    this.#requests.clear();
  }

  /** Messages asked for and not yet here. */
  get expected(): number {
    let sum = 0;
    for (const request of this.#requests) sum += request.left;
    return sum;
  }

  /** As long as a request is out it is enough to ask again once half of the room is not asked for. */
  #toAsk(): number {
    const room = Math.min(this.#options.room(), BATCH_MAX);
    const { expected } = this;
    const missing = room - expected;
    return missing > 0 && (expected === 0 || missing >= room / 2) ? missing : 0;
  }

  async #ask(): Promise<void> {
    const { link, inboxPrefix, config } = this.#options;
    if (!this.#ensured) {
      await ensureDurable(link, config);
      this.#ensured = true;
    }
    const { nc, js } = await link.connected();
    const batch = this.#toAsk();
    if (batch === 0 || this.#stopped) return;
    const inbox = createInbox(inboxPrefix);
    const subscription = nc.subscribe(inbox, {
      callback: (error, message) => {
        if (error === null) this.#received(request, message);
        else this.#retry(error);
      },
    });
    const request: Request = { subscription, left: batch, seenAtMs: link.clock.monotonicMs() };
    this.#requests.add(request);
    const body = requestBody(batch, this.#options.waitMs?.() ?? WAIT_MS);
    nc.publish(`${js.apiPrefix}.CONSUMER.MSG.NEXT.${config.stream}.${config.name}`, body, { reply: inbox });
    this.#cancelWatch ??= link.clock.setTimer(HEARTBEAT_MS, () => this.#watch());
  }

  #received(request: Request, message: Msg): void {
    request.seenAtMs = this.#options.link.clock.monotonicMs();
    const status = message.headers?.code ?? 0;
    if (message.reply !== undefined && message.reply !== "" && status < 100) {
      const pulled = new Pulled(message);
      if (this.#stopped) return pulled.handBack(0);
      if (--request.left === 0) this.#forget(request);
      return this.#options.onMessage(pulled);
    }
    if (status === STATUS.heartbeat || this.#stopped) return;
    this.#forget(request);
    if (status === STATUS.noMessages || status === STATUS.expired)
      return this.#options.onEmpty === undefined ? this.ask() : this.#options.onEmpty();
    // The consumer was deleted or has a new leader, too many requests wait, or nobody is there.
    this.#retry(new Error(`${status} ${message.headers?.description ?? ""}`));
  }

  #forget(request: Request): void {
    if (!this.#requests.delete(request)) return;
    // Not at once: messages of a request that counts for nothing any more may be on their way.
    if (request.left > 0) void request.subscription.drain().catch(() => undefined);
    else request.subscription.unsubscribe();
  }

  #watch(): void {
    this.#cancelWatch = undefined;
    const { clock } = this.#options.link;
    for (const request of this.#requests)
      if (clock.monotonicMs() - request.seenAtMs > 2 * HEARTBEAT_MS) this.#forget(request);
    if (this.#requests.size > 0) this.#cancelWatch = clock.setTimer(HEARTBEAT_MS, () => this.#watch());
    this.ask();
  }

  #retry(error: unknown): void {
    const { link, config } = this.#options;
    if (this.#stopped || this.#cancelRetry !== undefined || link.status === "closed") return;
    this.#ensured = false;
    const isOurs = error instanceof OrchestraError;
    const isDenied = isOurs && error.code === "ORCH_BUS_DENIED";
    if (isDenied && this.#options.onDenied !== undefined) return this.#options.onDenied(error);
    if (!isDenied || !this.#toldDenied)
      link.logger[isOurs ? "error" : "debug"](
        { stream: config.stream, consumer: config.name, error, againInMs: this.#retryMs },
        isOurs ? "no messages can be asked for; tried again" : "a request for messages ended early; made again",
      );
    this.#toldDenied = isDenied;
    this.#cancelRetry = link.clock.setTimer(this.#retryMs, () => {
      this.#cancelRetry = undefined;
      this.ask();
    });
    this.#retryMs = Math.min(2 * this.#retryMs, RETRY_MS_MAX);
  }
}

function requestBody(batch: number, waitMs: number): string {
  if (waitMs === 0) return JSON.stringify({ batch, no_wait: true });
  const expires = nanos(waitMs);
  // The server refuses heartbeats of more than half the time.
  const beats = waitMs >= 2 * HEARTBEAT_MS ? { idle_heartbeat: nanos(HEARTBEAT_MS) } : {};
  return JSON.stringify({ batch, expires, ...beats });
}

/**
 * Creates the consumer where it is missing, and brings its settings up to date.
 * @throws {OrchestraError} `ORCH_BUS_DENIED` with the command that creates it, when these credentials may not.
 */
export async function ensureDurable(link: NatsLink, config: DurableConfig): Promise<void> {
  const wanted = durableSettings(config);
  try {
    await answered(link, `consumer ${config.name} of ${config.stream}`, async ({ jsm }) => {
      const existing = await durableInfo(jsm, config);
      if (existing === undefined) await addDurable(jsm, config);
      else if (differs(existing.config, wanted)) await update(link, jsm, config, wanted);
    });
  } catch (error) {
    if (!(error instanceof OrchestraError) || error.code !== "ORCH_BUS_DENIED") throw error;
    throw new OrchestraError(
      "ORCH_BUS_DENIED",
      `consumer ${config.name} of ${config.stream} is missing, and these credentials may not create it; an operator does: ` +
        durableCommand(config),
      { cause: error, details: { stream: config.stream, consumer: config.name } },
    );
  }
}

/** What may be changed of a consumer that exists. Fewer open messages than wanted are an operator's choice. */
function differs(existing: ConsumerConfig, wanted: DurableSettings): boolean {
  return existing.ack_wait !== wanted.ack_wait || existing.max_deliver !== wanted.max_deliver;
}

/** Who may not change it works with it as it is. */
async function update(
  link: NatsLink,
  jsm: Connected["jsm"],
  config: DurableConfig,
  wanted: DurableSettings,
): Promise<void> {
  const { ack_wait, max_deliver } = wanted;
  try {
    await jsm.consumers.update(config.stream, config.name, { ack_wait, max_deliver });
  } catch (error) {
    link.logger.warn({ consumer: config.name, error }, "a consumer has other settings than this host's; left as it is");
  }
}
