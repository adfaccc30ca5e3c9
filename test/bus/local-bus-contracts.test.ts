import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createLocalBus, type LocalBusOptions } from "../../src/bus/local-bus.ts";
import { LEASE_TTL_MS } from "../../src/bus/local-liveness.ts";
import {
  deadLettersContract,
  inboxContract,
  journalContract,
  liveEventsContract,
  livenessContract,
  resultRegisterContract,
  SimClock,
  stepQueueContract,
} from "../../src/testing/index.ts";

const test = { describe, it, expect, beforeEach, afterEach };

function open(options: Partial<LocalBusOptions> = {}) {
  const clock = new SimClock();
  const bus = createLocalBus({ clock, ...options });
  return { clock, bus, tick: (ms: number) => clock.advance(ms), close: () => bus.close() };
}

stepQueueContract(test, "the local bus", async () => {
  const bounds = { ackWaitMs: 1_000, maxDelivery: 3, queueCapacity: 32 };
  const { clock, bus, tick, close } = open(bounds);
  return {
    ...bounds,
    queue: bus.steps,
    nowMs: () => clock.nowMs(),
    tick,
    deadLetters: async () => bus.deadLetters.list(),
    async close() {
      await close();
      expect(clock.pending()).toEqual([]);
    },
  };
});

resultRegisterContract(test, "the local bus", async () => {
  const { bus, tick, close } = open();
  return { results: bus.results, tick, close };
});

journalContract(test, "the local bus", async () => {
  const { bus, tick, close } = open();
  return { journal: bus.journal, tick, close };
});

inboxContract(test, "the local bus", async () => {
  const { bus, tick, close } = open({ mailboxCapacity: 8 });
  return { inbox: bus.inbox, tick, capacity: 8, close };
});

livenessContract(test, "the local bus", async () => {
  const { clock, bus, tick, close } = open();
  return {
    liveness: bus.liveness,
    tick,
    leaseTtlMs: LEASE_TTL_MS,
    async close() {
      await close();
      expect(clock.pending()).toEqual([]);
    },
  };
});

liveEventsContract(test, "the local bus", async () => {
  const { bus, tick, close } = open();
  return { live: bus.live, tick, close };
});

deadLettersContract(test, "the local bus", async () => {
  const { bus, tick, close } = open();
  return { queue: bus.steps, deadLetters: bus.deadLetters, tick, close };
});
