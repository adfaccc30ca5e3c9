// Reading a stretch of a stream
//
// Servers from 2.11 on answer one request with many messages. Older ones need a consumer, which costs two requests more
// and is made anew for each page, so that no reader, however slow, leaves one behind.

import { AckPolicy, DeliverPolicy, type ConsumerConfig } from "@nats-io/jetstream";
import { nuid } from "@nats-io/transport-node";
import type { Connected } from "./link.ts";
import { isAnswer, storedOf, type StoredMessage } from "./store-message.ts";

type Attempt = <T>(work: (live: Connected) => Promise<T>) => Promise<T>;

const MESSAGES_PER_PAGE = 256;
const BYTES_PER_PAGE = 8 * 1024 * 1024;
const PAGE_PATIENCE_MS = 5_000;
/** Removes a consumer whose reader died. */
const UNUSED_NS = 30 * 1_000_000_000;

export async function* readRange(
  attempt: Attempt,
  stream: string,
  subject: string,
  fromSeq: number,
  toSeq: number,
): AsyncGenerator<StoredMessage> {
  for (let next = Math.max(fromSeq, 1); next <= toSeq;) {
    const from = next;
    const page = await attempt((live) =>
      (hasBatches(live.serverVersion) ? pageByBatch : pageByConsumer)(live, stream, subject, from, toSeq),
    );
    for (const message of page) {
      if (message.seq > toSeq) return;
      yield message;
      next = message.seq + 1;
    }
    if (page.length === 0) return;
  }
}

/** Direct batch get came with 2.11 (ADR-31). */
function hasBatches(serverVersion: string): boolean {
  const [major = 0, minor = 0] = serverVersion.split(".").map(Number);
  return major > 2 || (major === 2 && minor >= 11);
}

async function pageByBatch(
  { jsm }: Connected,
  stream: string,
  subject: string,
  fromSeq: number,
  toSeq: number,
): Promise<StoredMessage[]> {
  const page: StoredMessage[] = [];
  const batch = await jsm.direct.getBatch(stream, {
    seq: fromSeq,
    next_by_subj: subject,
    batch: Math.min(MESSAGES_PER_PAGE, toSeq - fromSeq + 1),
    max_bytes: BYTES_PER_PAGE,
  });
  try {
    for await (const message of batch) {
      const stored = storedOf(message, "direct");
      if (stored !== null) page.push(stored);
    }
  } catch (error) {
    if (!isEnd(error)) throw error;
  }
  return page;
}

/** Nothing more is there, or a message that bears a status of its own ends the page before it: the leader tells. */
function isEnd(error: unknown): boolean {
  const code = error instanceof Error ? (error as Error & { code?: unknown }).code : undefined;
  return code === 404 || code === 408;
}

async function pageByConsumer(
  { js, jsm }: Connected,
  stream: string,
  subject: string,
  fromSeq: number,
  toSeq: number,
): Promise<StoredMessage[]> {
  const page: StoredMessage[] = [];
  const config: Partial<ConsumerConfig> = {
    // Permissions cover the subject that names it, and no other.
    name: nuid.next(),
    filter_subject: subject,
    ack_policy: AckPolicy.None,
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: fromSeq,
    mem_storage: true,
    num_replicas: 1,
    inactive_threshold: UNUSED_NS,
  };
  const made = await jsm.consumers.add(stream, config);
  try {
    if (made.num_pending === 0) return page;
    const messages = await js.consumers.getConsumerFromInfo(made).fetch({
      max_messages: Math.min(MESSAGES_PER_PAGE, made.num_pending),
      expires: PAGE_PATIENCE_MS,
    });
    for await (const message of messages) {
      page.push({
        subject: message.subject,
        seq: message.seq,
        data: message.data,
        storedAtMs: new Date(message.timestamp).getTime(),
        isAnswer: isAnswer(message.headers),
        header: (name) => message.headers?.get(name) ?? "",
      });
      if (message.seq >= toSeq || message.info.pending === 0) break;
    }
  } finally {
    void jsm.consumers.delete(stream, made.name).catch(() => undefined);
  }
  return page;
}
