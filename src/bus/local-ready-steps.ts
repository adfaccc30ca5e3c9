// Ready steps
//
// Each stands in two lists, oldest first: that of its agent, for workers that serve named agents, and that of all.
// The lists are linked through the steps, so that a step leaves either of them from any place in constant time.

import type { StepMessage } from "./ports.ts";

export interface QueuedStep {
  readonly step: StepMessage;
  state: "ready" | "delayed" | "open" | "gone";
  /** How often it was handed out. */
  delivery: number;
  /** Its turn among all ready steps. */
  order: number;
  inAgent: Link | undefined;
  inAll: Link | undefined;
  cancelTimer: (() => void) | undefined;
}

interface Link {
  readonly queued: QueuedStep;
  before: Link | undefined;
  after: Link | undefined;
}

class LinkedSteps {
  first: Link | undefined;
  #last: Link | undefined;

  push(queued: QueuedStep): Link {
    const link: Link = { queued, before: this.#last, after: undefined };
    if (this.#last === undefined) this.first = link;
    else this.#last.after = link;
    this.#last = link;
    return link;
  }

  remove(link: Link): void {
    if (link.before === undefined) this.first = link.after;
    else link.before.after = link.after;
    if (link.after === undefined) this.#last = link.before;
    else link.after.before = link.before;
    // A removed link that the collector has already moved to its old space would keep all later ones alive.
    link.before = undefined;
    link.after = undefined;
  }
}

export class ReadySteps {
  size = 0;
  #all = new LinkedSteps();
  readonly #byAgent = new Map<string, LinkedSteps>();
  #order = 0;

  push(queued: QueuedStep): void {
    const { agent } = queued.step;
    let list = this.#byAgent.get(agent);
    if (list === undefined) this.#byAgent.set(agent, (list = new LinkedSteps()));
    queued.order = ++this.#order;
    queued.inAgent = list.push(queued);
    queued.inAll = this.#all.push(queued);
    this.size++;
  }

  remove(queued: QueuedStep): void {
    const { inAgent, inAll } = queued;
    if (inAgent === undefined || inAll === undefined) return;
    const list = this.#byAgent.get(queued.step.agent);
    list?.remove(inAgent);
    if (list?.first === undefined) this.#byAgent.delete(queued.step.agent);
    this.#all.remove(inAll);
    queued.inAgent = undefined;
    queued.inAll = undefined;
    this.size--;
  }

  /** The one of these agents (`undefined`: of all) that has waited longest. */
  oldest(agents: readonly string[] | undefined): QueuedStep | undefined {
    if (agents === undefined) return this.#all.first?.queued;
    let oldest: QueuedStep | undefined;
    for (const agent of agents) {
      const queued = this.#byAgent.get(agent)?.first?.queued;
      if (queued !== undefined && (oldest === undefined || queued.order < oldest.order)) oldest = queued;
    }
    return oldest;
  }

  clear(): void {
    this.#all = new LinkedSteps();
    this.#byAgent.clear();
    this.size = 0;
  }
}
