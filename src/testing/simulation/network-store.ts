// Network store: the sessions on the server, as the adapter of one host reads and writes them.
//
// A refused append is the other's, or one's own whose acknowledgement was lost: the commit's id says which, and the server
// compares it. No answer says nothing; the append is sent again.

import type { AppendRequest, AppendResult, Checkpoint, Commit, SessionStore, Snapshot } from "../../state/ports.ts";
import { OrchestraError, isOrchestraError } from "../../base/errors.ts";
import type { Connection } from "./sim-network.ts";
import type { SimServer } from "./sim-server.ts";

const APPEND_PATIENCE_MS = 60_000;

export interface StoreWatch {
  /** Told that a commit of its own is in the log. */
  wrote(sessionId: string, n: number): void;
  /** Told that another wrote there. */
  refused(sessionId: string): void;
}

export class NetworkStore implements SessionStore {
  readonly name = "network";
  readonly durability = "quorum";
  readonly #server: SimServer;
  readonly #connection: Connection;
  readonly #watch: StoreWatch;

  constructor(server: SimServer, connection: Connection, watch: StoreWatch) {
    this.#server = server;
    this.#connection = connection;
    this.#watch = watch;
  }

  async open(): Promise<void> {
    await this.#connection.insist("open the store", () => undefined);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  another(): SessionStore {
    return new NetworkStore(this.#server, this.#connection, this.#watch);
  }

  async append(request: AppendRequest): Promise<AppendResult> {
    const { sessionId, commit } = request;
    const { name } = this.#connection.process.scope;
    this.#model(sessionId).handIn(commit, name);
    const label = `append ${commit.n} of ${sessionId}`;
    const answer = await this.#connection
      .insist(label, () => this.#server.append(request, name), APPEND_PATIENCE_MS)
      .catch((error: unknown) => {
        if (!isOrchestraError(error, "ORCH_BUS_UNREACHABLE")) throw error;
        throw new OrchestraError("ORCH_STORE_FAILED", `it is not known whether ${label} is stored`, { cause: error });
      });
    if (answer.ok) this.#watch.wrote(sessionId, commit.n);
    else this.#watch.refused(sessionId);
    return answer;
  }

  async *read(sessionId: string, from?: number): AsyncIterable<Commit> {
    const model = this.#model(sessionId);
    const commits = await this.#connection.insist(`read ${sessionId}`, async () => {
      const found: Commit[] = [];
      for await (const commit of this.#server.store.read(sessionId, from)) {
        model.shown(commit);
        found.push(commit);
      }
      model.endedAt(found.at(-1)?.n ?? (from ?? 1) - 1, model.n);
      return found;
    });
    yield* commits;
  }

  last(sessionId: string): ReturnType<SessionStore["last"]> {
    return this.#connection.insist(`last of ${sessionId}`, () => this.#server.store.last(sessionId));
  }

  saveSnapshot(sessionId: string, snapshot: Snapshot): Promise<void> {
    return this.#connection.insist(`snapshot of ${sessionId}`, () =>
      this.#server.store.saveSnapshot(sessionId, snapshot),
    );
  }

  latestSnapshot(sessionId: string, atMostN?: number): Promise<Snapshot | null> {
    return this.#connection.insist(`snapshot of ${sessionId}`, async () => {
      const snapshot = await this.#server.store.latestSnapshot(sessionId, atMostN);
      if (snapshot !== null) this.#model(sessionId).snapshotShown(snapshot);
      return snapshot;
    });
  }

  compact(sessionId: string, belowN: number): Promise<void> {
    return this.#connection.insist(`compaction of ${sessionId}`, () => this.#server.store.compact(sessionId, belowN));
  }

  saveCheckpoint(checkpoint: Checkpoint): Promise<void> {
    return this.#connection.insist("save a checkpoint", () => this.#server.store.saveCheckpoint(checkpoint));
  }

  getCheckpoint(checkpointId: string): Promise<Checkpoint | null> {
    return this.#connection.insist("get a checkpoint", () => this.#server.store.getCheckpoint(checkpointId));
  }

  listCheckpoints(sessionId: string): Promise<readonly Checkpoint[]> {
    return this.#connection.insist("list checkpoints", () => this.#server.store.listCheckpoints(sessionId));
  }

  deleteCheckpoint(checkpointId: string): Promise<void> {
    return this.#connection.insist("delete a checkpoint", () => this.#server.store.deleteCheckpoint(checkpointId));
  }

  getBlob(ref: string): Promise<Uint8Array> {
    return this.#connection.insist("get a blob", () => this.#server.store.getBlob(ref));
  }

  getSession(sessionId: string): ReturnType<SessionStore["getSession"]> {
    return this.#connection.insist(`entry of ${sessionId}`, () => this.#server.store.getSession(sessionId));
  }

  listSessions(options?: Parameters<SessionStore["listSessions"]>[0]): ReturnType<SessionStore["listSessions"]> {
    return this.#connection.insist("list sessions", () => this.#server.list(options));
  }

  deleteSession(sessionId: string): Promise<boolean> {
    return this.#connection.insist(`deletion of ${sessionId}`, () => {
      this.#server.forget(sessionId);
      return this.#server.store.deleteSession(sessionId);
    });
  }

  verify(): ReturnType<SessionStore["verify"]> {
    return this.#connection.insist("verify", () => this.#server.store.verify());
  }

  stats(): ReturnType<SessionStore["stats"]> {
    return this.#connection.insist("stats", () => this.#server.store.stats());
  }

  #model(sessionId: string): ReturnType<SimServer["observer"]["session"]> {
    return this.#server.observer.session(sessionId);
  }
}
