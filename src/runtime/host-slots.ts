// Host slots
//
// Owns:      how many steps one host takes from the queue at a time, in all and of each agent.
//
// H1  Never more than `slots` run, nor more of an agent than its own bound. What was claimed beyond that in the same
//     moment waits its turn here, and its worker is reported alive meanwhile.
// H2  A group asks the queue for as many as could begin at once, so that what cannot begin here goes to other hosts.
// H3  A step that waits for a nested run holds no slot: the steps of that run may need it. It has one again at once when
//     it goes on, beyond `slots` for that moment.

import type { Claim, StepQueue, StepServer } from "../bus/ports.ts";
import { whileBeating } from "./beats.ts";
import type { Deadlines } from "./deadlines.ts";
import { Places } from "./places.ts";

export interface HostSlotsOptions {
  readonly steps: StepQueue;
  readonly deadlines: Deadlines;
  readonly agents: readonly string[];
  readonly slots: number;
  /** Agents with a bound of their own. */
  readonly perAgent: Readonly<Record<string, number>>;
  run(claim: Claim): Promise<void>;
}

interface Group {
  readonly limit: number;
  server: StepServer | undefined;
  asked: number;
  /** Claims that hold a slot, or wait for one. */
  running: number;
  /** Claims that wait for nested runs. */
  suspended: number;
}

export class HostSlots {
  readonly #options: HostSlotsOptions;
  readonly #groups: Group[] = [];
  readonly #places: Places;
  /** By session and step: whose group. */
  readonly #claims = new Map<string, { readonly group: Group; suspended: boolean }>();
  #running = 0;
  #stopped = false;

  constructor(options: HostSlotsOptions) {
    this.#options = options;
    const { agents, perAgent, slots } = options;
    this.#places = new Places(slots);
    const bounded = agents.filter((agent) => Object.hasOwn(perAgent, agent));
    const others = agents.filter((agent) => !Object.hasOwn(perAgent, agent));
    if (others.length > 0) this.#serve(others, slots);
    for (const agent of bounded) this.#serve([agent], Math.min(slots, perAgent[agent] ?? slots));
  }

  /** Takes no more; resolves when what runs has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.allSettled(this.#groups.map(async ({ server }) => server?.stop()));
  }

  /** H3 */
  suspend(sessionId: string, stepId: string): void {
    const claim = this.#claims.get(`${sessionId}/${stepId}`);
    if (claim === undefined || claim.suspended) return;
    this.#turn(claim, true);
    this.#places.give();
    this.#share();
  }

  wake(sessionId: string, stepId: string): void {
    const claim = this.#claims.get(`${sessionId}/${stepId}`);
    if (claim?.suspended !== true) return;
    this.#turn(claim, false);
    this.#places.takeAnyway();
    this.#share();
  }

  #turn(claim: { readonly group: Group; suspended: boolean }, suspended: boolean): void {
    const by = suspended ? 1 : -1;
    claim.suspended = suspended;
    claim.group.suspended += by;
    claim.group.running -= by;
    this.#running -= by;
  }

  #serve(agents: readonly string[], limit: number): void {
    const group: Group = { limit, server: undefined, asked: limit, running: 0, suspended: 0 };
    this.#groups.push(group);
    group.server = this.#options.steps.serve({ agents, slots: limit, run: (claim) => this.#run(group, claim) });
  }

  async #run(group: Group, claim: Claim): Promise<void> {
    const key = `${claim.step.sessionId}/${claim.step.stepId}`;
    const own = { group, suspended: false };
    group.running++;
    this.#running++;
    this.#share();
    try {
      await whileBeating(claim, this.#options.deadlines, this.#places.take());
      this.#claims.set(key, own);
      try {
        await this.#options.run(claim);
      } finally {
        if (this.#claims.get(key) === own) this.#claims.delete(key);
        if (!own.suspended) this.#places.give();
      }
    } finally {
      if (own.suspended) group.suspended--;
      else {
        group.running--;
        this.#running--;
      }
      this.#share();
    }
  }

  /** H2 */
  #share(): void {
    if (this.#stopped) return;
    const free = Math.max(0, this.#options.slots - this.#running);
    for (const group of this.#groups) {
      const wanted = Math.min(group.limit, group.running + free) + group.suspended;
      if (wanted === group.asked) continue;
      group.asked = wanted;
      group.server?.setSlots(wanted);
    }
  }
}
