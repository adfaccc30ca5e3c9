// End checks: what must hold when every session has ended and nothing goes wrong any more.

import { isDeepStrictEqual } from "node:util";
import { loadSession } from "../../runtime/log-fold.ts";
import type { Asks } from "./asks.ts";
import type { Told } from "./clients.ts";
import type { Fleet } from "./fleet.ts";
import type { Observer } from "./observer.ts";
import type { SimHost } from "./sim-host.ts";
import type { Machine } from "./sim-machine.ts";

export interface EndParts {
  readonly fleet: Fleet;
  readonly observer: Observer;
  readonly told: ReadonlyMap<string, Told>;
  readonly asks: Asks;
  readonly machine: Machine;
  beforeClosing(): void;
  /** Until what was set off has been done; outlives the process. */
  aMoment(): Promise<void>;
}

/** So long what is left of aborted attempts may take to go away. */
const AFTERMATH_MS = 600_000;

export async function checkTheEnd(parts: EndParts): Promise<void> {
  const { fleet, observer, machine, asks } = parts;
  const host = await fleet.host();
  const { engine, store } = host.kernel;
  host.bus.offerAgain();
  await machine.scheduler.sleep(host.scope, AFTERMATH_MS, "aftermath");
  for (const model of observer.sessions()) {
    if (model.n === 0) continue;
    const { sessionId } = model;
    const entry = await asks.ask(host, `entry of ${sessionId}`, () => engine.getSession(sessionId));
    if (entry === null) {
      machine.report("S1", `session ${sessionId} is not in the store`);
      continue;
    }
    const loaded = await asks.ask(host, `log of ${sessionId}`, () => loadSession(store, sessionId));
    if (loaded !== null) model.compare(loaded.position.state, "the state read back from snapshot and log");
    // What the process before wrote, and did not live to hear of, is known now that it was read.
    if (model.state.run?.end == null && model.state.run !== null)
      machine.report("L1", `session ${sessionId} has not ended: it is ${entry.status}`);
  }
  await checkTold(host, parts);
  await checkStored(host, parts);
  for (const what of asks.open()) machine.report("S10", `${what} was never answered`);
  parts.beforeClosing();
  for (const one of fleet.up()) await checkClosed(one, parts);
}

/** Whoever was told how a run ended finds it so. */
async function checkTold(host: SimHost, { told, asks, machine }: EndParts): Promise<void> {
  for (const [sessionId, { runId, status, finalResponse }] of told) {
    const outcome = await asks.ask(host, `outcome of ${sessionId}`, () => host.kernel.engine.outcome(sessionId));
    if (outcome.state.run?.runId !== runId) continue;
    if (outcome.status !== status || !isDeepStrictEqual(outcome.finalResponse, finalResponse))
      machine.report(
        "S8",
        `session ${sessionId} was told to be ${status}, and is ${outcome.status} with another result`,
      );
  }
}

async function checkStored(host: SimHost, { fleet, observer, asks, machine }: EndParts): Promise<void> {
  for (const left of await fleet.left(observer.sessions().map(({ sessionId }) => sessionId)))
    machine.report("L2", `left on the bus: ${left}`);
  const verified = await asks.ask(host, "verify", () => host.kernel.store.verify());
  if (!verified.ok && !fleet.damaged)
    machine.report(
      "S1",
      `the store is not whole: ${verified.problems.map(({ key, message }) => `${key}: ${message}`).join("; ")}`,
    );
}

async function checkClosed(host: SimHost, { asks, machine, aMoment }: EndParts): Promise<void> {
  await asks.ask(host, "closing", () => host.close());
  await aMoment();
  if (machine.canary === "leaks-a-timer") machine.scheduler.after(host.scope, 1_000, "timer", () => undefined);
  for (const label of machine.scheduler.pending(host.scope)) machine.report("L3", `left after closing: ${label}`);
  for (const held of host.bus.held) machine.report("L3", `left after closing: ${held}`);
}
