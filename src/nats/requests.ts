// Requests to JetStream that outlast the election of a leader.

import type { StoredMsg } from "@nats-io/jetstream";
import { sleep } from "../base/clock.ts";
import { busError, isUnanswered, JS_CODE, jsCode } from "./bus-errors.ts";
import type { Connected, NatsLink } from "./link.ts";

/** Longer than a new leader takes (up to 8 s were measured). */
const PATIENCE_MS = 15_000;
const FIRST_WAIT_MS = 50;
const WAIT_MS_MAX = 1_000;
const READS_AT_ONCE = 16;

/**
 * Makes a call again for as long as nobody answers. The call must be harmless when it is made twice.
 * @throws {OrchestraError} `ORCH_BUS_UNREACHABLE` after `patienceMs` (default 15_000), `ORCH_BUS_DENIED`; other errors as they are.
 */
export async function answered<T>(
  link: NatsLink,
  what: string,
  call: (connected: Connected) => Promise<T>,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const untilMs = link.clock.monotonicMs() + patienceMs;
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(2 * waitMs, WAIT_MS_MAX)) {
    try {
      return await call(await link.connected());
    } catch (error) {
      const again = isUnanswered(error) || jsCode(error) === JS_CODE.duplicateInProcess;
      if (!again || link.status === "closed" || link.clock.monotonicMs() + waitMs > untilMs)
        throw busError(error, what);
    }
    await sleep(link.clock, waitMs);
  }
}

/** The last message of a subject, as the leader knows it. */
export async function lastOn(link: NatsLink, stream: string, subject: string): Promise<StoredMsg | undefined> {
  return read(link, stream, subject, { last_by_subj: subject });
}

/** The first message at or after position `seq` on subjects that match `filter`. */
export async function nextOn(
  link: NatsLink,
  stream: string,
  filter: string,
  seq: number,
): Promise<StoredMsg | undefined> {
  // The server has taken both together since 2.9; the client's type does not say so.
  const query = { seq, next_by_subj: filter };
  return read(link, stream, filter, query);
}

/** The message at position `seq`. */
export async function messageAt(link: NatsLink, stream: string, seq: number): Promise<StoredMsg | undefined> {
  return read(link, stream, `message ${seq}`, { seq });
}

/** Subjects in use that match `filter`. */
export async function subjectsOf(link: NatsLink, stream: string, filter: string): Promise<string[]> {
  const info = await answered(link, `look for ${filter} in ${stream}`, ({ jsm }) =>
    jsm.streams.info(stream, { subjects_filter: filter }),
  );
  return Object.keys(info.state.subjects ?? {});
}

/** True when there was a message at `seq`. */
export async function deleteAt(link: NatsLink, stream: string, seq: number): Promise<boolean> {
  try {
    return await answered(link, `delete message ${seq} of ${stream}`, ({ jsm }) =>
      jsm.streams.deleteMessage(stream, seq, false),
    );
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}

/** How many messages there were. */
export async function purge(link: NatsLink, stream: string, filter: string, beforeSeq?: number): Promise<number> {
  const { purged } = await answered(link, `purge ${filter} of ${stream}`, ({ jsm }) =>
    jsm.streams.purge(stream, beforeSeq === undefined ? { filter } : { filter, seq: beforeSeq }),
  );
  return purged;
}

/** `map` of each, a few at a time, in order. */
export async function mapSome<T, R>(all: readonly T[], map: (one: T) => Promise<R>): Promise<R[]> {
  const out: R[] = [];
  for (let i = 0; i < all.length; i += READS_AT_ONCE)
    out.push(...(await Promise.all(all.slice(i, i + READS_AT_ONCE).map(map))));
  return out;
}

async function read(
  link: NatsLink,
  stream: string,
  what: string,
  query: Parameters<Connected["jsm"]["streams"]["getMessage"]>[1],
): Promise<StoredMsg | undefined> {
  const message = await answered(link, `read ${what} of ${stream}`, ({ jsm }) => jsm.streams.getMessage(stream, query));
  return message ?? undefined;
}

/** Servers say 10037 or 10043 ("sequence not found") of a position that holds nothing any more. */
function isAbsent(error: unknown): boolean {
  const code = jsCode(error);
  return code === JS_CODE.messageNotFound || code === 10_043 || code === 10_057;
}
