// Log on the bus
//
// Owns:      appends to the logs of sessions, and what is known of where they end.
// Does not:  list sessions (store-index.ts), keep blobs (store-blobs.ts).
//
// W1  An append is one message, accepted only after the message it expects (compare and set by the stream itself).
// W2  Appends of one session follow one another; those of different sessions wait for nothing of each other.
// W3  A refusal, or no answer, says nothing yet. The leader is asked for the last message: the same commit there
//     means it was ours; the end we expected means try again; anything else is a refusal.
// W4  What is known of a log's end is a guess until an append succeeds on it. Nothing is refused on a guess.
// W5  What is expected is the end of the subject, where something may stand that is no commit (store-log-messages.ts).
// W6  Blobs, and the word that the session moves, are stored before the commit; that it rests, after it.

import { hashBytes } from "../base/crc.ts";
import { OrchestraError } from "../base/errors.ts";
import { blobRefs } from "../state/blob-refs.ts";
import { encodeCommit, isSameCommit } from "../state/commit-format.ts";
import { keys } from "../state/level-keys.ts";
import type { AppendRequest, AppendResult, Commit, SessionEntry } from "../state/ports.ts";
import type { Names } from "./names.ts";
import { spilledRef, type BlobShelf, type BlobUse } from "./store-blobs.ts";
import type { SessionIndex } from "./store-index.ts";
import type { Head, LogReader } from "./store-read.ts";
import {
  AFTER_HEADER,
  encodeLogged,
  encodeReference,
  MARK_EVERY,
  MARK_HEADER,
  N_HEADER,
  SESSION_HEADER,
} from "./store-records.ts";
import type { StreamAccess } from "./store-stream.ts";
import { Turns } from "../base/turns.ts";

/** Larger records are stored among the blobs. */
const INLINE_BYTES_MAX = 256 * 1024;
const KNOWN_MAX = 10_000;
const SEQS_MAX = 1_024;
const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 1_000;
const ACCEPTED: AppendResult = Object.freeze({ ok: true });

/** The commit itself only where it was read. */
type Known = Omit<Head, "message" | "commit"> & { readonly commit?: Commit };

/** What is known of a session. Replaced as a whole when it is read anew. */
interface Session {
  readonly head: Known | null;
  /** Sequence of the subject's last message. W5. */
  readonly endSeq: number;
  /** Blobs the session refers to already. */
  readonly refs: Set<string>;
  /** Sequences of the last commits, the newest last. */
  readonly seqs: number[];
}

export interface LogPorts {
  readonly streams: StreamAccess;
  readonly names: Names;
  readonly blobs: BlobShelf;
  readonly index: SessionIndex;
  readonly reader: LogReader;
}

export class SessionLog {
  readonly #ports: LogPorts;
  /** Least recently used first. */
  readonly #sessions = new Map<string, Session>();
  readonly #turns = new Turns();

  constructor(ports: LogPorts) {
    this.#ports = ports;
  }

  append(request: AppendRequest): Promise<AppendResult> {
    return this.inTurn(request.sessionId, () => this.#append(request));
  }

  /** W2. */
  inTurn<T>(sessionId: string, work: () => Promise<T>): Promise<T> {
    return this.#turns.take(sessionId, work);
  }

  idle(): Promise<void> {
    return this.#turns.idle();
  }

  forget(sessionId: string): void {
    this.#sessions.delete(sessionId);
  }

  seqOf(sessionId: string, n: number): number | undefined {
    const known = this.#sessions.get(sessionId);
    return known?.head == null ? undefined : known.seqs.at(-1 - (known.head.n - n));
  }

  async #append(request: AppendRequest): Promise<AppendResult> {
    const { sessionId, commit } = request;
    const { clock } = this.#ports.streams;
    const startedMs = clock.monotonicMs();
    const uses: string[] = [];
    let known = this.#sessions.get(sessionId);
    if (known === undefined && request.idIsNew === true) {
      known = { head: null, endSeq: 0, refs: new Set(), seqs: [] };
      this.#ports.index.begin(sessionId);
    }
    let isGuess = known !== undefined;
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      known ??= await this.#load(sessionId);
      if (!fits(request, known.head)) {
        // W4
        if (!isGuess) return this.#refuse(request, known.head, uses);
        [known, isGuess] = [undefined, false];
        continue;
      }
      const logged = { commit, entry: request.entry ?? known.head?.entry ?? null, begins: request.begins === true };
      await this.#storeBlobs(request, known, uses);
      const payload = await this.#payload(request, encodeLogged(sessionId, logged), uses);
      await this.#ports.index.announce(sessionId, known.head?.entry ?? null, logged.entry);
      const verdict = await this.#ports.streams.publish(this.#ports.names.log(sessionId), payload, {
        after: known.endSeq,
        headers: {
          [SESSION_HEADER]: sessionId,
          [N_HEADER]: String(commit.n),
          [AFTER_HEADER]: String(known.head?.seq ?? 0),
          [MARK_HEADER]: String(known.head?.mark ?? 0),
        },
      });
      if (verdict.type === "stored") {
        this.#advance(request, known, verdict.seq, logged.entry, uses);
        return ACCEPTED;
      }
      // W3
      this.forget(sessionId);
      known = await this.#load(sessionId);
      isGuess = false;
      if (known.head?.commit !== undefined && isSameCommit(known.head.commit, commit)) {
        this.#advance(request, { ...known, seqs: [] }, known.head.seq, logged.entry, uses);
        return ACCEPTED;
      }
      if (!fits(request, known.head)) continue;
      if (clock.monotonicMs() - startedMs > this.#ports.streams.patienceMs) throw undecided(request, verdict);
      await this.#ports.streams.sleep(pauseMs);
    }
  }

  /** L3: a repeat of what is stored there is fine. What the append brought along goes otherwise. */
  async #refuse(request: AppendRequest, head: Known | null, uses: readonly string[]): Promise<AppendResult> {
    const { sessionId, commit } = request;
    if (head !== null && (await this.#isThere(sessionId, commit, head))) return ACCEPTED;
    for (const ref of uses) await this.#ports.blobs.release(ref, useOf(request));
    return { ok: false, last: head === null ? null : { n: head.n, epoch: head.epoch, id: head.id } };
  }

  async #isThere(sessionId: string, commit: Commit, head: Known): Promise<boolean> {
    if (commit.n >= head.n) return head.commit !== undefined && isSameCommit(head.commit, commit);
    for await (const stored of this.#ports.reader.read(sessionId, commit.n)) return isSameCommit(stored, commit);
    return false;
  }

  async #storeBlobs(request: AppendRequest, known: Session, uses: string[]): Promise<void> {
    const { commit, blobs: handedIn = new Map<string, Uint8Array>() } = request;
    const refs = new Set([...handedIn.keys(), ...blobRefs(commit.facts)]);
    const missing = [...refs].filter((ref) => !known.refs.has(ref) && !uses.includes(ref));
    if (missing.length === 0) return;
    const use = useOf(request);
    await Promise.all(
      missing.map(async (ref) => {
        const bytes = handedIn.get(ref);
        // A reference to what is in no store is the writer's affair; reading it says so.
        if (bytes === undefined && !(await this.#ports.blobs.keep(ref, use))) return;
        uses.push(ref);
        if (bytes !== undefined) await this.#ports.blobs.put(ref, bytes, use);
      }),
    );
  }

  async #payload(request: AppendRequest, record: Uint8Array, uses: string[]): Promise<Uint8Array> {
    if (record.byteLength <= INLINE_BYTES_MAX) return record;
    const ref = spilledRef(record);
    if (!uses.includes(ref)) {
      uses.push(ref);
      await this.#ports.blobs.put(ref, record, useOf(request));
    }
    return encodeReference(ref, keys.commit(request.sessionId, request.commit.n));
  }

  #advance(
    { sessionId, commit }: AppendRequest,
    known: Session,
    seq: number,
    entry: SessionEntry | null,
    uses: readonly string[],
  ): void {
    const { n, epoch, id, atMs } = commit;
    for (const ref of uses) known.refs.add(ref);
    known.seqs.push(seq);
    if (known.seqs.length > SEQS_MAX) known.seqs.splice(0, SEQS_MAX / 2);
    const mark = n % MARK_EVERY === 0 ? seq : (known.head?.mark ?? 0);
    const endSeq = Math.max(known.endSeq, seq);
    this.#remember(sessionId, { ...known, endSeq, head: { n, epoch, id, atMs, seq, mark, entry } });
    if (entry !== null) this.#ports.index.settle(sessionId, { ...entry, n, updatedAtMs: atMs });
  }

  async #load(sessionId: string): Promise<Session> {
    // In this order: what the index says must not be newer than the end of the log we go on from.
    await this.#ports.index.reread(sessionId);
    const { head, seq: endSeq } = await this.#ports.reader.end(sessionId);
    const loaded: Session = { head, endSeq, refs: new Set(), seqs: head === null ? [] : [head.seq] };
    if (head !== null) this.#remember(sessionId, loaded);
    return loaded;
  }

  #remember(sessionId: string, session: Session): void {
    this.#sessions.delete(sessionId);
    this.#sessions.set(sessionId, session);
    if (this.#sessions.size <= KNOWN_MAX) return;
    const [oldest] = this.#sessions.keys();
    if (oldest !== undefined) this.#sessions.delete(oldest);
  }
}

function fits({ expected, commit, begins }: AppendRequest, head: Known | null): boolean {
  if (commit.n !== expected + 1) return false;
  return begins === true ? head === null : (head?.n ?? 0) === expected;
}

// By all that the commit holds: two processes whose chance began alike make the same ids.
function useOf({ sessionId, commit }: AppendRequest): BlobUse {
  return { sessionId, use: hashBytes(encodeCommit(commit, keys.commit(sessionId, commit.n))) };
}

function undecided(
  { sessionId, commit }: AppendRequest,
  { type, cause }: { type: string; cause?: Error },
): OrchestraError {
  return new OrchestraError(
    "ORCH_STORE_FAILED",
    `NATS did not say whether commit ${commit.n} of session "${sessionId}" is stored (${cause?.message ?? type})`,
    { cause, details: { sessionId, n: commit.n, id: commit.id } },
  );
}
