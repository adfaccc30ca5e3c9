// Look again
//
// Owns:      when the owner of sessions looks whether something of them was lost on the bus, or is another's by now.
// Does not:  decide anything by itself: what it finds goes the ways of results, offers and refused appends.
//
// A1  A step that is out on other hosts for long is looked for in the register, and offered again where nothing is there. A
//     queue that has it says `already`.
// A2  A session that wrote nothing for long is compared with its log; where another wrote, it is let go of as if an append
//     had been refused. So an owner that was stopped and goes on does not wait for its next commit to learn of it.
// A3  A step whose agent no host that is alive serves is told of once, and ends where the policy says so.

import { errorToData } from "../base/error-data.ts";
import { OrchestraError } from "../base/errors.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Bus } from "../bus/ports.ts";
import type { SessionStore } from "../state/ports.ts";
import type { Deadline, Deadlines } from "./deadlines.ts";
import type { EventHub, LiveOnlyEvent } from "./event-hub.ts";
import type { UnservedPolicy } from "./hosting.ts";
import { tell } from "./live-signals.ts";
import type { Roster } from "./roster.ts";
import type { Session } from "./session.ts";
import type { OutStep } from "./step-registry.ts";
import type { Worker } from "./worker.ts";

export interface LookAgainPorts {
  readonly bus: Bus;
  readonly store: SessionStore;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly logger: Logger;
  readonly hub: EventHub;
  readonly host: string;
  readonly roster: Roster;
  readonly worker: Worker;
  readonly unserved: UnservedPolicy;
  sessions(): readonly Session[];
}

const TICK_MS = 2_000;
/** A session that writes nothing is compared with its log after this long, then after twice as long each time up to a minute. */
const COMPARE_MS = 10_000;
const COMPARE_MS_MAX = 60_000;

interface Compared {
  n: number;
  atMs: number;
  everyMs: number;
}

export class LookAgain {
  readonly #ports: LookAgainPorts;
  readonly #compared = new WeakMap<Session, Compared>();
  readonly #busy = new WeakSet<Session>();
  #next: Deadline | undefined;
  #closed = false;

  constructor(ports: LookAgainPorts) {
    this.#ports = ports;
  }

  /** Sessions came or went. */
  update(): void {
    const wanted = !this.#closed && this.#ports.sessions().length > 0;
    if (wanted && this.#next === undefined) this.#arm();
    if (wanted || this.#next === undefined) return;
    this.#ports.deadlines.clear(this.#next);
    this.#next = undefined;
  }

  /** A2, for all of them at once. */
  async compareAll(): Promise<void> {
    await Promise.all(this.#ports.sessions().map((session) => this.#reported(session, () => this.#compare(session))));
  }

  close(): void {
    this.#closed = true;
    this.update();
  }

  #arm(): void {
    this.#next = this.#ports.deadlines.after(TICK_MS, () => {
      this.#next = undefined;
      for (const session of this.#ports.sessions()) this.#look(session);
      this.update();
    });
  }

  #look(session: Session): void {
    const { clock, unserved } = this.#ports;
    const out = session.registry.outElsewhere();
    for (const step of out)
      if (step.outForMs >= unserved.afterMs && !this.#isServed(session.agentOf(step.offer)))
        this.#unserved(session, step);
    const due = out.filter(({ isDue }) => isDue);
    const compared = this.#compared.get(session);
    const isOld = compared === undefined || clock.monotonicMs() - compared.atMs >= compared.everyMs;
    if ((due.length === 0 && !isOld) || this.#busy.has(session)) return;
    this.#busy.add(session);
    void this.#reported(session, async () => {
      if (due.length > 0) await this.#lookFor(session, due);
      if (isOld) await this.#compareNowAndThen(session, compared);
    }).finally(() => this.#busy.delete(session));
  }

  /** A1 */
  async #lookFor({ sessionId, registry }: Session, due: readonly OutStep[]): Promise<void> {
    for (const result of await this.#ports.bus.results.list(sessionId)) registry.received(result);
    for (const { offer } of due) registry.offerAgain(offer);
  }

  async #compareNowAndThen(session: Session, before: Compared | undefined): Promise<void> {
    const { n } = session.committer;
    const isIdle = before?.n === n;
    if (isIdle) await this.#compare(session);
    const everyMs = isIdle ? Math.min(2 * before.everyMs, COMPARE_MS_MAX) : COMPARE_MS;
    this.#compared.set(session, { n, atMs: this.#ports.clock.monotonicMs(), everyMs });
  }

  /** A2 */
  async #compare({ sessionId, committer, open }: Session): Promise<void> {
    if (!open || committer.busy) return;
    const { n } = committer;
    const last = await this.#ports.store.last(sessionId);
    if (committer.busy || committer.n !== n || last?.n === n) return;
    if ((last?.n ?? 0) > n) committer.fence(last);
  }

  #isServed(agent: string): boolean {
    return this.#ports.worker.serves(agent) || this.#ports.roster.isServed(agent);
  }

  /** A3 */
  #unserved(session: Session, { offer, unservedTold }: OutStep): void {
    const { unserved, bus, hub, host, logger, clock } = this.#ports;
    const { sessionId, runId, registry } = session;
    const { stepId, branchId, node, attempt } = offer;
    const agent = session.agentOf(offer);
    if (!unservedTold) {
      registry.unservedTold(stepId);
      logger.warn({ sessionId, stepId, node, agent }, "a step waits for an agent that no host serves");
      const n = session.committer.n;
      const event: LiveOnlyEvent = {
        type: "step.unserved",
        stepId,
        branchId,
        node,
        attempt,
        agent,
        runId,
        n,
        atMs: clock.nowMs(),
      };
      hub.show(sessionId, event);
      tell(bus.live, sessionId, { type: "shown", host, event });
    }
    if (!unserved.fails) return;
    const error = new OrchestraError(
      "ORCH_STEP_UNSERVED",
      `step ${stepId} of "${node}": no host that is alive serves agent "${agent}", after ${unserved.afterMs} ms`,
      { details: { stepId, node, agent, afterMs: unserved.afterMs } },
    );
    const failed = { kind: "failed", class: "permanent", error: { ...errorToData(error), node, branchId } } as const;
    registry.fail(offer, { ...failed, tookMs: 0 });
    bus.steps.withdraw(sessionId, stepId).catch(() => undefined);
  }

  async #reported(session: Session, act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      const { sessionId } = session;
      this.#ports.logger.warn(
        { sessionId, error: errorToData(error) },
        "it could not be found out whether something of a session was lost; it is tried again",
      );
    }
  }
}
