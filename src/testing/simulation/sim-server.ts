// Simulated server
//
// Owns:      what all hosts share: sessions with their logs, the work queue, results, commands, dead letters, leases. It forgets
//            nothing and never dies.
// Does not:  know who is connected how (sim-network.ts), or what an adapter makes of it (network-bus.ts).
//
// Its parts are those of one process, put behind the network. Claims are handed out again after `ACK_WAIT_MS`, leases run
// out after `LEASE_MS`, both by the clock of the server.

import { createLocalBus } from "../../bus/local-bus.ts";
import type { Bus, HostInfo, Journal, StepResult } from "../../bus/ports.ts";
import type { Logger } from "../../base/logger.ts";
import { memoryStorage } from "../../state/memory-store.ts";
import type { AppendRequest, AppendResult, SessionEntry, SessionStore } from "../../state/ports.ts";
import { between, streamFor } from "./chance.ts";
import type { Observer } from "./observer.ts";
import { SimNetwork, type Connection } from "./sim-network.ts";
import type { Machine } from "./sim-machine.ts";

export const ACK_WAIT_MS = 12_000;
export const LEASE_MS = 15_000;
/** How far the index of sessions may be behind their logs. */
const INDEX_LATE_MS_MAX = 3_000;

type JournalOwner = Parameters<Journal["own"]>[1];

interface Leased {
  readonly info: HostInfo;
  readonly mark: string;
  readonly renewedAtMs: number;
}

interface Listener<T> {
  readonly connection: Connection;
  readonly tell: (what: T) => void;
}

/** Who listens to what is told of a session, on whichever host. */
export class Listeners<T> {
  readonly #by = new Map<string, Set<Listener<T>>>();

  add(key: string, connection: Connection, tell: (what: T) => void): () => void {
    const listener = { connection, tell };
    const others = this.#by.get(key);
    if (others === undefined) this.#by.set(key, new Set([listener]));
    else others.add(listener);
    connection.process.scope.onDeath(() => this.#remove(key, listener));
    return () => this.#remove(key, listener);
  }

  of(key: string): readonly Listener<T>[] {
    return [...(this.#by.get(key) ?? [])];
  }

  hint(key: string, label: string, what: T): void {
    for (const { connection, tell } of this.of(key)) connection.hint(label, () => tell(what));
  }

  #remove(key: string, listener: Listener<T>): void {
    const others = this.#by.get(key);
    others?.delete(listener);
    if (others?.size === 0) this.#by.delete(key);
  }
}

export class SimServer {
  readonly network: SimNetwork;
  readonly observer: Observer;
  readonly bus: Bus;
  readonly store: SessionStore = memoryStorage();
  readonly told = {
    results: new Listeners<StepResult>(),
    commands: new Listeners<void>(),
    letters: new Listeners<void>(),
    live: new Listeners<unknown>(),
    hosts: new Listeners<void>(),
  };
  /** Results that came when their steps had ended already: they stay until the bus itself lets go of them. */
  readonly tooLate = new Set<StepResult>();
  readonly journals = new Listeners<(owner: JournalOwner) => void>();
  readonly #machine: Machine;
  readonly #leases = new Map<string, Leased>();
  readonly #indexed = new Map<string, { readonly entry: SessionEntry; readonly seenAtMs: number }[]>();

  /** `deliveriesMax`: how often a step is handed out before it is a dead letter. */
  constructor(machine: Machine, observer: Observer, logger: Logger, seed: number) {
    this.#machine = machine;
    this.observer = observer;
    this.network = new SimNetwork(machine);
    const random = streamFor(seed, "server");
    this.bus = createLocalBus({
      clock: machine.scheduler.clockOf(this.network.scope),
      logger,
      ackWaitMs: ACK_WAIT_MS,
      maxDelivery: random.next() < 0.5 ? between(random, 3, 8) : 1_000,
      onDeadLetter: ({ sessionId }) => this.told.letters.hint(sessionId, "a dead letter", undefined),
    });
  }

  /** Compare and set: accepted only behind the last commit the writer expects. */
  async append(request: AppendRequest, by: string): Promise<AppendResult> {
    const { sessionId, commit } = request;
    const { canary } = this.#machine;
    const model = this.observer.session(sessionId);
    const wasThere = model.commit(commit.n)?.id === commit.id;
    if (canary === "ignores-the-position" && !wasThere && commit.n <= model.n) {
      this.observer.acknowledged(sessionId, commit, by);
      return { ok: true };
    }
    const answer = await this.store.append(request);
    if (!answer.ok || wasThere) return answer;
    this.observer.acknowledged(sessionId, commit, by);
    if (request.entry !== undefined) this.#index(request.entry);
    return answer;
  }

  /** As of a while ago: the index follows the logs. What an entry says is of now. */
  async list(options: Parameters<SessionStore["listSessions"]>[0] = {}): Promise<readonly SessionEntry[]> {
    const { status, limit = 100, cursor = "" } = options;
    const found: SessionEntry[] = [];
    for (const sessionId of [...this.#indexed.keys()].sort()) {
      if (found.length >= limit) break;
      const seen = this.#seen(sessionId);
      if (sessionId <= cursor || seen === undefined || (status !== undefined && seen.status !== status)) continue;
      const entry = await this.store.getSession(sessionId);
      if (entry !== null && (status === undefined || entry.status === status)) found.push(entry);
    }
    return found;
  }

  forget(sessionId: string): void {
    this.#indexed.delete(sessionId);
  }

  /** False when another mark stands there and its lease has not run out. */
  renew(info: HostInfo, mark: string): boolean {
    const before = this.#leases.get(info.host);
    if (before !== undefined && before.mark !== mark && this.#isAlive(before)) return false;
    const isNews =
      before === undefined || !this.#isAlive(before) || JSON.stringify(before.info) !== JSON.stringify(info);
    this.#leases.set(info.host, { info, mark, renewedAtMs: this.#machine.scheduler.nowMs });
    if (isNews) this.told.hosts.hint("", "a host", undefined);
    return true;
  }

  release(host: string, mark: string): void {
    if (this.#leases.get(host)?.mark === mark) this.#leases.delete(host);
    this.told.hosts.hint("", "a host", undefined);
  }

  alive(): readonly HostInfo[] {
    const { canary } = this.#machine;
    return [...this.#leases.values()]
      .filter((one) => canary === "buries-nobody" || this.#isAlive(one))
      .map(({ info }) => info);
  }

  #isAlive({ renewedAtMs }: Leased): boolean {
    return this.#machine.scheduler.nowMs - renewedAtMs < LEASE_MS;
  }

  #index(entry: SessionEntry): void {
    const { faults, scheduler } = this.#machine;
    const late = faults.strikes("delayed");
    const seenAtMs = scheduler.nowMs + (late === undefined ? 0 : between(late, 1, INDEX_LATE_MS_MAX));
    const before = this.#indexed.get(entry.sessionId) ?? [];
    this.#indexed.set(entry.sessionId, [
      ...before.filter((one) => one.seenAtMs <= seenAtMs).slice(-1),
      { entry, seenAtMs },
    ]);
  }

  #seen(sessionId: string): SessionEntry | undefined {
    const { nowMs } = this.#machine.scheduler;
    return this.#indexed.get(sessionId)?.findLast(({ seenAtMs }) => seenAtMs <= nowMs)?.entry;
  }
}
