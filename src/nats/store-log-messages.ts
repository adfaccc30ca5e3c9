// Messages of the logs
//
// Owns:      telling commits from what else stands on the subject of a session's log.
// Does not:  read what a commit says (store-records.ts).
//
// Who may ask the server for anything may have the answer sent to the subject of a log, where the stream keeps it.
//
// M1  What is no commit is passed over by everybody, as though it were not there.
// M2  The server counts it all the same: an append expects the sequence of the subject's last message, whatever that is.
// M3  A message that bears a commit's headers and is not such an answer is a commit, and damage if it cannot be read.

import type { Names } from "./names.ts";
import type { StoredMessage } from "./store-message.ts";
import { N_HEADER, SESSION_HEADER } from "./store-records.ts";
import type { StreamAccess } from "./store-stream.ts";

/** Logs that end with what is no commit, of which it is remembered where the last commit is. */
const ENDS_MAX = 1_000;

/** What the subject of a log ends with. */
export interface LogEnd {
  /** The last commit; null where there is none. */
  readonly message: StoredMessage | null;
  /** M2. 0 for an empty subject. */
  readonly seq: number;
}

export class LogMessages {
  readonly #streams: StreamAccess;
  readonly #names: Names;
  /** Where the last commit was when it was looked for, by subject. */
  readonly #ends = new Map<string, number>();

  constructor(streams: StreamAccess, names: Names) {
    this.#streams = streams;
    this.#names = names;
  }

  /** From the leader. */
  async end(sessionId: string): Promise<LogEnd> {
    return this.endOf(this.#names.log(sessionId));
  }

  async endOf(subject: string): Promise<LogEnd> {
    const last = await this.#streams.last(this.#names.streams.log, subject);
    if (last === null) return { message: null, seq: 0 };
    return { message: isCommit(last) ? last : await this.#lastBefore(subject, last.seq), seq: last.seq };
  }

  /** The first commit from a sequence on; from the leader. */
  async next(sessionId: string, fromSeq: number): Promise<StoredMessage | null> {
    for (let seq = fromSeq; ;) {
      const found = await this.#streams.next(this.#names.streams.log, this.#names.log(sessionId), seq);
      if (found === null || isCommit(found)) return found;
      seq = found.seq + 1;
    }
  }

  /** As a range of the stream. */
  async *range(sessionId: string, range: Parameters<StreamAccess["range"]>[2]): AsyncGenerator<StoredMessage> {
    for await (const message of this.#streams.range(this.#names.streams.log, this.#names.log(sessionId), range))
      if (isCommit(message)) yield message;
  }

  async #lastBefore(subject: string, toSeq: number): Promise<StoredMessage | null> {
    const remembered = this.#ends.get(subject);
    const found =
      (remembered === undefined ? null : await this.#lastWithin(subject, remembered, toSeq)) ??
      (await this.#lastWithin(subject, 1, toSeq));
    this.#remember(subject, found);
    return found;
  }

  async #lastWithin(subject: string, fromSeq: number, toSeq: number): Promise<StoredMessage | null> {
    const stream = this.#names.streams.log;
    let found: StoredMessage | null = null;
    // What a copy that is behind leaves out is asked of the leader.
    for (const fromLeader of [false, true])
      for await (const message of this.#streams.range(stream, subject, { fromSeq, toSeq, fromLeader })) {
        fromSeq = message.seq + 1;
        if (isCommit(message)) found = message;
      }
    return found;
  }

  #remember(subject: string, message: StoredMessage | null): void {
    this.#ends.delete(subject);
    if (message !== null) this.#ends.set(subject, message.seq);
    const [oldest] = this.#ends.keys();
    if (this.#ends.size > ENDS_MAX && oldest !== undefined) this.#ends.delete(oldest);
  }
}

/** M3 */
export function isCommit(message: StoredMessage): boolean {
  return !message.isAnswer && (message.header(SESSION_HEADER) !== "" || message.header(N_HEADER) !== "");
}
