// Observed store: the store of one process, with everything that goes in and comes out shown to the checkers.

import { encodeState } from "../../actors/view.ts";
import type { AppendRequest, AppendResult, Checkpoint, Commit, SessionStore, Snapshot } from "../../state/ports.ts";
import type { Observer } from "./observer.ts";
import type { Process } from "./sim-machine.ts";

export class ObservedStore implements SessionStore {
  readonly #store: SessionStore;
  readonly #process: Process;
  readonly #observer: Observer;

  constructor(store: SessionStore, process: Process, observer: Observer) {
    this.#store = store;
    this.#process = process;
    this.#observer = observer;
  }

  get name(): string {
    return this.#store.name;
  }
  get durability(): SessionStore["durability"] {
    return this.#store.durability;
  }

  open(): Promise<void> {
    return this.#store.open();
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  async append(asked: AppendRequest): Promise<AppendResult> {
    const { machine, scope } = this.#process;
    const model = this.#observer.session(asked.sessionId);
    const request = machine.canary === "repeats-a-fact" ? repeatingAFact(asked) : asked;
    model.handIn(request.commit);
    if (machine.canary === "acknowledges-first" && request.expected > 1) {
      machine.scheduler.after(scope, 20, "late append", () => void this.#store.append(request).catch(() => undefined));
      this.#observer.acknowledged(request.sessionId, request.commit);
      return { ok: true };
    }
    let answer = await this.#store.append(request);
    if (machine.faults.strikes("repeated") !== undefined) answer = await this.#store.append(request);
    if (!answer.ok || !scope.alive) return answer;
    this.#observer.acknowledged(request.sessionId, request.commit);
    if (machine.canary === "revives-a-run" && model.state.run?.end != null) await this.#revive(request);
    return answer;
  }

  async *read(sessionId: string, from?: number): AsyncIterable<Commit> {
    const model = this.#observer.session(sessionId);
    const atLeast = model.n;
    let last = (from ?? 1) - 1;
    for await (const commit of this.#store.read(sessionId, from)) {
      if (this.#process.scope.alive) model.shown(commit);
      last = commit.n;
      yield commit;
    }
    if (this.#process.scope.alive) model.endedAt(last, atLeast);
  }

  last(sessionId: string): ReturnType<SessionStore["last"]> {
    return this.#store.last(sessionId);
  }

  async saveSnapshot(sessionId: string, snapshot: Snapshot): Promise<void> {
    return this.#store.saveSnapshot(sessionId, this.#spoilt(sessionId, snapshot));
  }

  async latestSnapshot(sessionId: string, atMostN?: number): Promise<Snapshot | null> {
    const snapshot = await this.#store.latestSnapshot(sessionId, atMostN);
    if (snapshot !== null && this.#process.scope.alive) this.#observer.session(sessionId).snapshotShown(snapshot);
    return snapshot;
  }

  compact(sessionId: string, belowN: number): Promise<void> {
    return this.#store.compact(sessionId, belowN);
  }

  saveCheckpoint(checkpoint: Checkpoint): Promise<void> {
    const snapshot = this.#spoilt(checkpoint.sessionId, checkpoint.snapshot);
    return this.#store.saveCheckpoint({ ...checkpoint, snapshot });
  }

  async getCheckpoint(checkpointId: string): Promise<Checkpoint | null> {
    const checkpoint = await this.#store.getCheckpoint(checkpointId);
    if (checkpoint !== null && this.#process.scope.alive)
      this.#observer.session(checkpoint.sessionId).snapshotShown(checkpoint.snapshot);
    return checkpoint;
  }

  listCheckpoints(sessionId: string): Promise<readonly Checkpoint[]> {
    return this.#store.listCheckpoints(sessionId);
  }

  deleteCheckpoint(checkpointId: string): Promise<void> {
    return this.#store.deleteCheckpoint(checkpointId);
  }

  getBlob(ref: string): Promise<Uint8Array> {
    return this.#store.getBlob(ref);
  }

  async getSession(sessionId: string): ReturnType<SessionStore["getSession"]> {
    const model = this.#observer.session(sessionId);
    const before = model.n;
    const entry = await this.#store.getSession(sessionId);
    if (this.#process.scope.alive) model.endedAt(entry?.n ?? 0, before);
    return entry;
  }

  listSessions(options?: Parameters<SessionStore["listSessions"]>[0]): ReturnType<SessionStore["listSessions"]> {
    return this.#store.listSessions(options);
  }

  deleteSession(sessionId: string): Promise<boolean> {
    return this.#store.deleteSession(sessionId);
  }

  verify(): ReturnType<SessionStore["verify"]> {
    return this.#store.verify();
  }

  stats(): ReturnType<SessionStore["stats"]> {
    return this.#store.stats();
  }

  #spoilt(sessionId: string, snapshot: Snapshot): Snapshot {
    if (this.#process.machine.canary !== "snapshots-too-early") return snapshot;
    return { ...snapshot, state: encodeState(this.#observer.session(sessionId).stateAt(snapshot.n - 1)) };
  }

  async #revive({ sessionId, commit }: AppendRequest): Promise<void> {
    const revived: Commit = {
      ...commit,
      n: commit.n + 1,
      id: `${commit.id}+`,
      facts: [{ type: "timer.fired", timerId: "convergence:0:0" }],
    };
    const answer = await this.#store.append({ sessionId, expected: commit.n, commit: revived });
    if (answer.ok) this.#observer.acknowledged(sessionId, revived);
  }
}

function repeatingAFact(request: AppendRequest): AppendRequest {
  const { commit } = request;
  const step = commit.facts.find(({ type }) => type === "step.succeeded");
  return step === undefined ? request : { ...request, commit: { ...commit, facts: [...commit.facts, step] } };
}
