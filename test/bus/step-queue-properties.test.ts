import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createLocalBus } from "../../src/bus/local-bus.ts";
import type { Claim, StepServer } from "../../src/bus/ports.ts";
import { SimClock } from "../../src/testing/sim-clock.ts";

const ACK_WAIT_MS = 1_000;
const MAX_DELIVERY = 4;

const nth = fc.nat({ max: 50 });
const operation = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("offer" as const),
      step: fc.nat({ max: 12 }),
      delayMs: fc.constantFrom(0, 0, 300, 2_500),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("withdraw" as const), step: fc.nat({ max: 12 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("serve" as const),
      agents: fc.constantFrom(undefined, ["a"], ["b", "c"], ["a", "b", "c"]),
      slots: fc.nat({ max: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("stop" as const), nth }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("setSlots" as const), nth, slots: fc.nat({ max: 3 }) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom("done" as const, "giveUp" as const, "beat" as const, "throw" as const, "return" as const),
      nth,
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("retry" as const), nth, delayMs: fc.constantFrom(0, 400) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("tick" as const), ms: fc.constantFrom(0, 200, 700, 1_500) }) },
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

interface Server {
  readonly server: StepServer;
  slots: number;
  /** Claims the worker has neither ended nor let go of. */
  open: number;
  stopped: Promise<void> | undefined;
}

interface Held {
  readonly claim: Claim;
  readonly by: Server;
  readonly settle: { resolve(): void; reject(error: Error): void };
  aliveAtMs: number;
}

/** Plays operations on a queue and keeps account of every step from the outside. An accepted offer starts a life of its step; the body is its number. */
class Account {
  readonly clock = new SimClock();
  readonly buried = new Set<unknown>();
  readonly bus = createLocalBus({
    clock: this.clock,
    ackWaitMs: ACK_WAIT_MS,
    maxDelivery: MAX_DELIVERY,
    onDeadLetter: ({ step }) => this.buried.add(step.body),
  });
  readonly servers: Server[] = [];
  readonly problems: string[] = [];
  readonly accepted = new Map<number, { readonly notBeforeMs: number; deliveries: number }>();
  /** Lives that were done, given up, buried or withdrawn. */
  readonly ended = new Set<number>();
  #held: Held[] = [];
  readonly #latestLife = new Map<string, number>();

  serve(agents: readonly string[] | undefined, slots: number, work?: (claim: Claim) => Promise<void>): void {
    const run = (claim: Claim): Promise<void> => {
      this.#checkHandOut(claim, agents);
      if (work !== undefined) return work(claim);
      by.open++;
      if (by.open > by.slots) this.problems.push(`${by.open} claims are open at ${by.slots} slots`);
      return new Promise((resolve, reject) =>
        this.#held.push({ claim, by, settle: { resolve, reject }, aliveAtMs: this.clock.monotonicMs() }),
      );
    };
    const by: Server = {
      server: this.bus.steps.serve({ ...(agents === undefined ? {} : { agents }), slots, run }),
      slots,
      open: 0,
      stopped: undefined,
    };
    this.servers.push(by);
  }

  #checkHandOut({ step, delivery }: Claim, agents: readonly string[] | undefined): void {
    const life = this.accepted.get(step.body as number);
    if (life === undefined) return void this.problems.push(`${step.stepId} was handed out, but never accepted`);
    if (
      this.#held.some(
        (other) => other.claim.step.stepId === step.stepId && this.clock.monotonicMs() - other.aliveAtMs < ACK_WAIT_MS,
      )
    )
      this.problems.push(`${step.stepId} was handed out twice at once`);
    if (agents !== undefined && !agents.includes(step.agent))
      this.problems.push(`${step.stepId} went to a worker that does not serve ${step.agent}`);
    if (this.clock.nowMs() < life.notBeforeMs) this.problems.push(`${step.stepId} was handed out before its time`);
    if (delivery !== life.deliveries + 1 || delivery > MAX_DELIVERY)
      this.problems.push(`${step.stepId} has delivery ${delivery} after ${life.deliveries}`);
    life.deliveries = delivery;
  }

  async play(one: Operation): Promise<void> {
    const at = (nth: number): Server | undefined => this.servers[nth % this.servers.length];
    switch (one.do) {
      case "offer":
        return this.#offer(`1.0.${one.step}`, "abc".charAt(one.step % 3), one.delayMs);
      case "withdraw":
        if (await this.bus.steps.withdraw("s", `1.0.${one.step}`))
          this.ended.add(this.#latestLife.get(`1.0.${one.step}`) ?? 0);
        return;
      case "serve":
        return this.serve(one.agents, one.slots);
      case "stop": {
        const server = at(one.nth);
        if (server !== undefined) server.stopped ??= server.server.stop();
        return;
      }
      case "setSlots": {
        const server = at(one.nth);
        if (server === undefined) return;
        server.slots = Math.max(one.slots, server.open);
        server.server.setSlots(one.slots);
        return;
      }
      case "tick":
        return this.clock.advance(one.ms);
      default:
        return this.#work(one);
    }
  }

  async #offer(stepId: string, agent: string, delayMs: number): Promise<void> {
    const life = this.accepted.size + 1;
    const notBeforeMs = delayMs === 0 ? 0 : this.clock.nowMs() + delayMs;
    const before = this.#latestLife.get(stepId);
    const answer = this.bus.steps.offer({
      sessionId: "s",
      runId: "r",
      stepId,
      agent,
      attempt: 1,
      body: life,
      notBeforeMs,
    });
    this.accepted.set(life, { notBeforeMs, deliveries: 0 });
    if ((await answer) === "queued") {
      if (before !== undefined && !this.hasEnded(before))
        this.problems.push(`${stepId} was taken while it was outstanding`);
      this.#latestLife.set(stepId, life);
    } else {
      this.accepted.delete(life);
      if (before === undefined) this.problems.push(`${stepId} was refused, but never offered before`);
    }
  }

  hasEnded(life: number): boolean {
    return this.ended.has(life) || this.buried.has(life);
  }

  async #work(one: Extract<Operation, { nth: number }>): Promise<void> {
    const held = this.#held[one.nth % this.#held.length];
    if (held === undefined) return;
    if (one.do === "beat") {
      held.claim.beat();
      // A beat that comes after the claim has lapsed holds nothing any more.
      if (this.clock.monotonicMs() - held.aliveAtMs < ACK_WAIT_MS) held.aliveAtMs = this.clock.monotonicMs();
      return;
    }
    this.#held = this.#held.filter((other) => other !== held);
    held.by.open--;
    if (one.do === "done") this.ended.add(held.claim.step.body as number);
    if (one.do === "done") await held.claim.done();
    if (one.do === "giveUp") await held.claim.giveUp("given up");
    if (one.do === "retry") await held.claim.retry("delayMs" in one ? one.delayMs : 0);
    if (one.do === "throw") held.settle.reject(new Error("worker broke"));
    else held.settle.resolve();
  }

  /** All workers go silent for good; then one healthy worker comes. */
  async heal(): Promise<{ stopped: number }> {
    let stopped = 0;
    for (const one of this.servers) void (one.stopped ?? one.server.stop()).then(() => stopped++);
    await this.clock.advance(2 * ACK_WAIT_MS);
    this.serve(undefined, 100, async (claim) => {
      this.ended.add(claim.step.body as number);
      await claim.done();
    });
    await this.clock.advance(60_000);
    return { stopped };
  }
}

describe("the local step queue under any operations", () => {
  it("loses no step, hands none out twice at once, and ends every claim", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { minLength: 1, maxLength: 80 }), async (operations) => {
        const account = new Account();
        account.serve(undefined, 2);
        for (const one of operations) await account.play(one);
        const before = account.servers.length;
        const { stopped } = await account.heal();
        expect(account.problems).toEqual([]);
        expect([...account.accepted.keys()].filter((life) => !account.hasEnded(life))).toEqual([]);
        expect(stopped).toBe(before);
        expect(account.bus.steps.depth()).toBe(0);
        expect(account.clock.pending()).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});
