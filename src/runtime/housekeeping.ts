// Housekeeping
//
// Owns:      when what retention lets go of is dropped, while sessions run.
// Does not:  decide what that is (state/retention.ts).
//
// G1  It works in the background, on one thing at a time: no run waits for it. What fails is reported, and tried again
//     on the next occasion.
// G2  A log is compacted behind its last two snapshots: after as many commits as make a snapshot due, and when its run
//     stops moving.
// G3  When a run has ended, sessions that are too many or too old are removed, but none that ended within the last
//     minute: whoever waited for it may still read it. Looking through the store takes a tenth of the time at most.
// G4  What someone who follows the events of a session here has not seen yet stays in its log.

import { errorToData } from "../base/error-data.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Commit, SessionEntry, SessionStore } from "../state/ports.ts";
import { allSessions, decideRetention, resolveRetention, WHOLE_LOG } from "../state/retention.ts";
import type { RetentionPolicy } from "../state/retention.ts";
import type { RunEvent } from "./engine-api.ts";
import { commitOf } from "./events.ts";
import { SnapshotPolicy } from "./snapshot-policy.ts";

export interface HousekeepingPorts {
  readonly store: SessionStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Removes a session, unless it has moved since or is in use. */
  remove(entry: SessionEntry): Promise<void>;
}

export const REMOVAL_GRACE_MS = 60_000;
const SWEEP_SHARE = 10;

export class Housekeeping {
  readonly #ports: HousekeepingPorts;
  readonly #policy: Required<RetentionPolicy>;
  readonly #removes: boolean;
  /** Counts as the sessions do for their snapshots. */
  readonly #snapshots = new WeakMap<object, SnapshotPolicy>();
  /** Up to which commit those who follow a session have got. */
  readonly #readers = new Map<string, Set<{ n: number }>>();
  /** Logs to be compacted. */
  readonly #due = new Set<string>();
  #sweepDue = false;
  #nextSweepAtMs = 0;
  #working: Promise<void> | null = null;
  #closed = false;

  /** @throws {OrchestraError} `ORCH_BAD_OPTION` */
  constructor(ports: HousekeepingPorts, retention?: RetentionPolicy) {
    this.#ports = ports;
    this.#policy = resolveRetention(retention);
    this.#removes = this.#policy.keepRuns !== false || this.#policy.maxAgeMs !== false;
  }

  /** Called after each commit of a live session. */
  advanced(session: { readonly sessionId: string }, commit: Commit): void {
    if (this.#policy.keepHistory) return;
    let snapshots = this.#snapshots.get(session);
    if (snapshots === undefined) this.#snapshots.set(session, (snapshots = new SnapshotPolicy(0)));
    if (!snapshots.note(commit, 0)) return;
    snapshots.taken();
    this.#due.add(session.sessionId);
    this.#start();
  }

  /** A run stopped moving: it ended, or is paused or waits. */
  settled(sessionId: string, ended: boolean): void {
    if (!this.#policy.keepHistory) this.#due.add(sessionId);
    if (this.#removes && ended) this.#sweepDue = true;
    this.#start();
  }

  /** G4: the same events, taken note of as they are handed on. */
  follow(sessionId: string, after: number, events: AsyncIterable<RunEvent>): AsyncIterable<RunEvent> {
    return this.#policy.keepHistory ? events : this.#followed(sessionId, after, events);
  }

  async *#followed(sessionId: string, after: number, events: AsyncIterable<RunEvent>): AsyncGenerator<RunEvent> {
    const reader = { n: commitOf(after) };
    const readers = this.#readers.get(sessionId) ?? new Set();
    this.#readers.set(sessionId, readers.add(reader));
    try {
      for await (const event of events) {
        reader.n = commitOf(event.seq);
        yield event;
      }
    } finally {
      readers.delete(reader);
      if (readers.size === 0) this.#readers.delete(sessionId);
      this.#due.add(sessionId);
      this.#start();
    }
  }

  #unseenFrom(sessionId: string): number {
    let from = WHOLE_LOG;
    for (const { n } of this.#readers.get(sessionId) ?? []) from = Math.min(from, n);
    return from;
  }

  /** Resolves once what is under way is done; what waits is left for the next opening. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#working;
  }

  #start(): void {
    if (this.#closed || this.#working !== null || (this.#due.size === 0 && !this.#sweepDue)) return;
    this.#working = this.#work().finally(() => {
      this.#working = null;
      if (this.#due.size > 0) this.#start();
    });
  }

  async #work(): Promise<void> {
    const { store, clock } = this.#ports;
    while (!this.#closed) {
      const [sessionId] = this.#due;
      if (sessionId !== undefined) {
        this.#due.delete(sessionId);
        await this.#attempt({ sessionId }, () => store.compact(sessionId, this.#unseenFrom(sessionId)));
      } else if (this.#sweepDue && clock.monotonicMs() >= this.#nextSweepAtMs) {
        this.#sweepDue = false;
        const fromMs = clock.monotonicMs();
        await this.#attempt({}, () => this.#sweep());
        this.#nextSweepAtMs = fromMs + (clock.monotonicMs() - fromMs) * SWEEP_SHARE;
      } else return;
    }
  }

  async #sweep(): Promise<void> {
    const { store, clock, remove } = this.#ports;
    const entries = await allSessions(store);
    const byId = new Map(entries.map((entry) => [entry.sessionId, entry]));
    for (const sessionId of decideRetention(this.#policy, entries, clock.nowMs(), REMOVAL_GRACE_MS).remove) {
      const entry = byId.get(sessionId);
      if (entry !== undefined && !this.#closed) await this.#attempt({ sessionId }, () => remove(entry));
    }
  }

  async #attempt(about: object, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#ports.logger.warn(
        { ...about, error: errorToData(error) },
        "what retention lets go of could not be dropped; it will be tried again",
      );
    }
  }
}
