// Session store on JetStream
//
// Owns:      putting its parts together, and refusing everything once it is closed.
// Does not:  connect, or end the connection: the link's owner does.
//
// The log is the truth: one message per commit, which holds the index entry too. All else is found from it, or says
// how to find it. Parts: store-log.ts (append), store-read.ts (read), store-index.ts and store-list.ts (list),
// store-blobs.ts, store-snapshots.ts, store-checkpoints.ts, store-retention.ts, store-verify.ts.

import { OrchestraError } from "../base/errors.ts";
import type {
  AppendRequest,
  AppendResult,
  Checkpoint,
  Commit,
  Durability,
  SessionEntry,
  SessionStore,
  Snapshot,
  StoreStats,
  VerifyReport,
} from "../state/ports.ts";
import type { NatsLink } from "./link.ts";
import { BlobShelf } from "./store-blobs.ts";
import { Checkpoints } from "./store-checkpoints.ts";
import { SessionIndex } from "./store-index.ts";
import { SessionLog } from "./store-log.ts";
import { LogMessages } from "./store-log-messages.ts";
import { LogReader } from "./store-read.ts";
import { LogRetention } from "./store-retention.ts";
import { Snapshots } from "./store-snapshots.ts";
import { StreamAccess } from "./store-stream.ts";
import { countBus, verifyBus } from "./store-verify.ts";

export interface NatsStoreOptions {
  /** The servers sync before they acknowledge: a single one then keeps what loss of power would take. Default false. */
  readonly syncAlways?: boolean;
  /** How long a call goes on trying while servers are away, in milliseconds. Default 60_000. */
  readonly patienceMs?: number;
  /** How long a publish waits for its answer before the log is asked what became of it, in milliseconds. Default 5_000. */
  readonly ackTimeoutMs?: number;
}
const DEFAULT_STORE_OPTIONS: Readonly<Required<NatsStoreOptions>> = Object.freeze({
  syncAlways: false,
  patienceMs: 60_000,
  ackTimeoutMs: 5_000,
});

/** Nothing is connected before the first call. */
export function createSessionStore(link: NatsLink, options: NatsStoreOptions = {}): SessionStore {
  return new NatsSessionStore(link, { ...DEFAULT_STORE_OPTIONS, ...options });
}

class NatsSessionStore implements SessionStore {
  readonly name = "nats";
  readonly #link: NatsLink;
  readonly #options: Required<NatsStoreOptions>;
  readonly #streams: StreamAccess;
  readonly #blobs: BlobShelf;
  readonly #snapshots: Snapshots;
  readonly #checkpoints: Checkpoints;
  readonly #index: SessionIndex;
  readonly #reader: LogReader;
  readonly #log: SessionLog;
  readonly #retention: LogRetention;
  /** Found by snapshots: where the commit stands that a log is read on from. */
  readonly #resumeAt = new Map<string, { readonly n: number; readonly seq: number }>();
  #closing: Promise<void> | null = null;

  constructor(link: NatsLink, options: Required<NatsStoreOptions>) {
    this.#link = link;
    this.#options = options;
    const { names, logger } = link;
    const streams = new StreamAccess(link, options);
    const blobs = new BlobShelf(streams, names);
    const messages = new LogMessages(streams, names);
    const ports = { streams, names, blobs, logger };
    const seqOf = (sessionId: string, n: number): number | undefined => this.#seqOf(sessionId, n);
    this.#streams = streams;
    this.#blobs = blobs;
    this.#snapshots = new Snapshots(ports);
    this.#checkpoints = new Checkpoints(ports);
    this.#index = new SessionIndex(streams, names, messages, logger);
    this.#reader = new LogReader({
      messages,
      blobs,
      seqOf,
      hasSnapshot: (sessionId, n) => this.#snapshots.has(sessionId, n),
    });
    this.#log = new SessionLog({ ...ports, index: this.#index, reader: this.#reader });
    this.#retention = new LogRetention({ ...ports, seqOf, reader: this.#reader, snapshots: this.#snapshots });
  }

  /** Until the first call what the options say: whether there are copies is known once it is connected. */
  get durability(): Durability {
    const { replicas = 1, storage = "file" } = this.#streams.quality ?? {};
    if (storage === "memory") return "memory";
    if (replicas >= 3) return "quorum";
    return this.#options.syncAlways ? "disk" : "process";
  }

  async open(): Promise<void> {
    await this.#ready();
  }

  /** Waits for what is under way. */
  close(): Promise<void> {
    this.#closing ??= this.#settle();
    return this.#closing;
  }

  another(): SessionStore {
    return new NatsSessionStore(this.#link, this.#options);
  }

  append(request: AppendRequest): Promise<AppendResult> {
    // Appends are put in line in the order of their calls.
    return this.#closing === null ? this.#log.append(request) : Promise.reject(closedError());
  }

  async *read(sessionId: string, from?: number): AsyncIterable<Commit> {
    await this.#ready();
    for await (const commit of this.#reader.read(sessionId, from)) {
      this.#checkOpen();
      yield commit;
    }
  }

  async last(sessionId: string): Promise<{ readonly n: number; readonly epoch: number; readonly id: string } | null> {
    await this.#ready();
    const head = await this.#reader.head(sessionId);
    return head === null ? null : { n: head.n, epoch: head.epoch, id: head.id };
  }

  async saveSnapshot(sessionId: string, snapshot: Snapshot): Promise<void> {
    await this.#ready();
    await this.#retention.save(sessionId, snapshot);
  }

  async latestSnapshot(sessionId: string, atMostN = Infinity): Promise<Snapshot | null> {
    await this.#ready();
    const found = await this.#snapshots.newest(sessionId, atMostN);
    if (found?.seq !== undefined) this.#noteResume(sessionId, { n: found.snapshot.n, seq: found.seq });
    return found?.snapshot ?? null;
  }

  async compact(sessionId: string, belowN: number): Promise<void> {
    await this.#ready();
    await this.#retention.compact(sessionId, belowN);
  }

  async saveCheckpoint(checkpoint: Checkpoint): Promise<void> {
    await this.#ready();
    if ((await this.#reader.first(checkpoint.sessionId)) === null) throw unknownSession(checkpoint.sessionId);
    await this.#checkpoints.save(checkpoint);
  }

  async getCheckpoint(checkpointId: string): Promise<Checkpoint | null> {
    await this.#ready();
    return this.#checkpoints.get(checkpointId);
  }

  async listCheckpoints(sessionId: string): Promise<readonly Checkpoint[]> {
    await this.#ready();
    return this.#checkpoints.list(sessionId);
  }

  async deleteCheckpoint(checkpointId: string): Promise<void> {
    await this.#ready();
    await this.#checkpoints.drop(checkpointId);
  }

  async getBlob(ref: string): Promise<Uint8Array> {
    await this.#ready();
    return this.#blobs.get(ref);
  }

  /** By the log's last message alone. */
  async getSession(sessionId: string): Promise<SessionEntry | null> {
    await this.#ready();
    return this.#entry(sessionId);
  }

  async listSessions(options?: Parameters<SessionStore["listSessions"]>[0]): Promise<readonly SessionEntry[]> {
    await this.#ready();
    return this.#index.list.page(options, (sessionId) => this.#entry(sessionId));
  }

  /** The log goes first: from then on there is no session, and whoever repeats this finds the rest. */
  async deleteSession(sessionId: string): Promise<boolean> {
    await this.#ready();
    const { names } = this.#link;
    return this.#log.inTurn(sessionId, async () => {
      this.#log.forget(sessionId);
      this.#resumeAt.delete(sessionId);
      const existed = (await this.#streams.last(names.streams.log, names.log(sessionId))) !== null;
      await this.#streams.purge(names.streams.log, names.log(sessionId));
      await this.#snapshots.dropAll(sessionId);
      await this.#checkpoints.dropAll(sessionId);
      await this.#blobs.releaseAll(sessionId);
      await this.#index.remove(sessionId);
      return existed;
    });
  }

  async verify(): Promise<VerifyReport> {
    await this.#ready();
    return verifyBus({
      streams: this.#streams,
      names: this.#link.names,
      blobs: this.#blobs,
      reader: this.#reader,
      snapshots: this.#snapshots,
      checkpoints: this.#checkpoints,
    });
  }

  async stats(): Promise<StoreStats> {
    await this.#ready();
    return countBus(this.#streams, this.#link.names);
  }

  async #entry(sessionId: string): Promise<SessionEntry | null> {
    const head = await this.#reader.head(sessionId);
    return head === null || head.entry === null ? null : { ...head.entry, n: head.n, updatedAtMs: head.atMs };
  }

  #seqOf(sessionId: string, n: number): number | undefined {
    const resume = this.#resumeAt.get(sessionId);
    // Right behind the commit of a snapshot: its own sequence is a place to start from.
    const hint = resume !== undefined && resume.n <= n ? resume.seq : undefined;
    return this.#log.seqOf(sessionId, n) ?? hint;
  }

  #noteResume(sessionId: string, at: { readonly n: number; readonly seq: number }): void {
    this.#resumeAt.delete(sessionId);
    this.#resumeAt.set(sessionId, at);
    const [oldest] = this.#resumeAt.keys();
    if (this.#resumeAt.size > RESUMES_MAX && oldest !== undefined) this.#resumeAt.delete(oldest);
  }

  async #ready(): Promise<void> {
    this.#checkOpen();
    await this.#streams.connect();
    this.#checkOpen();
  }

  async #settle(): Promise<void> {
    await Promise.all([this.#log.idle(), this.#retention.idle()]);
    await this.#index.settled();
  }

  #checkOpen(): void {
    if (this.#closing !== null) throw closedError();
  }
}

const RESUMES_MAX = 1_000;

function closedError(): OrchestraError {
  return new OrchestraError("ORCH_CLOSED", 'the store "nats" is closed');
}

function unknownSession(sessionId: string): OrchestraError {
  return new OrchestraError("ORCH_SESSION_UNKNOWN", `session ${sessionId} is not in the store "nats"`, {
    details: { sessionId },
  });
}
