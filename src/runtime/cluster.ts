// Cluster
//
// Owns:      the part of an engine that deals with other hosts on its bus: who is alive, what is told of itself, what it
//            takes over, what it looks after again, and what it hears of sessions that are live elsewhere.
// Does not:  exist for an engine whose bus is its own.

import { errorToData } from "../base/error-data.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Bus, HostInfo } from "../bus/ports.ts";
import type { SessionStore } from "../state/ports.ts";
import { Adoption } from "./adoption.ts";
import type { Deadlines } from "./deadlines.ts";
import type { EventHub } from "./event-hub.ts";
import type { HostingOptions, UnservedPolicy } from "./hosting.ts";
import { signalOf, tell, tellAbandoned } from "./live-signals.ts";
import type { LiveSessions } from "./live-sessions.ts";
import { LookAgain } from "./look-again.ts";
import { Presence } from "./presence.ts";
import { Roster } from "./roster.ts";
import type { Worker } from "./worker.ts";

export interface ClusterPorts {
  readonly bus: Bus;
  readonly store: SessionStore;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly logger: Logger;
  readonly hub: EventHub;
  readonly host: string;
  readonly worker: Worker;
  readonly live: LiveSessions;
  readonly unserved: UnservedPolicy;
  readonly hosting: HostingOptions | undefined;
  readonly maxSessions: number;
  /** Goes on with a session that has no owner. */
  adopt(sessionId: string): Promise<void>;
  /** Ends nested runs that nobody is behind any more. */
  recoverNested(): Promise<void>;
}

/** What is told of a host's load is at most this old, and told at most this often. */
const TELL_MS = 1_000;
const FORMAT_VERSION = "1";

export class Cluster {
  readonly roster: Roster;
  readonly #ports: ClusterPorts;
  readonly #presence: Presence;
  readonly #lookAgain: LookAgain;
  readonly #adoption: Adoption | undefined;
  readonly #startedAtMs: number;
  #hosting: HostingOptions | undefined;
  #telling = false;

  constructor(ports: ClusterPorts) {
    this.#ports = ports;
    const { bus, clock, deadlines, host, logger, live, hosting } = ports;
    this.#startedAtMs = clock.nowMs();
    this.roster = new Roster(bus.liveness, logger);
    this.#presence = new Presence({
      liveness: bus.liveness,
      host,
      logger,
      deadlines,
      info: () => this.#info(),
      onHeld: (held) => this.#onHeld(held),
    });
    this.#lookAgain = new LookAgain({
      ...ports,
      roster: this.roster,
      sessions: () => live.all().map(({ session }) => session),
    });
    if (hosting?.adopts !== true) return;
    this.#adoption = new Adoption({
      ...ports,
      roster: this.roster,
      mayAdopt: (sessionId) => live.get(sessionId) === undefined && live.size < ports.maxSessions,
    });
  }

  get leaseHeld(): boolean {
    return this.#presence.held;
  }
  get isHosting(): boolean {
    return this.#hosting !== undefined;
  }

  /** Serves as a host: resolves once others can know of it. Serves nothing when it throws, and may be called again. */
  async host(): Promise<void> {
    const { hosting, worker, live } = this.#ports;
    if (hosting === undefined || this.#hosting !== undefined) return;
    this.#hosting = hosting;
    if (hosting.code.stays !== true) worker.host(hosting);
    this.#presence.update(true);
    try {
      await this.#presence.announced();
      await this.roster.look();
    } catch (error) {
      this.#hosting = undefined;
      this.#presence.update(live.size > 0);
      void worker.unhost();
      throw error;
    }
    this.#adoption?.start();
  }

  /** Takes nothing more: no steps of others, no sessions. Resolves when the steps it has are done. */
  async retire(): Promise<void> {
    this.#hosting = undefined;
    this.#presence.changed();
    await this.#adoption?.stop();
    await this.#ports.worker.unhost();
  }

  /** Sessions came or went. */
  sessionsChanged(): void {
    const { size } = this.#ports.live;
    this.#presence.update(size > 0 || this.isHosting);
    if (size > 0) this.roster.follow();
    this.#lookAgain.update();
    this.loadChanged();
  }

  /** The announcement of this host, where one is under way: others ask for it once they have read that a session is its. */
  announced(): Promise<void> {
    return this.#presence.settled();
  }

  /** Steps came or went, or other agents are served. */
  loadChanged(): void {
    if (this.#telling) return;
    this.#telling = true;
    this.#ports.deadlines.after(TELL_MS, () => {
      this.#telling = false;
      this.#presence.changed();
    });
  }

  committed(sessionId: string): void {
    tell(this.#ports.bus.live, sessionId, { type: "commit", host: this.#ports.host });
  }

  /** A running session has no owner from now on. */
  abandoned(sessionId: string): void {
    tellAbandoned(this.#ports.bus.live, sessionId);
  }

  leftAlone(sessionId: string): string | undefined {
    return this.#adoption?.leftAlone(sessionId);
  }

  /** Brings what other hosts tell of a session to those who listen to it here. Returns the way to stop. */
  relay(sessionId: string): () => void {
    const { bus, hub, host } = this.#ports;
    const subscription = bus.live.subscribe(sessionId, (event) => {
      const signal = signalOf(event);
      if (signal === undefined || signal.host === host) return;
      if (signal.type === "commit") hub.nudge(sessionId);
      else if (signal.type === "shown") hub.show(sessionId, signal.event);
    });
    return () => subscription.close();
  }

  async close(): Promise<void> {
    await this.#adoption?.stop();
    this.#lookAgain.close();
    this.roster.close();
    await this.#presence.close();
  }

  #info(): HostInfo {
    const { host, worker, live, hosting } = this.#ports;
    const serving = this.#hosting;
    const isIdle = hosting !== undefined && hosting.code.stays !== true && serving === undefined;
    return {
      host,
      agents: isIdle ? [] : [...worker.agents],
      sessions: live.size,
      version: hosting?.version ?? FORMAT_VERSION,
      slots: serving?.slots ?? 0,
      running: worker.running,
      topologies: serving?.topologies ?? [],
      startedAtMs: this.#startedAtMs,
      adopts: serving?.adopts === true,
      ...(hosting?.pid !== undefined && { pid: hosting.pid }),
      ...(hosting?.labels !== undefined && { labels: hosting.labels }),
    };
  }

  /** Not to fight with who takes this host for dead; that it may write is proven by each append, held or not. */
  #onHeld(held: boolean): void {
    const { host, live, logger } = this.#ports;
    const hold = (): void => {
      for (const { session } of live.all()) session.registry.hold(!this.#presence.held);
    };
    if (!held) {
      logger.warn({ host }, "this host could not say in time that it is alive; it begins nothing until it can");
      hold();
      return;
    }
    this.#lookAgain
      .compareAll()
      .catch((error: unknown) => logger.warn({ host, error: errorToData(error) }, "sessions could not be compared"))
      .finally(hold);
  }
}
