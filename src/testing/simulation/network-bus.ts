// Network bus
//
// The bus and the session store of one host, over the simulated network: what an adapter for a real bus makes of it. Calls are
// repeated until they are answered, for a bounded time; hints may be lost, and everything they tell is looked after by other means.

import type { DeadLetters, Inbox, Journal, LiveEvents, Liveness } from "../../bus/ports.ts";
import { LocalLiveEvents } from "../../bus/local-live-events.ts";
import { OrchestraError, isOrchestraError } from "../../base/errors.ts";
import { crossed } from "./crossing.ts";
import type { GroundParts, SimulatedBus } from "./ground.ts";
import { NetworkLease } from "./network-lease.ts";
import { NetworkResults } from "./network-results.ts";
import { NetworkSteps } from "./network-steps.ts";
import { NetworkStore } from "./network-store.ts";
import type { SessionStore } from "../../state/ports.ts";
import { Unanswered, type Connection } from "./sim-network.ts";
import type { SimServer } from "./sim-server.ts";
import { StepWitness } from "./step-witness.ts";

/** How often watchers look for what they were not told. */
const LOOK_MS = 8_000;
/** How long a take-over may leave a session without anyone to write to its journal. */
const JOURNAL_PATIENCE_MS = 20_000;

export interface NetworkBusOptions extends GroundParts {
  /** Steps an owner can run itself do not go over the network. */
  readonly localFirst: boolean;
}

type JournalOwner = Parameters<Journal["own"]>[1];

export class NetworkBus implements SimulatedBus {
  readonly name = "network";
  readonly steps: NetworkSteps;
  readonly results: NetworkResults;
  readonly journal: Journal;
  readonly inbox: Inbox;
  readonly liveness: Liveness;
  readonly live: LiveEvents;
  readonly deadLetters: DeadLetters;
  readonly sessions: SessionStore;
  readonly witness: StepWitness;
  readonly #server: SimServer;
  readonly #connection: Connection;
  readonly #own = new Map<string, JournalOwner>();
  readonly #localLive: LocalLiveEvents;
  /** What was taken hold of and not let go, for L3. */
  readonly #held = new Map<string, number>();
  #leases = 0;

  constructor(server: SimServer, connection: Connection, options: NetworkBusOptions) {
    this.#server = server;
    this.#connection = connection;
    this.#localLive = new LocalLiveEvents(options.logger);
    this.witness = new StepWitness(server.observer, connection.process, options.attemptsMax);
    const watch = {
      offered: this.witness.offered.bind(this.witness),
      keptResult: this.witness.keptResult.bind(this.witness),
      registered: this.witness.registered.bind(this.witness),
      holding: this.#holding.bind(this),
    };
    this.steps = new NetworkSteps(server, connection, watch, options.localFirst);
    this.results = new NetworkResults(server, connection, this.steps.kept, watch);
    this.sessions = new NetworkStore(server, connection, this.witness);
    this.journal = this.#journal();
    this.inbox = this.#inbox();
    this.liveness = this.#liveness();
    this.live = this.#liveEvents();
    this.deadLetters = this.#deadLetters();
    this.witness.reoffers = (step) => void this.steps.offer(step);
  }

  get held(): readonly string[] {
    return [...this.#held].flatMap(([what, count]) => (count > 0 ? [`${count} × ${what}`] : []));
  }

  known(sessionId: string): number | undefined {
    return this.witness.known(sessionId);
  }

  offerAgain(): void {
    this.witness.offerAgain(this.steps);
  }

  async close(): Promise<void> {
    this.#localLive.close();
    this.#connection.close();
  }

  #journal(): Journal {
    return {
      put: ({ sessionId, stepId, key, value }) =>
        this.#ask(sessionId, `journal ${key}`, (owner) => owner.put({ sessionId, stepId, key, value })),
      list: (sessionId, stepId) => this.#ask(sessionId, "journal", (owner) => owner.list(stepId)),
      isOwned: (sessionId) => this.#isOwned(sessionId),
      own: (sessionId, owner) => {
        this.#own.set(sessionId, owner);
        const stop = this.#server.journals.add(sessionId, this.#connection, (ask) => ask(owner));
        return this.#holding("owner of a journal", () => {
          stop();
          if (this.#own.get(sessionId) === owner) this.#own.delete(sessionId);
        });
      },
    };
  }

  async #isOwned(sessionId: string): Promise<boolean> {
    if (this.#own.has(sessionId)) return true;
    const what = "owner";
    try {
      await this.#connection.request(what, () => this.#anyOwner(sessionId, what, (owner) => owner.list("")));
      return true;
    } catch (error) {
      if (error instanceof Unanswered || isOrchestraError(error, "ORCH_FENCED")) return false;
      throw error;
    }
  }

  /** Everyone who says that the session is theirs is asked; the first answer counts. Nobody there: asked again, for a while. */
  async #ask<T>(sessionId: string, what: string, act: (owner: JournalOwner) => Promise<T>): Promise<T> {
    const { scheduler } = this.#connection.process.machine;
    const untilMs = scheduler.nowMs + JOURNAL_PATIENCE_MS;
    for (let waitMs = 50; ; waitMs = Math.min(2 * waitMs, 1_000)) {
      const mine = this.#own.get(sessionId);
      try {
        if (mine !== undefined) return await act(mine);
        return crossed(await this.#connection.request(what, () => this.#anyOwner(sessionId, what, act)));
      } catch (error) {
        if (!(error instanceof Unanswered) && !isOrchestraError(error, "ORCH_FENCED")) throw error;
        if (scheduler.nowMs + waitMs > untilMs)
          throw isOrchestraError(error)
            ? error
            : new OrchestraError("ORCH_FENCED", `${what}: nobody owns session "${sessionId}" at the moment`);
      }
      await this.#connection.sleep(waitMs, `${what} waits`);
    }
  }

  #anyOwner<T>(sessionId: string, what: string, act: (owner: JournalOwner) => Promise<T>): Promise<T> {
    const owners = this.#server.journals.of(sessionId).filter(({ connection }) => connection.isWhole);
    if (owners.length === 0)
      throw new OrchestraError("ORCH_FENCED", `${what}: nobody owns session "${sessionId}" at the moment`);
    return new Promise((resolve, reject) => {
      for (const { connection, tell } of owners)
        connection.deliver(`${what} asked`, () =>
          tell((owner) => {
            act(owner).then(
              (value) => connection.send(`${what} answered`, () => resolve(value)),
              (error: unknown) => connection.send(`${what} refused`, () => reject(error as Error)),
            );
          }),
        );
    });
  }

  #inbox(): Inbox {
    const { inbox } = this.#server.bus;
    return {
      post: (sessionId, command) =>
        this.#connection.insist(`post ${command.type}`, async () => {
          await inbox.post(sessionId, crossed(command));
          this.#server.told.commands.hint(sessionId, "a command came", undefined);
        }),
      read: (sessionId, after) => this.#connection.insist("read the inbox", () => inbox.read(sessionId, after)),
      watch: (sessionId, onPosted) =>
        this.#watching("watcher of an inbox", this.#server.told.commands, sessionId, onPosted),
      forget: (sessionId) => this.#connection.insist("forget the inbox", () => inbox.forget(sessionId)),
    };
  }

  #deadLetters(): DeadLetters {
    const { deadLetters } = this.#server.bus;
    const list: DeadLetters["list"] = (options) =>
      this.#connection.insist("dead letters", () => deadLetters.list(options));
    return {
      list,
      get: (id) => this.#connection.insist("dead letter", () => deadLetters.get(id)),
      drop: (id) => this.#connection.insist("drop a dead letter", () => deadLetters.drop(id)),
      watch: (sessionId, onDead) => {
        const told = new Set<string>();
        const look = (): void => {
          list({ sessionId }).then(
            (letters) => {
              for (const letter of letters) {
                if (told.has(letter.id)) continue;
                told.add(letter.id);
                onDead(letter);
              }
            },
            () => undefined,
          );
        };
        return this.#watching("watcher of dead letters", this.#server.told.letters, sessionId, look);
      },
    };
  }

  #liveness(): Liveness {
    const alive: Liveness["alive"] = async () =>
      crossed(await this.#connection.insist("who is alive", () => this.#server.alive()));
    return {
      announce: async (info) => {
        const mark = `${this.#connection.process.scope.name}.${++this.#leases}`;
        const lease = new NetworkLease(this.#server, this.#connection, info, mark);
        await lease.announce();
        return lease;
      },
      alive,
      watch: (onChange) => {
        let open = true;
        const stop = this.#watching("watcher of hosts", this.#server.told.hosts, "", () => {
          alive().then(
            (hosts) => open && onChange(hosts),
            () => undefined,
          );
        });
        return () => {
          open = false;
          stop();
        };
      },
    };
  }

  #liveEvents(): LiveEvents {
    const { live } = this.#server.told;
    return {
      publish: (event) => {
        this.#localLive.publish(event);
        const others = live.of(event.sessionId).filter(({ connection }) => connection !== this.#connection);
        if (others.length === 0) return;
        const message = crossed(event.event);
        this.#connection.send("live event", () => {
          for (const { connection, tell } of others) connection.hint("live event", () => tell(message));
        });
      },
      subscribe: (sessionId, onEvent, options) => {
        const here = this.#localLive.subscribe(sessionId, onEvent, options);
        const stop = live.add(sessionId, this.#connection, onEvent);
        const close = this.#holding("subscriber to live events", () => {
          stop();
          here.close();
        });
        return {
          close,
          get dropped() {
            return here.dropped;
          },
        };
      },
    };
  }

  /** Nudges when hinted, when the connection was away, and now and then. */
  #watching(what: string, told: SimServer["told"]["commands"], key: string, nudge: () => void): () => void {
    const { process } = this.#connection;
    let cancel = (): void => undefined;
    const again = (): void => {
      cancel = process.machine.scheduler.after(process.scope, LOOK_MS, `${what} looks`, () => {
        nudge();
        again();
      });
    };
    again();
    const stopHints = told.add(key, this.#connection, nudge);
    const stopBack = this.#connection.onBack(nudge);
    return this.#holding(what, () => {
      cancel();
      stopHints();
      stopBack();
    });
  }

  #holding(what: string, letGo: () => void): () => void {
    this.#held.set(what, (this.#held.get(what) ?? 0) + 1);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#held.set(what, (this.#held.get(what) ?? 0) - 1);
      letGo();
    };
  }
}
