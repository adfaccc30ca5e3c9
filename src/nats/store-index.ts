// Index of sessions
//
// Owns:      bucket orch_sessions: which sessions there are, and of those at rest what the log says.
// Does not:  know better than the log, whose last message holds the entry itself.
//
// A session either rests (it is paused, waits for people or has ended) and its record holds the entry, or it moves and
// the record says no more than that. Lists trust records of sessions at rest and ask the log for those that move.
//
// I1  Whoever appends what makes a session move, or changes how it rests, says first that it moves. So a crash between
//     the two leaves a session that is looked up in vain, never one that runs and is not found.
// I2  That it rests is said after the commit, and only if nobody said anything since before that commit: the record's
//     revision is compared. It is said in the background; lost, it costs a look at the log with every list.
// I3  A session whose record was lost is found by its log: a list counts both.

import { encodeValue } from "../base/codec.ts";
import type { Logger } from "../base/logger.ts";
import { encodeRecord } from "../base/record.ts";
import { keys } from "../state/level-keys.ts";
import type { SessionEntry } from "../state/ports.ts";
import { streamOfBucket } from "./assets.ts";
import { encodeName, type Names } from "./names.ts";
import { listedIn, SessionList } from "./store-list.ts";
import type { LogMessages } from "./store-log-messages.ts";
import type { StoredMessage } from "./store-message.ts";
import { SESSION_HEADER } from "./store-records.ts";
import type { StreamAccess } from "./store-stream.ts";

/** What the record of a session says, and its revision. */
export type IndexMark =
  | { readonly type: "absent"; readonly revision: number }
  | { readonly type: "moves"; readonly revision: number }
  | { readonly type: "rests"; readonly revision: number; readonly entry: SessionEntry };

interface Settling {
  done: Promise<void>;
  /** What is still to be said. */
  next: SessionEntry | null;
}

/** Header by which clients of NATS's key-value store know a removed key (ADR-8). */
const REMOVED = { "KV-Operation": "DEL" };
const NO_BYTES = new Uint8Array(0);
const MARKS_MAX = 10_000;

export class SessionIndex {
  readonly #streams: StreamAccess;
  readonly #names: Names;
  readonly #logger: Logger;
  /** Least recently used first. */
  readonly #marks = new Map<string, IndexMark>();
  /** I2: what is being said in the background, and what is to be said after it. */
  readonly #settling = new Map<string, Settling>();
  readonly list: SessionList;

  constructor(streams: StreamAccess, names: Names, messages: LogMessages, logger: Logger) {
    this.#streams = streams;
    this.#names = names;
    this.#logger = logger;
    this.list = new SessionList({ streams, names, messages, logger }, (sessionId) => this.#say(sessionId, null));
  }

  /** Before an append that turns entry `before` into `after`. I1. */
  async announce(sessionId: string, before: SessionEntry | null, after: SessionEntry | null): Promise<void> {
    if (after === null) return;
    const rested = before !== null && before.status !== "running";
    if (rested && !differs(before, after)) return;
    await this.#settling.get(sessionId)?.done;
    const mark = this.#marks.get(sessionId) ?? (await this.reread(sessionId));
    // After a rest it is said even where it is said already: another host may be about to say that it rests.
    if (before !== null && !rested && mark.type === "moves") return;
    const revision = await this.#say(sessionId, null);
    this.#remember(sessionId, { type: "moves", revision });
  }

  /** Nobody but us can have said anything of it. */
  begin(sessionId: string): void {
    this.#remember(sessionId, { type: "absent", revision: 0 });
  }

  /** Asks the bus. What it said is known to be older than any append that follows. */
  async reread(sessionId: string): Promise<IndexMark> {
    await this.#settling.get(sessionId)?.done;
    const message = await this.#streams.last(streamOf(this.#names), this.#subject(sessionId));
    const mark = markOf(message);
    this.#remember(sessionId, mark);
    return mark;
  }

  /** After an append: says in the background how the session rests, if it does. I2. */
  settle(sessionId: string, entry: SessionEntry): void {
    if (entry.status === "running") return;
    const settling = this.#settling.get(sessionId);
    if (settling !== undefined) {
      settling.next = entry;
      return;
    }
    const begun: Settling = { done: Promise.resolve(), next: entry };
    this.#settling.set(sessionId, begun);
    begun.done = this.#settle(sessionId, begun).finally(() => this.#settling.delete(sessionId));
  }

  async remove(sessionId: string): Promise<void> {
    await this.#settling.get(sessionId)?.done;
    this.#marks.delete(sessionId);
    if ((await this.#streams.last(streamOf(this.#names), this.#subject(sessionId))) === null) return;
    await this.#streams.put(this.#subject(sessionId), NO_BYTES, {
      headers: { ...REMOVED, [SESSION_HEADER]: sessionId },
    });
  }

  /** Resolves when nothing more is being said. */
  async settled(): Promise<void> {
    await Promise.all([...this.#settling.values()].map(({ done }) => done));
  }

  async #settle(sessionId: string, work: { next: SessionEntry | null }): Promise<void> {
    for (let entry = work.next; entry !== null; entry = work.next) {
      work.next = null;
      const mark = this.#marks.get(sessionId);
      if (mark === undefined || mark.type === "absent") return;
      try {
        const verdict = await this.#streams.publish(this.#subject(sessionId), recordOf(sessionId, entry), {
          after: mark.revision,
          headers: { [SESSION_HEADER]: sessionId },
        });
        if (verdict.type === "stored") this.#remember(sessionId, { type: "rests", revision: verdict.seq, entry });
        // Whatever it says now, it is asked before the next append.
        else this.#marks.delete(sessionId);
      } catch (error) {
        this.#marks.delete(sessionId);
        this.#logger.warn(
          { sessionId, err: error },
          "the index entry of a session could not be written; lists ask its log",
        );
      }
    }
  }

  async #say(sessionId: string, entry: SessionEntry | null): Promise<number> {
    const verdict = await this.#streams.put(this.#subject(sessionId), recordOf(sessionId, entry), {
      headers: { [SESSION_HEADER]: sessionId },
    });
    return verdict.type === "stored" ? verdict.seq : 0;
  }

  #remember(sessionId: string, mark: IndexMark): void {
    this.#marks.delete(sessionId);
    this.#marks.set(sessionId, mark);
    if (this.#marks.size <= MARKS_MAX) return;
    const [oldest] = this.#marks.keys();
    if (oldest !== undefined) this.#marks.delete(oldest);
  }

  #subject(sessionId: string): string {
    return `$KV.${this.#names.buckets.sessions}.${encodeName(sessionId)}`;
  }
}

/** The stream behind the bucket. */
function streamOf(names: Names): string {
  return streamOfBucket(names.buckets.sessions);
}

function recordOf(sessionId: string, entry: SessionEntry | null): Uint8Array {
  return encodeRecord("entry", encodeValue(entry ?? { sessionId, moves: true }), keys.entry(sessionId));
}

function markOf(message: StoredMessage | null): IndexMark {
  const listed = message === null ? "removed" : listedIn(message);
  if (message === null || listed === "removed") return { type: "absent", revision: message?.seq ?? 0 };
  const { seq: revision } = message;
  return listed === "moves" ? { type: "moves", revision } : { type: "rests", revision, entry: listed };
}

/** In more than position and time. */
function differs(a: SessionEntry, b: SessionEntry): boolean {
  return (
    a.status !== b.status ||
    a.runId !== b.runId ||
    a.topologyHash !== b.topologyHash ||
    a.host !== b.host ||
    a.parentSessionId !== b.parentSessionId ||
    a.dueAtMs !== b.dueAtMs ||
    a.createdAtMs !== b.createdAtMs
  );
}
