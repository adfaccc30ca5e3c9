// The same operations on the bus of one process, which the simulation runs on, and on a real server: what each of them comes to
// must be the same, or the simulation tells of another world.
//
// Known differences, which no operation here touches: the order in which steps come that were handed back (the server
// hands those out first), a step handed back cannot be withdrawn on the server, an id of a command is remembered
// there after its session was forgotten, and a late `done` ends a claim somebody else has meanwhile.

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createLocalBus } from "../../src/bus/local-bus.ts";
import type { Bus, Claim, StepMessage, StepServer } from "../../src/bus/ports.ts";
import { SimClock } from "../../src/testing/sim-clock.ts";
import { startNats, until, type NatsServer } from "../support/nats.ts";
import { openBus, type BusWorld } from "./bus-world.ts";

const ACK_WAIT_MS = 1_000;
const MAX_DELIVERY = 3;
const NEVER_MS = 3_600_000;

let server: NatsServer;
beforeAll(async () => {
  server = await startNats();
});
afterAll(async () => {
  // In order it would take its time over all the streams.
  await server.kill();
  await server[Symbol.asyncDispose]();
});

type Ports = Pick<Bus, "steps" | "results" | "inbox" | "deadLetters">;

/** One of the two buses, with how time passes there. */
interface Side {
  readonly ports: Ports;
  readonly nowMs: () => number;
  /** Until `holds`; at once where nothing takes time. */
  until(what: string, holds: () => boolean | Promise<boolean>): Promise<void>;
  /** Longer than a claim lives without a beat. */
  lapse(): Promise<void>;
  close(): Promise<void>;
}

function simulated(): Side {
  const clock = new SimClock();
  const bus = createLocalBus({ clock, ackWaitMs: ACK_WAIT_MS, maxDelivery: MAX_DELIVERY, mailboxCapacity: 6 });
  return {
    ports: bus,
    nowMs: () => clock.nowMs(),
    async until(what, holds) {
      await clock.advance(0);
      if (!(await holds())) throw new Error(`not so in the simulation: ${what}`);
    },
    lapse: () => clock.advance(1.3 * ACK_WAIT_MS),
    close: () => bus.close(),
  };
}

async function real(): Promise<Side & { readonly world: BusWorld }> {
  const world = await openBus(server.url, {
    localFirst: false,
    ackWaitMs: ACK_WAIT_MS,
    maxDelivery: MAX_DELIVERY,
    tuning: { queueCapacity: 1_000, mailboxCapacity: 6 },
  });
  return {
    world,
    ports: world.ports,
    nowMs: () => Date.now(),
    until,
    lapse: () => world.tick(1.3 * ACK_WAIT_MS),
    close: () => world.close(),
  };
}

// ---- steps

const AGENTS = ["a", "b.c"] as const;
const stepNumber = fc.nat({ max: 5 });
const nth = fc.nat({ max: 20 });
const stepOperation = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant("offer" as const), step: stepNumber }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("offer-later" as const), step: stepNumber }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("withdraw" as const), step: stepNumber }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("take" as const), agent: fc.constantFrom(...AGENTS) }) },
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constantFrom("done", "retry", "give-up", "throw", "return" as const), nth }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("lapse" as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("late-done" as const), nth }) },
);
type StepOperation = typeof stepOperation extends fc.Arbitrary<infer T> ? T : never;

const stepOf = (n: number): StepMessage => ({
  sessionId: n % 2 === 0 ? "s" : "t/2",
  runId: "r",
  stepId: `1.0.${n}`,
  agent: AGENTS[n % 3 === 0 ? 0 : 1],
  attempt: 1 + (n % 2),
  body: { n },
});

interface Held {
  readonly claim: Claim;
  readonly settle: { resolve(): void; reject(error: Error): void };
}

/** Plays steps on one side. Slots are as many as claims are open, so that nothing is taken unasked. */
class StepPlayer {
  readonly side: Side;
  /** By step id. */
  readonly held = new Map<string, Held>();
  readonly lapsed = new Map<string, Held>();
  readonly #servers = new Map<string, StepServer>();
  #arrived: Held[] = [];

  constructor(side: Side) {
    this.side = side;
    for (const agent of AGENTS) {
      const run = (claim: Claim): Promise<void> =>
        new Promise((resolve, reject) => this.#arrived.push({ claim, settle: { resolve, reject } }));
      this.#servers.set(agent, side.ports.steps.serve({ agents: [agent], slots: 0, run }));
    }
  }

  offer(n: number, more: Partial<StepMessage> = {}): Promise<string> {
    return this.side.ports.steps.offer({ ...stepOf(n), ...more });
  }

  withdraw(n: number): Promise<boolean> {
    return this.side.ports.steps.withdraw(stepOf(n).sessionId, stepOf(n).stepId);
  }

  /** Takes `count` steps of the agent; what came. */
  async take(agent: string, count: number): Promise<string[]> {
    this.#arrived = [];
    this.#setSlots(agent, count);
    await this.side.until(`${count} steps are handed out`, () => this.#arrived.length >= count);
    for (const one of this.#arrived) this.held.set(one.claim.step.stepId, one);
    return this.#arrived.map(({ claim }) => `${JSON.stringify(claim.step)} ${claim.delivery}`).sort();
  }

  async end(stepId: string, how: "done" | "retry" | "give-up" | "throw" | "return"): Promise<void> {
    const held = this.held.get(stepId);
    if (held === undefined) throw new TypeError(`nobody holds ${stepId}`);
    this.held.delete(stepId);
    this.#setSlots(held.claim.step.agent, 0);
    if (how === "done") await held.claim.done();
    else if (how === "retry") await held.claim.retry(0);
    else if (how === "give-up") await held.claim.giveUp("no use");
    if (how === "throw") held.settle.reject(new Error("worker broke"));
    else held.settle.resolve();
  }

  beat(): void {
    for (const { claim } of this.held.values()) claim.beat();
  }

  async lapse(): Promise<void> {
    for (const [stepId, held] of this.held) this.lapsed.set(stepId, held);
    this.held.clear();
    for (const agent of AGENTS) this.#setSlots(agent, 0);
    await this.side.lapse();
    for (const { settle } of this.lapsed.values()) settle.resolve();
  }

  async letters(): Promise<string[]> {
    const letters = await this.side.ports.deadLetters.list();
    return letters.map(({ stepId, attempt, agent, deliveries }) => `${stepId} ${attempt} ${agent} ${deliveries}`);
  }

  async isFree(n: number): Promise<boolean> {
    const answer = await this.offer(n);
    if (answer === "queued") await this.withdraw(n);
    return answer === "queued";
  }

  #setSlots(agent: string, more: number): void {
    const open = [...this.held.values()].filter(({ claim }) => claim.step.agent === agent).length;
    this.#servers.get(agent)?.setSlots(open + more);
  }
}

/** What both sides should agree on, kept apart from both. */
interface Ledger {
  readonly ready: Set<number>;
  readonly later: Set<number>;
  /** Deliveries so far of those that were handed out and are not gone. */
  readonly deliveries: Map<number, number>;
}

async function playSteps(operations: readonly StepOperation[], sim: StepPlayer, nats: StepPlayer): Promise<void> {
  const ledger: Ledger = { ready: new Set(), later: new Set(), deliveries: new Map() };
  const numberOf = (stepId: string): number => Number(stepId.slice(4));
  let beatenAtMs = performance.now();
  const beat = (): void => {
    // Stood still for so long, the server may have taken claims back: such a run tells nothing.
    fc.pre(performance.now() - beatenAtMs < 0.8 * ACK_WAIT_MS);
    beatenAtMs = performance.now();
    sim.beat();
    nats.beat();
  };
  const gone = async (n: number): Promise<void> => {
    ledger.deliveries.delete(n);
    await nats.side.until(`step ${n} has left`, () => nats.isFree(n));
    expect(await sim.isFree(n)).toBe(true);
  };
  for (const one of operations) {
    beat();
    switch (one.do) {
      case "offer":
      case "offer-later": {
        const later = one.do === "offer-later";
        // What is held by its sender alone is not seen to be on the server already until its time has come.
        if (later && (ledger.ready.has(one.step) || ledger.deliveries.has(one.step))) break;
        const [expected, answer] = await Promise.all(
          [sim, nats].map((player) =>
            player.offer(one.step, later ? { notBeforeMs: player.side.nowMs() + NEVER_MS } : {}),
          ),
        );
        expect(answer).toBe(expected);
        if (expected === "queued") (later ? ledger.later : ledger.ready).add(one.step);
        break;
      }
      case "withdraw": {
        if (ledger.ready.has(one.step) && ledger.deliveries.has(one.step)) break;
        const expected = await sim.withdraw(one.step);
        expect(await nats.withdraw(one.step)).toBe(expected);
        ledger.ready.delete(one.step);
        ledger.later.delete(one.step);
        break;
      }
      case "take": {
        const due = [...ledger.ready].filter((n) => stepOf(n).agent === one.agent);
        if (due.length === 0) break;
        const expected = await sim.take(one.agent, due.length);
        expect(await nats.take(one.agent, due.length)).toEqual(expected);
        for (const n of due) {
          ledger.ready.delete(n);
          ledger.deliveries.set(n, (ledger.deliveries.get(n) ?? 0) + 1);
          for (const player of [sim, nats]) player.lapsed.delete(stepOf(n).stepId);
        }
        break;
      }
      case "lapse": {
        for (const [stepId] of [...sim.held])
          if (ledger.deliveries.get(numberOf(stepId)) === MAX_DELIVERY) {
            await Promise.all([sim.end(stepId, "done"), nats.end(stepId, "done")]);
            await gone(numberOf(stepId));
          }
        for (const stepId of sim.held.keys()) ledger.ready.add(numberOf(stepId));
        await Promise.all([sim.lapse(), nats.lapse()]);
        beatenAtMs = performance.now();
        break;
      }
      case "late-done": {
        const ids = [...sim.lapsed.keys()].filter((stepId) => ledger.ready.has(numberOf(stepId)));
        const stepId = ids[one.nth % ids.length];
        if (stepId === undefined) break;
        for (const player of [sim, nats]) await player.lapsed.get(stepId)?.claim.done();
        ledger.ready.delete(numberOf(stepId));
        await gone(numberOf(stepId));
        break;
      }
      default: {
        const ids = [...sim.held.keys()].sort();
        const stepId = ids[one.nth % ids.length];
        if (stepId === undefined) break;
        const n = numberOf(stepId);
        await Promise.all([sim.end(stepId, one.do), nats.end(stepId, one.do)]);
        const isBuried = one.do === "give-up" || (one.do !== "done" && ledger.deliveries.get(n) === MAX_DELIVERY);
        if (one.do === "done" || isBuried) await gone(n);
        else ledger.ready.add(n);
        if (isBuried) expect(await nats.letters()).toEqual(await sim.letters());
      }
    }
  }
  beat();
  for (const agent of AGENTS) {
    const due = [...ledger.ready].filter((n) => stepOf(n).agent === agent);
    if (due.length > 0) expect(await nats.take(agent, due.length)).toEqual(await sim.take(agent, due.length));
  }
  expect(await nats.letters()).toEqual(await sim.letters());
}

// ---- results

const sessionId = fc.constantFrom("s", "t.x");
const resultStep = fc.constantFrom("1.0.1", "1.0.2", "1.0.1.1");
const attempt = fc.constantFrom(1, 2);
const resultOperation = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("put" as const), sessionId, stepId: resultStep, attempt }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("get" as const), sessionId, stepId: resultStep, attempt }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("list" as const), sessionId }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("forget" as const), sessionId, stepId: resultStep, attempt }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("forget-all" as const), sessionId }) },
);
type ResultOperation = typeof resultOperation extends fc.Arbitrary<infer T> ? T : never;

async function playResult({ results }: Ports, one: ResultOperation, body: number): Promise<unknown> {
  switch (one.do) {
    case "put":
      return results.put({ sessionId: one.sessionId, stepId: one.stepId, attempt: one.attempt, body });
    case "get":
      return results.get(one.sessionId, one.stepId, one.attempt);
    case "list":
      return [...(await results.list(one.sessionId))].sort((a, b) => (a.body as number) - (b.body as number));
    case "forget":
      return results.forget(one.sessionId, one);
    case "forget-all":
      return results.forget(one.sessionId);
  }
}

// ---- inbox

const inboxOperation = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant("post" as const), sessionId }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("repeat" as const), back: fc.nat({ max: 2 }) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("read" as const), sessionId, past: fc.nat({ max: 4 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("forget" as const), sessionId }) },
);
type InboxOperation = typeof inboxOperation extends fc.Arbitrary<infer T> ? T : never;

class InboxPlayer {
  readonly #inbox: Ports["inbox"];
  readonly #positions = new Map<string, number[]>();
  #posted: { sessionId: string; id: string }[] = [];
  #count = 0;

  constructor(side: Side) {
    this.#inbox = side.ports.inbox;
  }

  async play(one: InboxOperation): Promise<unknown> {
    switch (one.do) {
      case "post": {
        const id = `c${++this.#count}`;
        this.#posted.push({ sessionId: one.sessionId, id });
        return this.#post(one.sessionId, id);
      }
      case "repeat": {
        const again = this.#posted.at(-1 - one.back);
        return again === undefined ? "none" : this.#post(again.sessionId, again.id);
      }
      case "read": {
        // Past so many of those it saw last time.
        const seen = this.#positions.get(one.sessionId) ?? [];
        const after = one.past === 0 ? 0 : (seen[one.past - 1] ?? seen.at(-1) ?? 0);
        const read = await this.#inbox.read(one.sessionId, after);
        const positions = read.map(({ position }) => position);
        expect(positions.every((position, i) => position > (positions[i - 1] ?? after))).toBe(true);
        this.#positions.set(one.sessionId, positions);
        return read.map(({ command }) => command);
      }
      case "forget":
        this.#posted = this.#posted.filter((posted) => posted.sessionId !== one.sessionId);
        this.#positions.delete(one.sessionId);
        return this.#inbox.forget(one.sessionId);
    }
  }

  async #post(sessionId: string, id: string): Promise<string> {
    try {
      await this.#inbox.post(sessionId, { id, type: "answer", body: { id } });
      return "posted";
    } catch (error) {
      return (error as { code: string }).code;
    }
  }
}

async function both(play: (sim: Side, nats: Side) => Promise<void>): Promise<void> {
  const sim = simulated();
  const nats = await real();
  try {
    await play(sim, nats);
  } finally {
    await Promise.all([sim.close(), nats.close()]);
  }
}

describe("the bus on a real server does what the simulated one does", () => {
  it("with steps: offers, withdrawals, claims and their ends, claims that lapse", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(stepOperation, { minLength: 4, maxLength: 24 }), (operations) =>
        both((sim, nats) => playSteps(operations, new StepPlayer(sim), new StepPlayer(nats))),
      ),
      { numRuns: 15, interruptAfterTimeLimit: 60_000 },
    );
  });

  it("with results", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(resultOperation, { minLength: 2, maxLength: 30 }), (operations) =>
        both(async (sim, nats) => {
          const told: [string[], string[]] = [[], []];
          for (const [i, side] of [sim, nats].entries())
            for (const session of ["s", "t.x"])
              side.ports.results.watch(session, (one) => told[i]?.push(JSON.stringify(one)));
          for (const [i, one] of operations.entries())
            expect(await playResult(nats.ports, one, i)).toEqual(await playResult(sim.ports, one, i));
          await sim.until("all are told", () => true);
          await nats.until("all are told", () => told[1].length >= told[0].length);
          expect(told[1].sort()).toEqual(told[0].sort());
        }),
      ),
      { numRuns: 25, interruptAfterTimeLimit: 60_000 },
    );
  });

  it("with commands to sessions", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(inboxOperation, { minLength: 2, maxLength: 40 }), (operations) =>
        both(async (sim, nats) => {
          const [expected, actual] = [new InboxPlayer(sim), new InboxPlayer(nats)];
          for (const one of operations) expect(await actual.play(one)).toEqual(await expected.play(one));
        }),
      ),
      { numRuns: 25, interruptAfterTimeLimit: 60_000 },
    );
  });
});
