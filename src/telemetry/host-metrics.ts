// Host metrics: what a host says of itself, as figures to be watched.

import type { AttemptCounts, HostStatus } from "../runtime/engine-api.ts";
import type { MetricFamily } from "./prometheus.ts";

const STATES: readonly HostStatus["state"][] = ["idle", "serving", "draining", "closed"];
const BUS_STATES: readonly HostStatus["bus"][] = ["connected", "reconnecting", "closed"];

export function hostFamilies(status: HostStatus): MetricFamily[] {
  const { host, state, leaseHeld, bus, slots, running, sessions, queued, attempts, lateResults } = status;
  const gauge = (name: string, help: string, samples: MetricFamily["samples"]): MetricFamily => ({
    name: `orchestra_${name}`,
    help,
    type: "gauge",
    samples,
  });
  const ended = (Object.entries(attempts) as [string, AttemptCounts][]).flatMap(([agent, counts]) =>
    (["succeeded", "failed", "aborted"] as const).map((outcome) => ({
      labels: { agent, outcome },
      value: counts[outcome],
    })),
  );
  return [
    gauge("host_info", "The host, by its name on the bus", [{ labels: { host }, value: 1 }]),
    gauge("host_state", "1 for the state the host is in", oneOf("state", STATES, state)),
    gauge("host_lease_held", "1 while the host has said in time that it is alive", [{ value: leaseHeld ? 1 : 0 }]),
    gauge("host_slots", "Steps at a time at most", [{ value: slots }]),
    gauge("host_steps_running", "Steps the host runs now", [{ value: running }]),
    gauge("host_sessions", "Sessions the host owns", [{ value: sessions }]),
    gauge("bus_state", "1 for the state the connection to the bus is in", oneOf("state", BUS_STATES, bus)),
    gauge(
      "queue_depth",
      "Steps that wait at the bus for any host, by agent, as this host was last told",
      Object.entries(queued).map(([agent, value]) => ({ labels: { agent }, value })),
    ),
    {
      name: "orchestra_host_attempts_total",
      help: "Attempts of steps that ended on this host, of whatever session",
      type: "counter",
      samples: ended,
    },
    {
      name: "orchestra_host_attempt_duration_ms_total",
      help: "Time spent in attempts on this host, in milliseconds",
      type: "counter",
      samples: Object.entries(attempts).map(([agent, { tookMs }]) => ({ labels: { agent }, value: tookMs })),
    },
    {
      name: "orchestra_host_late_results_total",
      help: "Results that came after their attempt had ended",
      type: "counter",
      samples: [{ value: lateResults }],
    },
  ];
}

function oneOf(label: string, all: readonly string[], now: string): MetricFamily["samples"] {
  return all.map((one) => ({ labels: { [label]: one }, value: one === now ? 1 : 0 }));
}
