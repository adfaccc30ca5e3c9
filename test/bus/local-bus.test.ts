import { describe, expect, it } from "vitest";
import type { Clock } from "../../src/base/clock.ts";
import { isOrchestraError } from "../../src/base/errors.ts";
import { silentLogger, type Logger } from "../../src/base/logger.ts";
import { createLocalBus, type LocalBusOptions } from "../../src/bus/local-bus.ts";
import { LEASE_TTL_MS } from "../../src/bus/local-liveness.ts";
import type { Claim, HostInfo, StepMessage } from "../../src/bus/ports.ts";
import { SimClock } from "../../src/testing/sim-clock.ts";

const INFO: Omit<HostInfo, "host"> = {
  agents: [],
  sessions: 0,
  version: "1",
  slots: 1,
  running: 0,
  topologies: [],
  startedAtMs: 0,
  adopts: false,
};

const step = (stepId: string, more: Partial<StepMessage> = {}): StepMessage => ({
  sessionId: "s",
  runId: "r",
  stepId,
  agent: "a",
  attempt: 1,
  body: null,
  ...more,
});

function open(options: Partial<LocalBusOptions> = {}) {
  const clock = new SimClock();
  return { clock, bus: createLocalBus({ clock, ...options }) };
}

function recordingLogger() {
  const lines: string[] = [];
  const log = (_fields: Record<string, unknown>, message: string): void => void lines.push(message);
  const logger: Logger = { ...silentLogger, warn: log, error: log };
  return { lines, logger };
}

describe("local step queue", () => {
  it("hands a step out in the microtask after its offer, never within it", async () => {
    const { bus } = open();
    const order: string[] = [];
    bus.steps.serve({
      slots: 1,
      run: (claim) => {
        order.push(`run ${claim.step.stepId}`);
        return claim.done();
      },
    });
    void bus.steps.offer(step("1.0.1"));
    order.push("offered");
    await Promise.resolve();
    await Promise.resolve();
    expect(order).toEqual(["offered", "run 1.0.1"]);
  });

  it("starts no worker within another one's start", async () => {
    const { clock, bus } = open();
    let depth = 0;
    let deepest = 0;
    let started = 0;
    bus.steps.serve({
      slots: 5,
      run(claim) {
        deepest = Math.max(deepest, ++depth);
        if (++started < 50) void bus.steps.offer(step(`1.0.${started}`));
        const done = claim.done();
        depth--;
        return done;
      },
    });
    void bus.steps.offer(step("1.0.0"));
    await clock.settle();
    expect([started, deepest]).toEqual([50, 1]);
  });

  it("shares steps among servers instead of filling one first", async () => {
    const { clock, bus } = open();
    const counts = [0, 0];
    for (const i of [0, 1]) {
      bus.steps.serve({
        slots: 10,
        run() {
          counts[i] = (counts[i] ?? 0) + 1;
          return new Promise(() => undefined);
        },
      });
    }
    for (let i = 0; i < 10; i++) void bus.steps.offer(step(`1.0.${i}`));
    await clock.settle();
    expect(counts).toEqual([5, 5]);
  });

  it("sets no timer for steps that need none, and takes no claim back by default", async () => {
    const { clock, bus } = open();
    let runs = 0;
    bus.steps.serve({ slots: 1, run: () => (runs++, new Promise(() => undefined)) });
    bus.steps.serve({ slots: 1, run: () => (runs++, new Promise(() => undefined)) });
    void bus.steps.offer(step("1.0.1"));
    await clock.settle();
    expect(clock.pending()).toEqual([]);
    await clock.advance(24 * 3_600_000);
    expect(runs).toBe(1);
  });

  it("keeps a held-back step to the wall clock when that is set back meanwhile", async () => {
    const { clock, bus } = open();
    let ranAtMs = 0;
    bus.steps.serve({ slots: 1, run: (claim) => ((ranAtMs = clock.nowMs()), claim.done()) });
    const notBeforeMs = clock.nowMs() + 1_000;
    void bus.steps.offer(step("1.0.1", { notBeforeMs }));
    clock.jump(-5_000);
    await clock.advance(1_500);
    expect(ranAtMs).toBe(0);
    await clock.advance(10_000);
    expect(ranAtMs).toBe(notBeforeMs);
  });

  it("takes a late done of a claim that was taken back, as long as nobody else works on the step", async () => {
    const { clock, bus } = open({ ackWaitMs: 1_000 });
    const claims: Claim[] = [];
    bus.steps.serve({ slots: 1, run: (claim) => (claims.push(claim), new Promise(() => undefined)) });
    void bus.steps.offer(step("1.0.1"));
    await clock.advance(1_000);
    expect(bus.steps.depth("a")).toBe(1);
    await claims[0]?.done();
    expect(bus.steps.depth("a")).toBe(0);
    expect(await bus.steps.offer(step("1.0.1"))).toBe("queued");
  });

  it("leaves a step with the worker that has it now when an earlier one is done late", async () => {
    const { clock, bus } = open({ ackWaitMs: 1_000 });
    const claims: Claim[] = [];
    const run = (claim: Claim): Promise<void> => (claims.push(claim), new Promise(() => undefined));
    bus.steps.serve({ slots: 1, run });
    void bus.steps.offer(step("1.0.1"));
    await clock.settle();
    bus.steps.serve({ slots: 1, run });
    await clock.advance(1_000);
    expect(claims.map((claim) => claim.delivery)).toEqual([1, 2]);
    await claims[0]?.done();
    expect(await bus.steps.offer(step("1.0.1"))).toBe("already");
    await claims[1]?.done();
    expect(await bus.steps.offer(step("1.0.1"))).toBe("queued");
  });

  it("tells the dead letters to the listener, the logger and the list, and outlives a listener that throws", async () => {
    const { lines, logger } = recordingLogger();
    const heard: string[] = [];
    const { clock, bus } = open({
      logger,
      maxDelivery: 2,
      onDeadLetter(letter) {
        heard.push(`${letter.step.stepId}: ${letter.reason}`);
        throw new Error("listener broke");
      },
    });
    bus.steps.serve({
      slots: 1,
      run() {
        throw new Error("worker broke before it began");
      },
    });
    void bus.steps.offer(step("1.0.1"));
    await clock.settle();
    expect(heard).toEqual(["1.0.1: handed out 2 times, the most allowed; the last time its worker failed"]);
    expect(await bus.deadLetters.list()).toMatchObject([{ stepId: "1.0.1", deliveries: 2 }]);
    expect(lines).toContain("step became a dead letter");
    expect(lines).toContain("listener of dead letters threw");
  });

  it("refuses bounds and slots that make no sense, naming them", () => {
    const clock = new SimClock();
    for (const options of [
      { ackWaitMs: 0 },
      { maxDelivery: 0 },
      { queueCapacity: -1 },
      { mailboxCapacity: 1.5 },
      { ackWaitMs: NaN },
    ]) {
      const name = Object.keys(options)[0] ?? "";
      expect(() => createLocalBus({ clock, ...options })).toThrow(new RegExp(`^${name}: expected`));
    }
    const { bus } = open();
    expect(() => bus.steps.serve({ slots: -1, run: async () => undefined })).toThrow(/^slots: expected/);
  });
});

describe("local inbox", () => {
  it("gives positions above those of an earlier bus, so that a cursor kept in a log stays good", async () => {
    const clock = new SimClock();
    const before = createLocalBus({ clock });
    for (let i = 0; i < 10; i++) await before.inbox.post("s", { id: `c${i}`, type: "pause", body: null });
    const cursor = (await before.inbox.read("s", 0)).at(-1)?.position ?? 0;
    await before.close();
    await clock.advance(1);
    const after = createLocalBus({ clock });
    await after.inbox.post("s", { id: "d", type: "resume", body: null });
    expect((await after.inbox.read("s", cursor)).map((one) => one.command.id)).toEqual(["d"]);
  });
});

describe("local liveness", () => {
  it("lets a host go whose renewals stop, and tells the watchers", async () => {
    // The frozen host's timers never fire, as in a process that was stopped.
    const clock = new SimClock();
    let frozen = false;
    const freezing: Clock = {
      nowMs: () => clock.nowMs(),
      monotonicMs: () => clock.monotonicMs(),
      setTimer: (delayMs, fire) => (frozen ? () => undefined : clock.setTimer(delayMs, fire)),
    };
    const bus = createLocalBus({ clock: freezing });
    const seen: string[] = [];
    await bus.liveness.announce({ host: "awake", ...INFO });
    frozen = true;
    await bus.liveness.announce({ host: "frozen", ...INFO });
    frozen = false;
    bus.liveness.watch((hosts) => seen.push(hosts.map((one) => one.host).join()));
    await clock.advance(LEASE_TTL_MS - 1_000);
    expect((await bus.liveness.alive()).length).toBe(2);
    await clock.advance(LEASE_TTL_MS);
    expect((await bus.liveness.alive()).map((one) => one.host)).toEqual(["awake"]);
    expect(seen.at(-1)).toBe("awake");
  });

  it("tells a host whose renewal came late that its lease was not held, and that it is again", async () => {
    const clock = new SimClock();
    let stoppedMs = 0;
    const late: Clock = {
      nowMs: () => clock.nowMs(),
      monotonicMs: () => clock.monotonicMs(),
      setTimer: (delayMs, fire) => clock.setTimer(delayMs + stoppedMs, fire),
    };
    const bus = createLocalBus({ clock: late });
    stoppedMs = LEASE_TTL_MS;
    const lease = await bus.liveness.announce({ host: "h", ...INFO });
    stoppedMs = 0;
    const told: boolean[] = [];
    lease.held.watch(() => {
      throw new Error("watcher broke");
    });
    const stop = lease.held.watch((held) => told.push(held));
    await clock.advance(0.6 * LEASE_TTL_MS - 1);
    expect(lease.held.now()).toBe(true);
    await clock.advance(1);
    expect(lease.held.now()).toBe(false);
    await clock.advance(LEASE_TTL_MS);
    expect([told, lease.held.now()]).toEqual([[false, true], true]);
    stop();
  });

  it("keeps hosts alive over a jump of the wall clock", async () => {
    const { clock, bus } = open();
    await bus.liveness.announce({ host: "h", ...INFO });
    clock.jump(3_600_000);
    expect((await bus.liveness.alive()).length).toBe(1);
  });
});

describe("local live events", () => {
  it("reports a listener that throws to the logger", async () => {
    const { lines, logger } = recordingLogger();
    const { clock, bus } = open({ logger });
    bus.live.subscribe("s", () => {
      throw new Error("listener broke");
    });
    bus.live.publish({ sessionId: "s", event: 1 });
    await clock.settle();
    expect(lines).toEqual(["listener of live events threw"]);
  });

  it("counts exactly what a burst costs a subscriber", async () => {
    const { clock, bus } = open();
    const seen: unknown[] = [];
    const subscription = bus.live.subscribe("s", (event) => seen.push(event), { capacity: 3 });
    for (let i = 0; i < 10; i++) bus.live.publish({ sessionId: "s", event: i });
    await clock.settle();
    expect([seen, subscription.dropped]).toEqual([[7, 8, 9], 7]);
    expect(() => bus.live.subscribe("s", () => undefined, { capacity: 0 })).toThrow(/^capacity: expected/);
  });
});

describe("a closed local bus", () => {
  it("refuses what it can no longer do, leaves no timer, and may be closed again", async () => {
    const { clock, bus } = open({ ackWaitMs: 1_000 });
    let claim: Claim | undefined;
    const server = bus.steps.serve({ slots: 1, run: (one) => ((claim = one), new Promise(() => undefined)) });
    await bus.steps.offer(step("1.0.1"));
    await bus.steps.offer(step("1.0.2", { notBeforeMs: clock.nowMs() + 5_000 }));
    await bus.liveness.announce({ host: "h", ...INFO });
    await clock.settle();
    await bus.close();
    await bus.close();
    expect(clock.pending()).toEqual([]);

    const refused = [
      () => bus.steps.offer(step("1.0.3")),
      async () => bus.steps.serve({ slots: 1, run: async () => undefined }),
      () => bus.results.put({ sessionId: "s", stepId: "1.0.1", attempt: 1, body: null }),
      () => bus.journal.put({ sessionId: "s", stepId: "1.0.1", key: "k", value: { v: 1 } }),
      () => bus.inbox.post("s", { id: "c", type: "pause", body: null }),
      () => bus.liveness.announce({ host: "h2", ...INFO }),
      async () => bus.live.subscribe("s", () => undefined),
    ];
    for (const one of refused) {
      const error: unknown = await one().catch((caught: unknown) => caught);
      expect(isOrchestraError(error, "ORCH_CLOSED"), one.toString()).toBe(true);
    }
    bus.live.publish({ sessionId: "s", event: 1 });

    let stopped = false;
    const stopping = server.stop().then(() => (stopped = true));
    await clock.settle();
    expect(stopped).toBe(false);
    await claim?.retry(0);
    await stopping;
    expect(bus.steps.depth()).toBe(0);
  });
});
