// Queue depth
//
// How many steps wait at the server, as far as this process knows: what it was last told, and what it sent since. It asks
// again when somebody looks, and before an offer is refused. With several hosts a bound may be overshot by what the others
// sent since: at most a quarter of it each.

import { JS_CODE, jsCode } from "./bus-errors.ts";
import type { NatsLink } from "./link.ts";
import { agentConsumerName, encodeName } from "./names.ts";
import { answered } from "./requests.ts";

const STALE_MS = 250;

interface Known {
  count: number;
  sentSince: number;
  atMs: number;
  asking: Promise<void> | undefined;
}

export class QueueDepth {
  readonly #link: NatsLink;
  readonly #capacity: number;
  readonly #agents = new Map<string, Known>();
  readonly #all: Known = fresh();

  constructor(link: NatsLink, capacity: number) {
    this.#link = link;
    this.#capacity = capacity;
  }

  /** Waiting at the server. Asks anew in the background. */
  now(agent?: string): number {
    const known = agent === undefined ? this.#all : this.#of(agent);
    if (this.#link.clock.monotonicMs() - known.atMs >= STALE_MS) void this.#ask(known, agent).catch(() => undefined);
    return known.count + known.sentSince;
  }

  sent(agent: string): void {
    this.#of(agent).sentSince++;
    this.#all.sentSince++;
  }

  /** Whether `held` more than what waits at the server reach the bound. */
  async isFull(agent: string, held: number): Promise<boolean> {
    const known = this.#of(agent);
    const seemsFull = (): boolean => known.count + known.sentSince + held >= this.#capacity;
    if (!seemsFull() && known.sentSince < this.#capacity / 4) return false;
    await this.#ask(known, agent);
    return seemsFull();
  }

  #of(agent: string): Known {
    let known = this.#agents.get(agent);
    if (known === undefined) this.#agents.set(agent, (known = fresh()));
    return known;
  }

  #ask(known: Known, agent: string | undefined): Promise<void> {
    known.asking ??= (async () => {
      const sentBefore = known.sentSince;
      try {
        const count = await (agent === undefined ? this.#countAll() : this.#count(agent));
        known.count = count;
        // What was sent while the server was asked may be counted twice, never not at all.
        known.sentSince -= sentBefore;
      } finally {
        known.atMs = this.#link.clock.monotonicMs();
        known.asking = undefined;
      }
    })();
    return known.asking;
  }

  async #count(agent: string): Promise<number> {
    const { names } = this.#link;
    const token = encodeName(agent);
    return answered(this.#link, `count the steps of "${agent}"`, async ({ jsm }) => {
      try {
        return (await jsm.consumers.info(names.streams.work, agentConsumerName(token))).num_pending;
      } catch (error) {
        if (jsCode(error) !== JS_CODE.consumerNotFound) throw error;
        const filter = names.pattern("work", token, ">");
        const info = await jsm.streams.info(names.streams.work, { subjects_filter: filter });
        return Object.keys(info.state.subjects ?? {}).length;
      }
    });
  }

  async #countAll(): Promise<number> {
    const { work } = this.#link.names.streams;
    return answered(this.#link, "count the steps that wait", async ({ jsm }) => {
      let open = 0;
      for await (const consumer of jsm.consumers.list(work)) open += consumer.num_ack_pending;
      const { state } = await jsm.streams.info(work);
      return Math.max(0, state.messages - open);
    });
  }
}

function fresh(): Known {
  return { count: 0, sentSince: 0, atMs: -Infinity, asking: undefined };
}
