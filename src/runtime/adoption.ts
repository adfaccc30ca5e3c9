// Adoption
//
// Owns:      which sessions without an owner this host tries to take over, and when.
// Does not:  prove ownership: that is the append of whoever goes on with the session.
//
// D1  A session is without an owner when its entry says `running` and names nobody, or a host that was not alive for a while.
//     One that waits for people has none; it is gone on with when a question is too late, by whoever waited with it if
//     that is still there, and when a client calls out that it has posted an answer whose way only a host can judge.
// D2  Hosts that adopt try in an order that is another for each session; each waits for those before it. So there is
//     normally one attempt, and where the first cannot, the next does.
// D3  What cannot go on here is left alone, with the reason, and tried again later or when other hosts are alive.
// D4  Nested runs are found again by the step that ran them. Those whose run around them is over have nobody to look for them
//     but the hosts that adopt.
// D5  Looking through all sessions asks the log of each that runs. It is done when hosts come or go, and now and then, so
//     seldom that it takes a small share of the time however many there are; never because the load of a host changed.

import { errorToData } from "../base/error-data.ts";
import { isOrchestraError, type OrchestraErrorCode } from "../base/errors.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Bus } from "../bus/ports.ts";
import type { SessionEntry, SessionStore } from "../state/ports.ts";
import type { Deadline, Deadlines } from "./deadlines.ts";
import { NOBODY } from "./hosting.ts";
import { ABANDONED, abandonedSession } from "./live-signals.ts";
import { Places } from "./places.ts";
import { placeInLine } from "./rendezvous.ts";
import type { Roster } from "./roster.ts";

export interface AdoptionPorts {
  readonly bus: Bus;
  readonly store: SessionStore;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly logger: Logger;
  readonly host: string;
  readonly roster: Roster;
  /** Whether there is room for one more, and it is not here already. */
  mayAdopt(sessionId: string): boolean;
  adopt(sessionId: string): Promise<void>;
  /** D4 */
  recoverNested(): Promise<void>;
}

/** How often the sessions are looked through where nothing gives cause to, at most: D5. */
const LOOK_MS = 5_000;
/** The same for nested runs, of which few are left behind. */
const NESTED_MS = 30_000;
/** The time until the next look, in times of what the last one took. */
const LOOK_SHARE = 20;
/** How long a host must be found missing: one that comes may be named by its sessions before it is seen. */
const MISSING_MS = 1_000;
const TURN_MS = 250;
/** How long whoever waited with a session has to notice that a question is too late. */
const LATE_MS = 1_000;
/** Who is alive is read once for all that is tried within so long: it costs a question per host. */
const ALIVE_MS = 500;
const LEFT_MS = 15_000;
const PAGE = 200;
/** Sessions taken over at one time: a host that goes may leave thousands. */
const AT_A_TIME = 16;

/** Somebody else was quicker, or the session needs nobody any more. */
const TAKEN: ReadonlySet<string> = new Set([
  "ORCH_FENCED",
  "ORCH_SESSION_BUSY",
  "ORCH_SESSION_STATE",
  "ORCH_SESSION_UNKNOWN",
] satisfies OrchestraErrorCode[]);

interface Missing {
  readonly entry: SessionEntry;
  readonly sinceMs: number;
}

interface LeftAlone {
  readonly reason: string;
  readonly untilMs: number;
}

export class Adoption {
  readonly #ports: AdoptionPorts;
  /** Sessions whose host is missing, by id. */
  readonly #missing = new Map<string, Missing>();
  readonly #trying = new Map<string, Promise<void> | Deadline>();
  readonly #left = new Map<string, LeftAlone>();
  /** Sessions that wait for people, of which an answer was posted, by the commit they stood at. Who posts calls out again. */
  readonly #answered = new Map<string, number>();
  readonly #places = new Places(AT_A_TIME);
  #releases: (() => void)[] = [];
  #next: Deadline | undefined;
  #nestedAtMs = -Infinity;
  /** When those that miss their host are looked at again. */
  #nextMissing: Deadline | undefined;
  #aliveRead: { readonly atMs: number; readonly hosts: Promise<ReadonlySet<string>> } | undefined;
  #known = "";
  #looking: Promise<void> | undefined;
  #again = false;
  #open = false;

  constructor(ports: AdoptionPorts) {
    this.#ports = ports;
  }

  start(): void {
    const { bus, roster } = this.#ports;
    this.#open = true;
    const called = bus.live.subscribe(ABANDONED, (event) => {
      const sessionId = abandonedSession(event);
      if (sessionId !== undefined) void this.#lookAt(sessionId);
    });
    this.#releases = [() => called.close(), roster.onChange(() => this.#rosterChanged())];
    this.look();
  }

  /** Takes no more; resolves when what was begun has ended. */
  async stop(): Promise<void> {
    this.#open = false;
    for (const release of this.#releases.splice(0)) release();
    for (const due of [this.#next, this.#nextMissing]) if (due !== undefined) this.#ports.deadlines.clear(due);
    const begun: Promise<void>[] = [];
    for (const trying of this.#trying.values())
      if (trying instanceof Promise) begun.push(trying);
      else this.#ports.deadlines.clear(trying);
    await Promise.all([this.#looking, ...begun]);
  }

  /** Why a session without an owner is not taken over here. */
  leftAlone(sessionId: string): string | undefined {
    return this.#left.get(sessionId)?.reason;
  }

  /** Looks through all sessions, soon. */
  look(): void {
    if (!this.#open) return;
    if (this.#looking !== undefined) {
      this.#again = true;
      return;
    }
    const { clock } = this.#ports;
    const startedMs = clock.monotonicMs();
    this.#looking = this.#lookThrough().finally(() => {
      this.#looking = undefined;
      const again = this.#again;
      this.#again = false;
      if (again) this.look();
      else this.#lookIn(Math.max(LOOK_MS, LOOK_SHARE * (clock.monotonicMs() - startedMs)));
    });
  }

  #lookIn(delayMs: number): void {
    if (!this.#open) return;
    const { deadlines } = this.#ports;
    if (this.#next !== undefined) deadlines.clear(this.#next);
    this.#next = deadlines.after(delayMs, () => this.look());
  }

  /** D5 */
  #rosterChanged(): void {
    const known = this.#ports.roster.hosts
      .map(({ host, adopts, agents }) => `${host} ${adopts} ${agents.length}`)
      .sort()
      .join("\n");
    if (known === this.#known) return;
    this.#known = known;
    this.#aliveRead = undefined;
    this.#left.clear();
    this.look();
  }

  async #lookThrough(): Promise<void> {
    const { store, logger } = this.#ports;
    try {
      const alive = await this.#alive();
      const seen = new Set<string>();
      for (const status of ["running", "awaiting_user"] as const) {
        for (let cursor: string | undefined; ;) {
          const page = await store.listSessions({ status, limit: PAGE, ...(cursor === undefined ? {} : { cursor }) });
          for (const entry of page) {
            if (status === "running") seen.add(entry.sessionId);
            this.#consider(entry, alive);
          }
          if (page.length < PAGE) break;
          cursor = page.at(-1)?.sessionId;
        }
      }
      for (const sessionId of this.#missing.keys()) if (!seen.has(sessionId)) this.#missing.delete(sessionId);
      await this.#lookForNested();
    } catch (error) {
      logger.warn({ error: errorToData(error) }, "sessions without an owner could not be looked for");
    }
  }

  /** D4 */
  async #lookForNested(): Promise<void> {
    const { clock, recoverNested } = this.#ports;
    if (clock.monotonicMs() - this.#nestedAtMs < NESTED_MS) return;
    this.#nestedAtMs = clock.monotonicMs();
    await recoverNested();
  }

  async #lookAt(sessionId: string): Promise<void> {
    const { store, logger } = this.#ports;
    try {
      const entry = await store.getSession(sessionId);
      if (entry?.status === "awaiting_user") this.#answered.set(sessionId, entry.n);
      if (entry !== null && this.#open) this.#consider(entry, await this.#alive());
    } catch (error) {
      logger.warn({ sessionId, error: errorToData(error) }, "a session without an owner could not be looked at");
    }
  }

  #alive(): Promise<ReadonlySet<string>> {
    const nowMs = this.#ports.clock.monotonicMs();
    const read = this.#aliveRead;
    if (read !== undefined && nowMs - read.atMs < ALIVE_MS) return read.hosts;
    const hosts = this.#ports.bus.liveness.alive().then((all) => new Set(all.map(({ host }) => host)));
    this.#aliveRead = { atMs: nowMs, hosts };
    hosts.catch(() => (this.#aliveRead = undefined));
    return hosts;
  }

  /** Those that were found without their host a while ago, without looking through all others. */
  #lookAtMissing(): void {
    this.#nextMissing = undefined;
    this.#alive().then(
      (alive) => {
        for (const { entry } of this.#missing.values()) if (this.#open) this.#consider(entry, alive);
      },
      (error: unknown) =>
        this.#ports.logger.warn({ error: errorToData(error) }, "sessions without an owner could not be looked at"),
    );
  }

  #consider(entry: SessionEntry, alive: ReadonlySet<string>): void {
    const { sessionId } = entry;
    if (this.#trying.has(sessionId)) return;
    const leftUntilMs = this.#left.get(sessionId)?.untilMs ?? 0;
    const mayTry = this.#ports.mayAdopt(sessionId) && leftUntilMs <= this.#ports.clock.monotonicMs();
    if (!mayTry || !this.#isAbandoned(entry, alive)) {
      this.#answered.delete(sessionId);
      return;
    }
    const adopting = this.#ports.roster.hosts.filter(({ adopts }) => adopts).map(({ host }) => host);
    // This host may not have been seen to be alive yet: then it comes last.
    const place = placeInLine(sessionId, this.#ports.host, adopting);
    const turn = this.#ports.deadlines.after(TURN_MS * (place === -1 ? adopting.length : place), () => {
      const trying = this.#try(sessionId).finally(() => {
        if (this.#trying.get(sessionId) === trying) this.#trying.delete(sessionId);
      });
      this.#trying.set(sessionId, trying);
    });
    this.#trying.set(sessionId, turn);
  }

  /** D1, D4 */
  #isAbandoned(entry: SessionEntry, alive: ReadonlySet<string>): boolean {
    const { sessionId, status, host, parentSessionId, dueAtMs = Infinity } = entry;
    if (parentSessionId !== undefined) return false;
    // Who waited with it takes the time-out by itself.
    if (status === "awaiting_user")
      return this.#answered.get(sessionId) === entry.n || this.#ports.clock.nowMs() > dueAtMs + LATE_MS;
    if (status !== "running") return false;
    if (host === NOBODY) return true;
    // One that names this host and is not live here was let go of by it, after a failure of the store for one.
    if (host !== this.#ports.host && alive.has(host)) {
      this.#missing.delete(sessionId);
      return false;
    }
    const nowMs = this.#ports.clock.monotonicMs();
    const missing = this.#missing.get(sessionId);
    if (missing?.entry.host === host && nowMs - missing.sinceMs >= MISSING_MS) return true;
    if (missing?.entry.host !== host) this.#missing.set(sessionId, { entry, sinceMs: nowMs });
    this.#nextMissing ??= this.#ports.deadlines.after(MISSING_MS, () => this.#lookAtMissing());
    return false;
  }

  async #try(sessionId: string): Promise<void> {
    const { store, logger } = this.#ports;
    await this.#places.take();
    try {
      const entry = await store.getSession(sessionId);
      if (!this.#open || entry === null || !this.#isAbandoned(entry, await this.#alive())) return;
      if (!this.#open || !this.#ports.mayAdopt(sessionId)) return;
      await this.#ports.adopt(sessionId);
      this.#left.delete(sessionId);
      logger.info({ sessionId, from: entry.host }, "a session without an owner was taken over");
    } catch (error) {
      this.#leave(sessionId, error);
    } finally {
      this.#answered.delete(sessionId);
      this.#places.give();
    }
  }

  /** D3 */
  #leave(sessionId: string, error: unknown): void {
    if (isOrchestraError(error) && TAKEN.has(error.code)) return;
    if (isOrchestraError(error, "ORCH_CLOSED") || isOrchestraError(error, "ORCH_DRAINING")) return;
    const { message } = error as Error;
    this.#left.set(sessionId, { reason: message, untilMs: this.#ports.clock.monotonicMs() + LEFT_MS });
    this.#ports.logger.warn(
      { sessionId, error: errorToData(error) },
      "a session without an owner is left alone for now",
    );
  }
}
