// Durable consumers: how they are set, whether a host makes them or an operator beforehand.

import { AckPolicy, DeliverPolicy, ReplayPolicy, type ConsumerInfo, type JetStreamManager } from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import { JS_CODE, jsCode } from "./bus-errors.ts";
import { agentConsumerName, type Names } from "./names.ts";

/** Requests of all hosts that may wait at the server. */
const WAITING_MAX = 16_384;
/** The server hands out so much more often than a worker runs it: once to be buried, once more in case that fails. */
const BURIALS_MAX = 2;

/** Steps of one agent that all hosts together may have open, unless an operator sets the consumer otherwise. */
export const OPEN_STEPS_MAX = 10_000;

export interface DurableConfig {
  readonly stream: string;
  readonly name: string;
  readonly filter: string;
  readonly ackWaitMs: number;
  readonly maxDeliver: number;
  readonly maxAckPending: number;
}

export interface AgentConsumerOptions {
  readonly ackWaitMs: number;
  /** How often a worker runs a step, which the server hands out a little more often. */
  readonly maxDelivery: number;
  readonly maxAckPending: number;
}

/** The consumer that hands out the steps of one agent, by the agent's token. */
export function agentConsumer(
  { streams, pattern }: Names,
  agentToken: string,
  { ackWaitMs, maxDelivery, maxAckPending }: AgentConsumerOptions,
): DurableConfig {
  return {
    stream: streams.work,
    name: agentConsumerName(agentToken),
    filter: pattern("work", agentToken, "*", "*", "*"),
    ackWaitMs,
    maxDeliver: maxDelivery + BURIALS_MAX,
    maxAckPending,
  };
}

export type DurableSettings = ReturnType<typeof durableSettings>;

export function durableSettings(config: DurableConfig) {
  return {
    ack_policy: AckPolicy.Explicit,
    deliver_policy: DeliverPolicy.All,
    replay_policy: ReplayPolicy.Instant,
    ack_wait: nanos(config.ackWaitMs),
    max_deliver: config.maxDeliver,
    max_ack_pending: config.maxAckPending,
    max_waiting: WAITING_MAX,
  };
}

/** One that exists with the same settings is left as it is. */
export async function addDurable(jsm: JetStreamManager, config: DurableConfig): Promise<void> {
  const { stream, name, filter } = config;
  await jsm.consumers.add(stream, { ...durableSettings(config), durable_name: name, filter_subject: filter });
}

export async function durableInfo(
  jsm: JetStreamManager,
  { stream, name }: Pick<DurableConfig, "stream" | "name">,
): Promise<ConsumerInfo | undefined> {
  try {
    return await jsm.consumers.info(stream, name);
  } catch (error) {
    if (jsCode(error) === JS_CODE.consumerNotFound) return undefined;
    throw error;
  }
}

/** The command that creates it with NATS' own tool. */
export function durableCommand({ stream, name, filter, ackWaitMs, maxDeliver, maxAckPending }: DurableConfig): string {
  return (
    `nats consumer add ${stream} ${name} --pull --filter '${filter}' --ack explicit --deliver all --replay instant ` +
    `--wait ${ackWaitMs}ms --max-deliver ${maxDeliver} --max-pending ${maxAckPending} --max-waiting ${WAITING_MAX} --defaults`
  );
}
