// The suites every adapter passes, on servers that are there already.

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  deadLettersContract,
  inboxContract,
  journalContract,
  liveEventsContract,
  livenessContract,
  resultRegisterContract,
  stepQueueContract,
} from "../../src/testing/index.ts";
import { freshTenant, openBus, type BusWorldOptions } from "./bus-world.ts";

const test = { describe, it, expect, beforeEach, afterEach };
const LEASE_MS = 1_000;
const ACK_WAIT_MS = 2_000;

export function busContracts(name: string, servers: () => readonly string[], options: BusWorldOptions = {}): void {
  const open = () => openBus(servers(), { leaseMs: LEASE_MS, ackWaitMs: ACK_WAIT_MS, ...options });

  stepQueueContract(test, name, async () => {
    const { ports, tick, close } = await open();
    return {
      queue: ports.steps,
      tick,
      close,
      ackWaitMs: ACK_WAIT_MS,
      maxDelivery: 3,
      queueCapacity: 32,
      nowMs: () => Date.now(),
      deadLetters: () => ports.deadLetters.list(),
    };
  });
  deadLettersContract(test, name, async () => {
    const { ports, tick, close } = await open();
    return { queue: ports.steps, deadLetters: ports.deadLetters, tick, close };
  });
  resultRegisterContract(test, name, async () => {
    const { ports, tick, close } = await open();
    return { results: ports.results, tick, close };
  });
  journalContract(test, name, async () => {
    const { ports, tick, close } = await open();
    return { journal: ports.journal, tick, close };
  });
  inboxContract(test, name, async () => {
    // The server remembers ids of commands beyond all emptying.
    const { ports, tick, close } = await openBus(servers(), { ...options, tenant: freshTenant() });
    return { inbox: ports.inbox, tick, capacity: 8, close };
  });
  livenessContract(test, name, async () => {
    const { ports, tick, close } = await open();
    return { liveness: ports.liveness, tick, leaseTtlMs: LEASE_MS, close };
  });
  liveEventsContract(test, name, async () => {
    const { ports, tick, close } = await open();
    return { live: ports.live, tick, close };
  });
}
