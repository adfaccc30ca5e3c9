// Reading a session's log
//
// Owns:      finding a commit in the stream, and noticing that one is gone.
// Does not:  write (store-log.ts), or tell commits from other messages (store-log-messages.ts).
//
// R1  The leader says what the log ends with; all up to it must then be there, or they were lost (L4).
// R2  What a copy that is behind leaves out is asked of the leader before it is called lost.
// R3  A log may begin after its first commit where it was imported so, or right after a snapshot; nowhere else.

import type { Commit, SessionEntry } from "../state/ports.ts";
import { keys } from "../state/level-keys.ts";
import type { BlobShelf } from "./store-blobs.ts";
import type { LogMessages } from "./store-log-messages.ts";
import type { StoredMessage } from "./store-message.ts";
import {
  AFTER_HEADER,
  corrupt,
  decodeLogged,
  MARK_EVERY,
  MARK_HEADER,
  positionOf,
  referenceIn,
  type Logged,
} from "./store-records.ts";

/** What a log ends with. */
export interface Head {
  readonly n: number;
  readonly epoch: number;
  readonly id: string;
  readonly atMs: number;
  /** Its sequence in the stream. */
  readonly seq: number;
  /** Sequence of the last commit up to it whose number is a multiple of `MARK_EVERY`; 0 for none. */
  readonly mark: number;
  readonly entry: SessionEntry | null;
  readonly commit: Commit;
  readonly message: StoredMessage;
}

export interface ReaderPorts {
  readonly messages: LogMessages;
  readonly blobs: BlobShelf;
  /** The sequence of a commit, if it is known: a guess, checked before it is used. */
  seqOf(sessionId: string, n: number): number | undefined;
  hasSnapshot(sessionId: string, n: number): Promise<boolean>;
}

/** So many commits are gone back one by one; more in strides. */
const STEPS_BACK_MAX = 4;

export class LogReader {
  readonly #ports: ReaderPorts;

  constructor(ports: ReaderPorts) {
    this.#ports = ports;
  }

  /** Null for a session without a log. @throws {OrchestraError} `ORCH_STORE_CORRUPT` */
  async head(sessionId: string): Promise<Head | null> {
    return (await this.end(sessionId)).head;
  }

  /** `seq`: what the next append has to expect. @throws {OrchestraError} `ORCH_STORE_CORRUPT` */
  async end(sessionId: string): Promise<{ readonly head: Head | null; readonly seq: number }> {
    const end = await this.#ports.messages.end(sessionId);
    return { head: end.message === null ? null : await this.#headOf(sessionId, end.message), seq: end.seq };
  }

  async #headOf(sessionId: string, message: StoredMessage): Promise<Head> {
    const { commit, entry } = await this.decode(sessionId, message);
    const { n, epoch, id, atMs } = commit;
    const { seq } = message;
    const mark = n % MARK_EVERY === 0 ? seq : sequenceIn(message, MARK_HEADER);
    return { n, epoch, id, atMs, seq, mark, entry, commit, message };
  }

  async decode(sessionId: string, message: StoredMessage): Promise<Logged> {
    const n = positionOf(message, sessionId);
    const ref = referenceIn(message.data, keys.commit(sessionId, n));
    return decodeLogged(sessionId, n, ref === null ? message.data : await this.#ports.blobs.get(ref));
  }

  /** Up to the last commit at the time the iteration gets there. @throws {OrchestraError} `ORCH_STORE_CORRUPT` */
  async *read(sessionId: string, from = 1): AsyncIterable<Commit> {
    let next = from;
    for (let head = await this.head(sessionId); head !== null && next <= head.n; head = await this.head(sessionId)) {
      const before = next;
      for (const fromLeader of [false, true]) {
        for await (const commit of this.#stretch(sessionId, next, head, fromLeader)) {
          yield commit;
          next = commit.n + 1;
        }
        if (next > before) break;
      }
      if (next > before) continue;
      const begin = await this.begin(sessionId);
      if (begin === null) return;
      if (begin <= next) throw lost(sessionId, next);
      next = begin;
    }
  }

  /** Commits from `next` to the head as far as they come without a gap. */
  async *#stretch(sessionId: string, next: number, head: Head, fromLeader: boolean): AsyncIterable<Commit> {
    if (next === head.n) {
      yield (await this.decode(sessionId, head.message)).commit;
      return;
    }
    const fromSeq = await this.#find(sessionId, next, head);
    for await (const message of this.#ports.messages.range(sessionId, { fromSeq, toSeq: head.seq, fromLeader })) {
      const n = positionOf(message, sessionId);
      if (n < next) continue;
      if (n > next) return;
      yield (await this.decode(sessionId, message)).commit;
      next = n + 1;
    }
  }

  /** A sequence at or before that of commit `n`. */
  async #find(sessionId: string, n: number, head: Head): Promise<number> {
    const { messages, seqOf } = this.#ports;
    if (n === 1) return 1;
    const known = seqOf(sessionId, n);
    if (known !== undefined && known <= head.seq) {
      const there = await messages.next(sessionId, known);
      if (there !== null && positionOf(there, sessionId) <= n) return known;
    }
    let { message } = head;
    for (let at = head.n; at > n; at = positionOf(message, sessionId)) {
      const back = at - n > STEPS_BACK_MAX ? MARK_HEADER : AFTER_HEADER;
      const seq = sequenceIn(message, back);
      const before = seq > 0 && seq < message.seq ? await messages.next(sessionId, seq) : null;
      // The way back leads before the first commit, or to what a compaction dropped.
      if (before === null || before.seq !== seq) return 1;
      message = before;
    }
    return message.seq;
  }

  /** The first commit kept; null when nothing is. R3. */
  async begin(sessionId: string): Promise<number | null> {
    const { messages, hasSnapshot } = this.#ports;
    const message = await messages.next(sessionId, 1);
    if (message === null) return null;
    const n = positionOf(message, sessionId);
    if (n === 1 || (await hasSnapshot(sessionId, n - 1))) return n;
    if ((await this.decode(sessionId, message)).begins) return n;
    throw lost(sessionId, n - 1);
  }

  /** The first commit kept and its sequence, whatever is before it. */
  async first(sessionId: string): Promise<{ readonly n: number; readonly seq: number } | null> {
    const message = await this.#ports.messages.next(sessionId, 1);
    return message === null ? null : { n: positionOf(message, sessionId), seq: message.seq };
  }

  /** The sequence of commit `n`, or of the first one behind it that is kept. */
  async seqAt(sessionId: string, n: number): Promise<number | null> {
    const head = await this.head(sessionId);
    if (head === null) return null;
    const fromSeq = await this.#find(sessionId, n, head);
    for (const fromLeader of [false, true])
      for await (const message of this.#ports.messages.range(sessionId, { fromSeq, toSeq: head.seq, fromLeader }))
        if (positionOf(message, sessionId) >= n) return message.seq;
    return null;
  }
}

function sequenceIn(message: StoredMessage, header: string): number {
  return Number(message.header(header)) || 0;
}

function lost(sessionId: string, n: number): Error {
  return corrupt(keys.commit(sessionId, n), "it was lost", { sessionId, n });
}
