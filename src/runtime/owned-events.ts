// Owned events
//
// Owns:      what observers of a host are told: the events of the sessions it took over, while they are its.
// Does not:  tell what happened before, which was told to the observers of whoever had the session then. A run that nobody
//            had yet (a client without agents started it) is told from its beginning.
//
// An observer that throws is reported and not called again; no run is its business.

import { errorToData } from "../base/error-data.ts";
import type { SessionStore } from "../state/ports.ts";
import type { EnginePorts } from "./engine-ports.ts";
import type { RunEvent } from "./engine-api.ts";
import { EVENTS_PER_COMMIT_MAX, sessionEvents } from "./events.ts";
import { NOBODY } from "./hosting.ts";

/** Commits that are looked through for the beginning of a run that nobody had. */
const BEGINNING_COMMITS_MAX = 32;

export type Observe = (event: RunEvent) => void;

export class OwnedEvents {
  readonly #ports: EnginePorts;
  readonly #isLive: (sessionId: string) => boolean;
  readonly #observers: Set<Observe>;
  readonly #following = new Set<Promise<void>>();

  constructor(ports: EnginePorts, isLive: (sessionId: string) => boolean, observers: readonly Observe[]) {
    this.#ports = ports;
    this.#isLive = isLive;
    this.#observers = new Set(observers);
  }

  /** Makes a session ours by `takeOver`, and tells of it from there on until it is ours no longer. */
  async following(sessionId: string, takeOver: () => Promise<unknown>): Promise<void> {
    if (this.#observers.size === 0) return void (await takeOver());
    const after = await this.#beginning(sessionId);
    await takeOver();
    const told = this.#follow(sessionId, after);
    this.#following.add(told);
    void told.then(() => this.#following.delete(told));
  }

  /** Resolves when everything of the sessions that were let go of has been told. */
  async settled(): Promise<void> {
    await Promise.all(this.#following);
  }

  async #follow(sessionId: string, after: number): Promise<void> {
    const { shared: _, ...ports } = this.#ports;
    const whereabouts = async () => (this.#isLive(sessionId) ? "here" : "still");
    try {
      for await (const event of sessionEvents({ ...ports, whereabouts }, sessionId, { after, untilSettled: true }))
        for (const observe of this.#observers) this.#tell(observe, event);
    } catch (error) {
      ports.logger.error({ sessionId, error: errorToData(error) }, "the events of a session could not be followed");
    }
  }

  #tell(observe: Observe, event: RunEvent): void {
    try {
      observe(event);
    } catch (error) {
      this.#observers.delete(observe);
      this.#ports.logger.error(
        { sessionId: event.sessionId, type: event.type, error: errorToData(error) },
        "an observer threw; it is not called again",
      );
    }
  }

  async #beginning(sessionId: string): Promise<number> {
    const { store } = this.#ports;
    const entry = await store.getSession(sessionId);
    const last = await store.last(sessionId);
    if (last === null) return 0;
    const unowned = entry?.host === NOBODY ? await beginningUnowned(store, sessionId, last.n) : undefined;
    return endOf(unowned ?? last.n);
  }
}

/** The last event of the commit, as far as any has as many. */
function endOf(n: number): number {
  return n === 0 ? 0 : (n + 1) * EVENTS_PER_COMMIT_MAX - 1;
}

/** The commit before the beginning of the run, where nobody had it since; undefined where somebody had. */
async function beginningUnowned(store: SessionStore, sessionId: string, n: number): Promise<number | undefined> {
  let before: number | undefined;
  for await (const commit of store.read(sessionId, Math.max(1, n - BEGINNING_COMMITS_MAX))) {
    for (const fact of commit.facts) {
      if (fact.type === "run.started") before = commit.n - 1;
      if (fact.type === "owned") before = undefined;
    }
  }
  return before;
}
