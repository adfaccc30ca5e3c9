// List of sessions
//
// Owns:      this process's copy of the index, by which it lists in order.
// Does not:  say anything of a session that moves: the log does.
//
// The bus keeps keys in no order. The copy is filled once, with the first list, and brought up to date with each list
// after that: what was written before a list began is in it, and its cost is that of what changed. A page that goes on where
// one before it ended does so without a look at the bus.

import type { Logger } from "../base/logger.ts";
import { keys } from "../state/level-keys.ts";
import type { SessionEntry, SessionStore } from "../state/ports.ts";
import { streamOfBucket } from "./assets.ts";
import { encodeName, type Names } from "./names.ts";
import type { LogMessages } from "./store-log-messages.ts";
import type { StoredMessage } from "./store-message.ts";
import { assertOurs, decodeMap, SESSION_HEADER } from "./store-records.ts";
import type { StreamAccess } from "./store-stream.ts";

const LIST_LIMIT = 100;
const LOGS_AT_ONCE = 64;
/** Where sessions come to rest all the time, a list need not see the last of them. */
const PASSES_MAX = 8;
/** Lists under way of which it is known where they go on; others look at the bus once more. */
const ENDS_MAX = 64;

export interface ListPorts {
  readonly streams: StreamAccess;
  readonly names: Names;
  readonly messages: LogMessages;
  readonly logger: Logger;
}

export class SessionList {
  readonly #streams: StreamAccess;
  readonly #names: Names;
  readonly #messages: LogMessages;
  readonly #logger: Logger;
  readonly #found: (sessionId: string) => Promise<number>;
  /** By id. Null: it moves. */
  readonly #entries = new Map<string, SessionEntry | null>();
  #sorted: string[] | null = null;
  /** Where pages ended, the newest last. */
  readonly #ends = new Set<string>();
  #seq = 0;
  #catchingUp: Promise<void> | null = null;

  constructor({ streams, names, messages, logger }: ListPorts, found: (sessionId: string) => Promise<number>) {
    this.#streams = streams;
    this.#names = names;
    this.#messages = messages;
    this.#logger = logger;
    this.#found = found;
  }

  /** `ask` gives the entry by the log; null for a session without a log. */
  async page(
    options: Parameters<SessionStore["listSessions"]>[0] = {},
    ask: (sessionId: string) => Promise<SessionEntry | null>,
  ): Promise<readonly SessionEntry[]> {
    const { status, cursor, limit = LIST_LIMIT } = options;
    if (cursor === undefined || this.#seq === 0 || !this.#ends.has(cursor)) await this.#catchUp();
    const ids = (this.#sorted ??= [...this.#entries.keys()].sort());
    const page: SessionEntry[] = [];
    for (let at = cursor === undefined ? 0 : after(ids, cursor); at < ids.length && page.length < limit;) {
      const asked: Promise<SessionEntry | null>[] = [];
      for (; at < ids.length && asked.length < Math.min(LOGS_AT_ONCE, limit - page.length); at++) {
        const sessionId = ids[at] ?? "";
        const known = this.#entries.get(sessionId);
        if (known === undefined || (known !== null && status !== undefined && known.status !== status)) continue;
        asked.push(known === null ? this.#ask(sessionId, ask) : Promise.resolve(known));
      }
      for (const entry of await Promise.all(asked))
        if (entry !== null && (status === undefined || entry.status === status)) page.push(entry);
    }
    this.#noteEnd(page.at(-1)?.sessionId);
    return page;
  }

  /** Ids of all sessions the index knows. */
  async ids(): Promise<ReadonlySet<string>> {
    await this.#catchUp();
    return new Set(this.#entries.keys());
  }

  #noteEnd(end: string | undefined): void {
    if (end === undefined) return;
    this.#ends.delete(end);
    this.#ends.add(end);
    if (this.#ends.size <= ENDS_MAX) return;
    for (const oldest of this.#ends) {
      this.#ends.delete(oldest);
      break;
    }
  }

  /** One bad record must not hide all others. */
  async #ask(
    sessionId: string,
    ask: (sessionId: string) => Promise<SessionEntry | null>,
  ): Promise<SessionEntry | null> {
    try {
      return await ask(sessionId);
    } catch (error) {
      this.#logger.error({ sessionId, err: error }, "the log of a session cannot be read; it is left out of the list");
      return null;
    }
  }

  #catchUp(): Promise<void> {
    // Another's look may have begun before what we must see was written: one after it will do.
    const look = (this.#catchingUp ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => this.#look())
      .finally(() => {
        if (this.#catchingUp === look) this.#catchingUp = null;
      });
    this.#catchingUp = look;
    return look;
  }

  async #look(): Promise<void> {
    const { buckets, streams } = this.#names;
    const stream = streamOfBucket(buckets.sessions);
    const [index, logs] = await Promise.all([this.#streams.counts(stream), this.#streams.counts(streams.log)]);
    if (index.lastSeq < this.#seq) {
      // The bucket was made anew.
      this.#entries.clear();
      this.#sorted = null;
      this.#seq = 0;
    }
    // The bucket keeps one record of a session: one that is replaced while this reads is passed by, and is further on.
    for (let passes = 0, { lastSeq } = index; lastSeq > this.#seq && passes < PASSES_MAX; passes++) {
      await this.#readUpTo(stream, lastSeq);
      ({ lastSeq } = await this.#streams.counts(stream));
    }
    if (logs.subjects > this.#entries.size) await this.#findLost();
  }

  async #readUpTo(stream: string, toSeq: number): Promise<void> {
    const subject = `$KV.${this.#names.buckets.sessions}.>`;
    for (const fromLeader of [false, true]) {
      if (this.#seq >= toSeq) break;
      const range = { fromSeq: this.#seq + 1, toSeq, fromLeader };
      for await (const message of this.#streams.range(stream, subject, range)) this.#take(message);
    }
    this.#seq = Math.max(this.#seq, toSeq);
  }

  #take(message: StoredMessage): void {
    this.#seq = message.seq;
    const sessionId = sessionOf(message);
    if (sessionId === null) {
      this.#logger.error({ subject: message.subject }, "a record of the index names no session; it is passed over");
      return;
    }
    const listed = listedIn(message);
    if (listed === "removed") {
      if (this.#entries.delete(sessionId)) this.#sorted = null;
      return;
    }
    if (!this.#entries.has(sessionId)) this.#sorted = null;
    this.#entries.set(sessionId, listed === "moves" ? null : { ...listed, sessionId });
  }

  /** I3: puts sessions that have a log and no record back into the index. */
  async #findLost(): Promise<void> {
    const { streams, pattern } = this.#names;
    const known = new Set([...this.#entries.keys()].map(encodeName));
    const position = pattern("log").split(".").length;
    for (const subject of (await this.#streams.subjects(streams.log, pattern("log", "*"))).keys()) {
      const token = subject.split(".")[position] ?? "";
      if (known.has(token)) continue;
      const { message } = await this.#messages.endOf(subject);
      const sessionId = message === null ? null : sessionOf(message);
      if (sessionId === null) continue;
      await this.#found(sessionId);
      this.#entries.set(sessionId, null);
      this.#sorted = null;
    }
  }
}

/** What a record of the index says. One that cannot be read: the log has to be asked. */
export function listedIn(message: StoredMessage): SessionEntry | "moves" | "removed" {
  try {
    return recordedEntry(message);
  } catch {
    return "moves";
  }
}

/** @throws {OrchestraError} `ORCH_STORE_CORRUPT` */
export function recordedEntry(message: StoredMessage): SessionEntry | "moves" | "removed" {
  assertOurs(message);
  if (message.header("KV-Operation") !== "") return "removed";
  const key = keys.entry(sessionOf(message) ?? "");
  const record = decodeMap<SessionEntry & { moves?: true }>("entry", message.data, key, "sessionId");
  return record.moves === true ? "moves" : record;
}

/** The session a message is of, by its header or by that token of its subject; null where they do not agree. */
export function sessionOf(message: StoredMessage, position = -1): string | null {
  const token = message.subject.split(".").at(position) ?? "";
  const sessionId = message.header(SESSION_HEADER) || token;
  return encodeName(sessionId) === token ? sessionId : null;
}

/** Index of the first id behind the cursor. */
function after(ids: readonly string[], cursor: string): number {
  let low = 0;
  for (let high = ids.length; low < high;) {
    const middle = (low + high) >>> 1;
    if ((ids[middle] ?? "") <= cursor) low = middle + 1;
    else high = middle;
  }
  return low;
}
