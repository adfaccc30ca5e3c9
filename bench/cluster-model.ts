// What a cluster sends, by its size: `node --import jiti/register bench/cluster-model.ts [--hosts 1000] [--sessions 100]
// [--steps 10] [--agents 10] [--over-bus 0.5]`. Counted from the code and held against measurements (docs/scaling.md);
// nothing runs. Capacities are of one small machine: what matters is which share is used up first, and how it grows.

import { parseArgs } from "node:util";
import { figure, table } from "./statistics.ts";

export interface Load {
  readonly hosts: number;
  /** Running at a time, on each host. */
  readonly sessionsPerHost: number;
  /** Per second, on each host. */
  readonly stepsPerHost: number;
  readonly stepsPerSession: number;
  /** Agents that each host serves. */
  readonly agents: number;
  /** Share of steps that another host runs than the owner. */
  readonly overBus: number;
}

interface Line {
  readonly what: string;
  readonly perSecond: number;
  /** How many a second the servers, or one host, were seen or are taken to do. */
  readonly capacity: number;
  readonly growsWith: string;
}

const RENEW_S = 4;
/** A busy host tells of its load at most so often. */
const TELL_S = 1;
const PULL_S = 30;
const HEARTBEAT_S = 5;
const LOOK_S = 5;
const LOOK_SHARE = 20;
const COMPARE_S = 60;
/** Of one host's look at the log of a running session: 13 ms for a page of 200. */
const LOOK_EACH_S = 0.013 / 200;

/** Appends per second to three servers, from which they and their clients shared two processors. */
const APPENDS = 10_000;
/** Writes to any other stream with three copies, likewise. */
const WRITES = 10_000;
/** Questions to a stream's leader per second; a page of 200 took one client 13 ms. */
const QUESTIONS = 15_000;
/** Small messages handed to subscribers per second by one server. Assumed: a third of what nats-server's own benchmark gives. */
const DELIVERIES = 500_000;
/** Small messages that one host of Node.js reads per second before it does anything else. Assumed. */
const READS_OF_A_HOST = 50_000;

export function linesOf(load: Load): Line[] {
  const { hosts, sessionsPerHost, stepsPerHost, stepsPerSession, agents, overBus } = load;
  const steps = hosts * stepsPerHost;
  const ended = steps / stepsPerSession;
  const crossing = steps * overBus;
  const running = hosts * sessionsPerHost;
  const told = hosts / RENEW_S + hosts / TELL_S;
  const lookEveryS = Math.max(LOOK_S, LOOK_SHARE * running * LOOK_EACH_S);
  return [
    { what: "ORCH_LOG: appends", perSecond: steps + ended, capacity: APPENDS, growsWith: "steps" },
    {
      what: "ORCH_WORK: offers and acknowledgements",
      perSecond: 2 * crossing,
      capacity: WRITES,
      growsWith: "steps that cross",
    },
    {
      what: "ORCH_RES: results and their removal",
      perSecond: 2 * crossing + ended,
      capacity: WRITES,
      growsWith: "steps that cross",
    },
    { what: "orch_sessions: moves and rests", perSecond: 2 * ended, capacity: WRITES, growsWith: "sessions begun" },
    { what: "orch_hosts: renewals and load", perSecond: told, capacity: WRITES, growsWith: "hosts" },
    { what: "orch_hosts told to every host", perSecond: told * hosts, capacity: DELIVERIES, growsWith: "hosts²" },
    { what: "the same, as one host reads it", perSecond: told, capacity: READS_OF_A_HOST, growsWith: "hosts" },
    {
      what: "logs asked by hosts that look for sessions without an owner",
      perSecond: (hosts * running) / lookEveryS,
      capacity: QUESTIONS,
      growsWith: "hosts × running sessions, then hosts",
    },
    {
      what: "logs asked of sessions that write nothing",
      perSecond: running / COMPARE_S,
      capacity: QUESTIONS,
      growsWith: "running sessions",
    },
    {
      what: "requests for steps that wait, and their heartbeats",
      perSecond: hosts * agents * (1 / PULL_S + 1 / HEARTBEAT_S),
      capacity: DELIVERIES,
      growsWith: "hosts × agents",
    },
    {
      what: "hints of commits, results, signals",
      perSecond: steps + crossing,
      capacity: DELIVERIES,
      growsWith: "steps",
    },
  ];
}

/** The number of hosts at which a line reaches its capacity, the rest as in `load`. */
export function hostsAt(load: Load, index: number): number {
  const isOver = (hosts: number): boolean => {
    const line = linesOf({ ...load, hosts })[index];
    return line !== undefined && line.perSecond >= line.capacity;
  };
  let low = 1;
  let high = 1;
  while (high < 1e7 && !isOver(high)) high *= 2;
  if (high >= 1e7) return Infinity;
  for (low = high / 2; high - low > 1;) {
    const middle = Math.floor((low + high) / 2);
    if (isOver(middle)) high = middle;
    else low = middle;
  }
  return high;
}

const { values } = parseArgs({
  options: {
    hosts: { type: "string", default: "1000" },
    sessions: { type: "string", default: "100" },
    steps: { type: "string", default: "10" },
    "per-session": { type: "string", default: "10" },
    agents: { type: "string", default: "10" },
    "over-bus": { type: "string", default: "0.5" },
  },
});

const load: Load = {
  hosts: Number(values.hosts),
  sessionsPerHost: Number(values.sessions),
  stepsPerHost: Number(values.steps),
  stepsPerSession: Number(values["per-session"]),
  agents: Number(values.agents),
  overBus: Number(values["over-bus"]),
};

const rows = linesOf(load).map(({ what, perSecond, capacity, growsWith }, i) => ({
  at: hostsAt(load, i),
  cells: [what, figure(perSecond), `${figure((perSecond / capacity) * 100)} %`, growsWith],
}));
rows.sort((a, b) => a.at - b.at);
console.log(JSON.stringify(load));
console.log(
  table(
    ["", "per second", "of capacity", "grows with", "full at hosts"],
    rows.map(({ at, cells }) => [...cells, Number.isFinite(at) ? at.toLocaleString("en") : "–"]),
  ),
);
