// Streams as the store sees them
//
// Owns:      what is asked of JetStream, and for how long it is asked again while servers are away.
// Does not:  know what stands in a message.
//
// S1  What a write came to is never guessed. A publish whose answer is lost is "unknown"; whoever asked looks.
// S2  A read that has to be the newest is answered by the leader of the stream. Reads that are checked against such a
//     one may come from any copy.
// S3  Reads are repeated while the servers are away, at most `patienceMs`; then they fail with ORCH_STORE_FAILED.

import { headers as newHeaders } from "@nats-io/transport-node";
import { sleep, type Clock } from "../base/clock.ts";
import { isOrchestraError, OrchestraError } from "../base/errors.ts";
import { busError, isUnanswered, JS_CODE, jsCode } from "./bus-errors.ts";
import type { Connected, NatsLink } from "./link.ts";
import { storedOf, type StoredMessage } from "./store-message.ts";
import { readRange } from "./store-range.ts";

export type PublishVerdict =
  | { readonly type: "stored"; readonly seq: number }
  /** The subject does not end where that was expected. */
  | { readonly type: "conflict" }
  /** A write-once subject has its message. */
  | { readonly type: "taken" }
  /** It may be stored, or be stored later. */
  | { readonly type: "unknown"; readonly cause: Error };

export interface PublishOptions {
  /** Sequence of the subject's last message; 0 for none. */
  readonly after?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface StreamCounts {
  readonly lastSeq: number;
  readonly messages: number;
  readonly subjects: number;
  readonly bytes: number;
}

const FIRST_PAUSE_MS = 40;
const LONGEST_PAUSE_MS = 1_000;

const WRONG_LAST_SEQUENCE: readonly number[] = [JS_CODE.wrongLastSequence, JS_CODE.wrongLastSequenceConstant];
/** Besides statuses of 503: no leader of JetStream or its peers (10004, 10008), the stream has none or is offline (10063, 10118, 10128). */
const PASSING_CODES: readonly number[] = [JS_CODE.duplicateInProcess, 10004, 10008, 10063, 10118, 10128];

export interface Waits {
  /** How long a call goes on trying while servers are away. */
  readonly patienceMs: number;
  /** How long one publish waits for its answer. */
  readonly ackTimeoutMs: number;
}

export class StreamAccess {
  readonly #link: NatsLink;
  readonly #waits: Waits;
  #quality: Pick<Connected, "replicas" | "storage"> | undefined;

  constructor(link: NatsLink, waits: Waits) {
    this.#link = link;
    this.#waits = waits;
  }

  get clock(): Clock {
    return this.#link.clock;
  }
  get patienceMs(): number {
    return this.#waits.patienceMs;
  }

  /** Once. @throws {OrchestraError} `ORCH_STORE_FAILED` when the server refuses it for good. */
  async publish(subject: string, payload: Uint8Array, options: PublishOptions = {}): Promise<PublishVerdict> {
    try {
      const { js } = await this.#live();
      const ack = await js.publish(subject, payload, {
        timeout: this.#waits.ackTimeoutMs,
        // Every publish needs headers of its own: the client writes its expectations into them.
        ...(options.headers === undefined ? {} : { headers: headersOf(options.headers) }),
        ...(options.after === undefined ? {} : { expect: { lastSubjectSequence: options.after } }),
      });
      return { type: "stored", seq: ack.seq };
    } catch (error) {
      const code = jsCode(error) ?? 0;
      if (WRONG_LAST_SEQUENCE.includes(code)) return { type: "conflict" };
      // A full stream answers with the same code.
      if (code === JS_CODE.maxMessagesPerSubject && /per subject/.test((error as Error).message))
        return { type: "taken" };
      if (isPassing(error)) return { type: "unknown", cause: error as Error };
      throw failed(`cannot store a message on ${subject}`, error);
    }
  }

  /** Until it is known to be stored, or its subject to be taken: for what may be written twice. */
  async put(subject: string, payload: Uint8Array, options: PublishOptions = {}): Promise<PublishVerdict> {
    return this.patiently(`store a message on ${subject}`, async () => {
      const verdict = await this.publish(subject, payload, options);
      if (verdict.type === "unknown") throw verdict.cause;
      return verdict;
    });
  }

  /** The last message of a subject, or of all that a pattern matches; from the leader. */
  last(stream: string, subject: string): Promise<StoredMessage | null> {
    return this.patiently(`read ${subject}`, async ({ jsm }) =>
      storedOf(await jsm.streams.getMessage(stream, { last_by_subj: subject })),
    );
  }

  /** The first message of a subject from a sequence on; from the leader. */
  next(stream: string, subject: string, fromSeq: number): Promise<StoredMessage | null> {
    // The server's own name for it, which the client's types leave out.
    const query = { seq: Math.max(fromSeq, 1), next_by_subj: subject };
    return this.patiently(`read ${subject}`, async ({ jsm }) => storedOf(await jsm.streams.getMessage(stream, query)));
  }

  /** From any copy, else from the leader: for messages that never change. */
  async lasting(stream: string, subject: string): Promise<StoredMessage | null> {
    const found = await this.patiently(`read ${subject}`, async ({ jsm }) =>
      storedOf(await jsm.direct.getMessage(stream, { last_by_subj: subject }), "direct"),
    );
    return found ?? this.last(stream, subject);
  }

  /**
   * What matches from `fromSeq` to `toSeq`, ascending. Fewer may come than are there, when the copy asked is behind;
   * `fromLeader` is slower, and never behind.
   */
  async *range(
    stream: string,
    subject: string,
    { fromSeq, toSeq, fromLeader = false }: { fromSeq: number; toSeq: number; fromLeader?: boolean },
  ): AsyncGenerator<StoredMessage> {
    if (!fromLeader) {
      yield* readRange((work) => this.patiently(`read ${subject}`, work), stream, subject, fromSeq, toSeq);
      return;
    }
    for (let seq = fromSeq; seq <= toSeq; seq++) {
      const message = await this.next(stream, subject, seq);
      if (message === null || message.seq > toSeq) return;
      yield message;
      seq = message.seq;
    }
  }

  counts(stream: string): Promise<StreamCounts> {
    return this.patiently(`look at ${stream}`, async ({ jsm }) => {
      const { state } = await jsm.streams.info(stream);
      return {
        lastSeq: state.last_seq,
        messages: state.messages,
        subjects: state.num_subjects ?? 0,
        bytes: state.bytes,
      };
    });
  }

  /** Subjects that match, each with the number of its messages; from the leader. */
  subjects(stream: string, pattern: string): Promise<ReadonlyMap<string, number>> {
    return this.patiently(`look at ${stream}`, async ({ jsm }) => {
      const { state } = await jsm.streams.info(stream, { subjects_filter: pattern });
      return new Map(Object.entries(state.subjects ?? {}));
    });
  }

  /** Removes what matches, below a sequence if one is given. Resolves to how many there were at the last try. */
  purge(stream: string, pattern: string, belowSeq?: number): Promise<number> {
    return this.patiently(`purge ${pattern}`, async ({ jsm }) => {
      const options = { filter: pattern, ...(belowSeq === undefined ? {} : { seq: belowSeq }) };
      return (await jsm.streams.purge(stream, options)).purged;
    });
  }

  /** S3. */
  async patiently<T>(what: string, attempt: (live: Connected) => Promise<T>): Promise<T> {
    const startedMs = this.clock.monotonicMs();
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      try {
        return await attempt(await this.#live());
      } catch (error) {
        if (!isPassing(error) || this.clock.monotonicMs() - startedMs > this.#waits.patienceMs)
          throw failed(`cannot ${what}`, error);
      }
      await this.sleep(pauseMs);
    }
  }

  sleep(ms: number): Promise<void> {
    return sleep(this.clock, ms);
  }

  /** For the first connection as long as the bus waits, and no longer: nothing is under way yet. */
  async connect(): Promise<void> {
    if (this.#quality === undefined) await this.#live();
    else await this.patiently("connect", async () => undefined);
  }

  /** Copies of the log, and where it is kept, as of the last connection; undefined before the first. */
  get quality(): Pick<Connected, "replicas" | "storage"> | undefined {
    return this.#quality;
  }

  async #live(): Promise<Connected> {
    const live = await this.#link.connected();
    this.#quality = live;
    return live;
  }
}

function headersOf(fields: Readonly<Record<string, string>>): ReturnType<typeof newHeaders> {
  const made = newHeaders();
  for (const [name, value] of Object.entries(fields)) made.set(name, value);
  return made;
}

/** The same may succeed later: a leader is being elected, a connection made again. */
function isPassing(error: unknown): boolean {
  if (isOrchestraError(error)) return error.code === "ORCH_BUS_UNREACHABLE";
  // A status that is no answer of the API comes from a server without the stream's leader.
  return isUnanswered(error) || PASSING_CODES.includes(jsCode(error) ?? 0) || statusOf(error) === 503;
}

function statusOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

function failed(what: string, error: unknown): unknown {
  const ours = busError(error, what);
  if (isOrchestraError(ours)) return ours;
  const why = error instanceof Error ? error.message : String(error);
  const code = jsCode(error);
  return new OrchestraError(
    "ORCH_STORE_FAILED",
    `NATS ${what}: ${why}${code === undefined ? "" : ` (NATS error ${code})`}`,
    { cause: error },
  );
}
