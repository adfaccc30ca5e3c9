// Walks all that the store keeps on the bus: every checksum, every number, every reference. Others may write meanwhile.

import { blobRefs } from "../state/blob-refs.ts";
import type { StoreStats, VerifyReport } from "../state/ports.ts";
import { encodeName, type Names } from "./names.ts";
import { streamOfBucket } from "./assets.ts";
import { isSpilled, type BlobShelf } from "./store-blobs.ts";
import type { Checkpoints } from "./store-checkpoints.ts";
import { recordedEntry, sessionOf } from "./store-list.ts";
import { isCommit } from "./store-log-messages.ts";
import type { StoredMessage } from "./store-message.ts";
import type { LogReader } from "./store-read.ts";
import { corrupt, positionOf } from "./store-records.ts";
import type { Snapshots } from "./store-snapshots.ts";
import type { StreamAccess } from "./store-stream.ts";

type Problem = VerifyReport["problems"][number];

export interface VerifyPorts {
  readonly streams: StreamAccess;
  readonly names: Names;
  readonly blobs: BlobShelf;
  readonly reader: LogReader;
  readonly snapshots: Snapshots;
  readonly checkpoints: Checkpoints;
}

/** What is known of one log while all are walked, a message at a time. */
interface Log {
  lastGoodN: number | null;
  lastGoodAtMs: number | undefined;
  /** The last position seen, good or not. */
  lastN: number;
  bad: { readonly key: string; readonly message: string } | null;
}

/** Reports the first bad commit of each session, and every other record that is bad. */
export async function verifyBus(ports: VerifyPorts): Promise<VerifyReport> {
  const walk = new Walk(ports);
  await walk.logs();
  await walk.index();
  await walk.records(ports.snapshots.stream, async (message) => {
    const sessionId = sessionOf(message, -2);
    if (sessionId === null) throw corrupt(message.subject, "it names no session");
    walk.name(sessionId, [await ports.snapshots.decode(sessionId, message)]);
  });
  await walk.records(ports.checkpoints.stream, async (message) => {
    const checkpoint = await ports.checkpoints.decode(message);
    walk.name(checkpoint.sessionId, [checkpoint]);
  });
  const blobs = await walk.blobs();
  const { problems, sessions, commits } = walk;
  return { ok: problems.length === 0, sessions, commits, blobs, problems };
}

export async function countBus(streams: StreamAccess, names: Names): Promise<StoreStats> {
  const { buckets } = names;
  const [log, blobs, index, snapshots, checkpoints, heldBlobs] = await Promise.all([
    streams.counts(names.streams.log),
    streams.counts(names.streams.blobs),
    streams.counts(streamOfBucket(buckets.sessions)),
    streams.counts(streamOfBucket(buckets.snapshots)),
    streams.counts(streamOfBucket(buckets.checkpoints)),
    blobIds(streams, names),
  ]);
  return {
    sessions: log.subjects,
    commits: log.messages,
    snapshots: snapshots.messages,
    checkpoints: checkpoints.messages,
    blobs: heldBlobs.filter((ref) => !isSpilled(ref)).length,
    bytes: [log, blobs, index, snapshots, checkpoints].reduce((total, { bytes }) => total + bytes, 0),
  };
}

class Walk {
  readonly problems: Problem[] = [];
  commits = 0;
  readonly #ports: VerifyPorts;
  readonly #logs = new Map<string, Log>();
  /** By subject of a log: sequences of messages that are no commits. */
  readonly #strays = new Map<string, number[]>();
  /** By blob: tokens of the sessions whose records name it. */
  readonly #named = new Map<string, Set<string>>();

  constructor(ports: VerifyPorts) {
    this.#ports = ports;
  }

  get sessions(): number {
    return this.#logs.size;
  }

  async logs(): Promise<void> {
    const { names } = this.#ports;
    for await (const message of this.#all(names.streams.log, names.pattern("log", "*"))) await this.#commit(message);
    for (const [sessionId, log] of this.#logs) if (log.bad !== null) this.#reportLog(sessionId, log, log.bad);
    for (const [subject, seqs] of this.#strays) this.#reportStrays(subject, seqs);
  }

  /** A record that says more than the log: what it says was lost there. */
  async index(): Promise<void> {
    const { names } = this.#ports;
    const stream = streamOfBucket(names.buckets.sessions);
    await this.records(stream, async (message) => {
      const entry = recordedEntry(message);
      if (entry === "removed" || entry === "moves") return;
      const log = this.#logs.get(entry.sessionId);
      if (log !== undefined && log.bad === null && log.lastN < entry.n)
        this.#reportLog(
          entry.sessionId,
          { ...log, lastN: entry.n },
          { key: names.log(entry.sessionId), message: `commits behind ${log.lastN} were lost: there was ${entry.n}` },
        );
    });
  }

  async records(stream: string, check: (message: StoredMessage) => Promise<void>): Promise<void> {
    const pattern = `$KV.${stream.slice(streamOfBucket("").length)}.>`;
    for await (const message of this.#all(stream, pattern)) {
      try {
        await check(message);
      } catch (error) {
        this.#report(sessionOf(message, -2) ?? sessionOf(message), message.subject, error);
      }
    }
  }

  name(sessionId: string, records: readonly object[]): void {
    const token = encodeName(sessionId);
    for (const ref of blobRefs(records)) {
      const by = this.#named.get(ref) ?? new Set();
      by.add(token);
      this.#named.set(ref, by);
    }
  }

  /** Resolves to how many there are. */
  async blobs(): Promise<number> {
    const { streams, names, blobs } = this.#ports;
    const held = new Set(await blobIds(streams, names));
    let count = 0;
    for (const ref of held) {
      if (isSpilled(ref)) continue;
      count += 1;
      await blobs.get(ref).catch((error: unknown) => this.#report(null, names.blob(ref), error));
    }
    const start = names.pattern("ref").split(".").length;
    for (const use of (await streams.subjects(names.streams.blobs, names.pattern("ref", "*", "*", "*"))).keys()) {
      const [ref = "", token = ""] = use.split(".").slice(start);
      // An append that was cut short refers to what it never stored; only what a commit names must be there.
      if (held.has(ref) || this.#named.get(ref)?.has(token) !== true) continue;
      this.#named.get(ref)?.delete(token);
      this.#report(this.#sessionOfToken(token), names.blob(ref), corrupt(`blob ${ref}`, "it is missing"));
    }
    return count;
  }

  async #commit(message: StoredMessage): Promise<void> {
    const { reader, names } = this.#ports;
    if (!isCommit(message)) {
      const seqs = this.#strays.get(message.subject) ?? [];
      seqs.push(message.seq);
      this.#strays.set(message.subject, seqs);
      return;
    }
    const sessionId = sessionOf(message);
    if (sessionId === null) {
      this.#report(null, message.subject, corrupt(message.subject, `message ${message.seq} names no session`));
      return;
    }
    const log = this.#logs.get(sessionId) ?? { lastGoodN: null, lastGoodAtMs: undefined, lastN: 0, bad: null };
    this.#logs.set(sessionId, log);
    try {
      const n = positionOf(message, sessionId);
      const expected = log.lastN + 1;
      log.lastN = n;
      if (log.bad !== null) return;
      if (n !== expected) await this.#assertBegins(sessionId, message, n, expected);
      const { commit } = await reader.decode(sessionId, message);
      this.name(sessionId, commit.facts);
      this.commits += 1;
      log.lastGoodN = n;
      log.lastGoodAtMs = commit.atMs;
    } catch (error) {
      log.bad ??= { key: names.log(sessionId), message: (error as Error).message };
    }
  }

  /** A log that begins late, or was cut since the walk began. */
  async #assertBegins(sessionId: string, message: StoredMessage, n: number, expected: number): Promise<void> {
    const begin = await this.#ports.reader.begin(sessionId);
    if (begin === null || (begin > expected && begin >= n)) return;
    throw corrupt(message.subject, `commit ${expected} was lost`);
  }

  #reportLog(sessionId: string, log: Log, { key, message }: { key: string; message: string }): void {
    this.problems.push({
      sessionId,
      key,
      message,
      lastGoodN: log.lastGoodN,
      ...(log.lastGoodAtMs === undefined ? {} : { lastGoodAtMs: log.lastGoodAtMs }),
      ...(log.lastN === 0 ? {} : { lastN: log.lastN }),
    });
  }

  /** They are passed over, but somebody who may not write to logs had the server do it. */
  #reportStrays(subject: string, seqs: readonly number[]): void {
    const sessionId = this.#sessionOfToken(subject.split(".").at(-1) ?? "");
    const stream = this.#ports.names.streams.log;
    const [first = 0] = seqs;
    this.problems.push({
      sessionId,
      key: subject,
      message:
        `${seqs.length === 1 ? "1 message that is no commit is" : `${seqs.length} messages that are no commits are`} ` +
        `passed over, the first at ${first} of ${stream}: who may make requests can have the server send an answer there; ` +
        `"nats stream rmm ${stream} ${first}" removes it`,
      lastGoodN: this.#logs.get(sessionId ?? "")?.lastGoodN ?? null,
    });
  }

  #sessionOfToken(token: string): string | null {
    return [...this.#logs.keys()].find((id) => encodeName(id) === token) ?? null;
  }

  #report(sessionId: string | null, key: string, error: unknown): void {
    this.problems.push({ sessionId, key, message: (error as Error).message, lastGoodN: null });
  }

  async *#all(stream: string, pattern: string): AsyncIterable<StoredMessage> {
    const { streams } = this.#ports;
    const { lastSeq } = await streams.counts(stream);
    let fromSeq = 1;
    // What a copy that is behind leaves out is asked of the leader.
    for (const fromLeader of [false, true])
      for await (const message of streams.range(stream, pattern, { fromSeq, toSeq: lastSeq, fromLeader })) {
        fromSeq = message.seq + 1;
        yield message;
      }
  }
}

async function blobIds(streams: StreamAccess, names: Names): Promise<string[]> {
  const position = names.pattern("blob").split(".").length;
  const chunks = await streams.subjects(names.streams.blobs, names.pattern("blob", "*", "0"));
  return [...chunks.keys()].map((subject) => subject.split(".")[position] ?? "");
}
