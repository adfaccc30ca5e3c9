// Host status: what a host says of itself to those who watch over it.

import type { EngineParts } from "./engine-parts.ts";
import type { HostStatus } from "./engine-api.ts";

/** Of an engine that is `open`, but serves nobody yet, it is `idle`. */
export function hostStatusOf(
  { ports, cluster, live }: EngineParts,
  state: "open" | "draining" | "closed",
  slots: number,
): HostStatus {
  const { bus, worker, host } = ports;
  const isServing = cluster?.isHosting === true && state === "open";
  return {
    host,
    state: state === "open" ? (isServing ? "serving" : "idle") : state,
    leaseHeld: cluster?.leaseHeld ?? true,
    bus: bus.status?.now() ?? "connected",
    slots: isServing ? slots : 0,
    running: worker.running,
    sessions: live.size,
    queued: Object.fromEntries(worker.agents.map((agent) => [agent, bus.steps.depth(agent)])),
    attempts: worker.attempts,
    lateResults: worker.lateResults,
  };
}
