// Storm
//
// Owns:      real servers, and the processes on them; what befalls them by the plan; the calm afterwards, in which every
//            session has to end; what was read of each at the end.
// Does not:  judge (verdict.ts) or draw the plan (plan.ts).
//
// The plan is the seed's; when a process gets to run is the machine's. The same seed gives the same blows, not the same run.

import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { OrchestraInstance } from "../../src/index.ts";
import { natsBus, type NatsBus } from "../../src/nats/index.ts";
import type { Commit } from "../../src/state/ports.ts";
import { startCluster } from "../../test/support/nats-cluster.ts";
import { childProgram } from "../../test/support/child-program.ts";
import type { NatsVersion } from "../../test/support/nats-program.ts";
import { type NatsServer, startNats } from "../../test/support/nats.ts";
import { temporaryFolder } from "../../test/support/leftovers.ts";
import { entriesOf, type ChildOptions, type Entry } from "./child.ts";
import { planStorm, type Blow, type Role } from "./plan.ts";
import { StormProcess } from "./processes.ts";
import { judge, type SessionHistory, type Verdict } from "./verdict.ts";
import { expectedResult, TOPOLOGY } from "./workload.ts";

export interface StormOptions {
  readonly seed: number;
  readonly seconds: number;
  /** 3: copies on three servers. */
  readonly servers: 1 | 3;
  readonly version?: NatsVersion;
  readonly counts: Readonly<Record<Exclude<Role, "server">, number>>;
  /** Sessions that each program and client has under way at a time. */
  readonly inFlight: number;
  /** The longest that a step works. */
  readonly workMs: number;
  readonly leaseMs: number;
  /** Servers are killed and frozen, too. */
  readonly strikeServers: boolean;
  readonly log: (line: string) => void;
}

export const DEFAULT_STORM: Omit<StormOptions, "seed" | "seconds" | "log"> = {
  servers: 1,
  counts: { owner: 3, worker: 3, program: 2, client: 2 },
  inFlight: 8,
  workMs: 60,
  leaseMs: 4_000,
  strikeServers: true,
};

export interface StormReport {
  readonly verdict: Verdict;
  readonly blows: Readonly<Record<string, number>>;
  /** What callers were refused with and asked again after, by code. */
  readonly refusals: Readonly<Record<string, number>>;
  readonly serverVersion: string;
}

const PROGRAM = new URL("./main.ts", import.meta.url);
const READY_MS = 90_000;
/** For what was begun to end once nothing is struck any more. */
const CALM_MS = 120_000;
const READERS = 8;

interface Servers {
  readonly all: readonly NatsServer[];
  readonly urls: readonly string[];
  [Symbol.asyncDispose](): Promise<void>;
}

export async function runStorm(options: StormOptions): Promise<StormReport> {
  const folder = temporaryFolder("chaos");
  const [program, servers] = await Promise.all([childProgram(PROGRAM), startServers(options)]);
  const bus = natsBus({
    servers: servers.urls,
    init: { leaseMs: options.leaseMs, replicas: options.servers },
    connectTimeoutMs: READY_MS,
  });
  const processes = stormProcesses(options, program, folder, servers.urls);
  try {
    await bus.open();
    for (const process of processes) process.start();
    await allReady(processes);
    options.log(`${processes.length} processes on nats-server ${servers.all[0]?.program.version}; the storm begins`);
    const blows = await strike(options, processes, servers.all);
    await calmDown(options, folder, processes, servers.all);
    const diaries = processes.flatMap((process) => entriesOf(process.options.diary));
    const verdict = judge(await histories(bus, diaries));
    return { verdict, blows, refusals: refusalsIn(diaries), serverVersion: servers.all[0]?.program.version ?? "" };
  } finally {
    await Promise.all(processes.map((process) => process.kill()));
    await bus.sessions.close();
    await bus.close();
    await servers[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function startServers({ servers, version }: StormOptions): Promise<Servers> {
  const wanted = version === undefined ? {} : { version };
  if (servers === 3) {
    const cluster = await startCluster(wanted);
    return { all: cluster.servers, urls: cluster.urls, [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose]() };
  }
  const server = await startNats(wanted);
  return { all: [server], urls: [server.url], [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

function stormProcesses(
  { counts, leaseMs, inFlight, workMs }: StormOptions,
  program: string,
  folder: string,
  servers: readonly string[],
): StormProcess[] {
  const roles = ["owner", "worker", "program", "client"] as const;
  return roles.flatMap((role) =>
    Array.from({ length: counts[role] }, (_, index) => {
      const name = `${role}${index}`;
      const options: ChildOptions = {
        role,
        name,
        servers,
        diary: join(folder, `${name}.jsonl`),
        calm: join(folder, "calm"),
        renewMs: leaseMs / 4,
        ackWaitMs: leaseMs,
        // Some keep steps to themselves while they have room, others send all of them over the bus.
        localFirst: index % 2 === 0,
        slots: role === "worker" ? 16 : 4,
        workMs,
        inFlight,
      };
      return new StormProcess(program, options, join(folder, `${name}.log`));
    }),
  );
}

async function allReady(processes: readonly StormProcess[]): Promise<void> {
  const untilMs = performance.now() + READY_MS;
  const isReady = ({ options }: StormProcess): boolean => entriesOf(options.diary).some(({ type }) => type === "ready");
  while (!processes.every(isReady)) {
    if (performance.now() > untilMs) {
      const late = processes.filter((process) => !isReady(process)).map(({ options }) => options.name);
      throw new Error(`not ready within ${READY_MS / 1_000} s: ${late.join(", ")}`);
    }
    await sleep(50);
  }
}

async function strike(
  options: StormOptions,
  processes: readonly StormProcess[],
  servers: readonly NatsServer[],
): Promise<Record<string, number>> {
  const { seed, seconds, leaseMs, counts, strikeServers, log } = options;
  const forMs = seconds * 1_000;
  const plan = planStorm({ seed, forMs, leaseMs, counts: { ...counts, server: strikeServers ? servers.length : 0 } });
  const startedMs = performance.now();
  const done: Record<string, number> = {};
  const healing: Promise<void>[] = [];
  for (const blow of plan) {
    await sleep(Math.max(0, blow.atMs - (performance.now() - startedMs)));
    log(`${(blow.atMs / 1_000).toFixed(1)} s: ${blow.kind} ${blow.role}${blow.index} for ${Math.round(blow.forMs)} ms`);
    healing.push(
      blow.role === "server"
        ? strikeServer(blow, servers[blow.index])
        : strikeProcess(
            blow,
            processes.find(({ options: { name } }) => name === `${blow.role}${blow.index}`),
          ),
    );
    const kind = `${blow.kind} ${blow.role}`;
    done[kind] = (done[kind] ?? 0) + 1;
  }
  await sleep(Math.max(0, forMs - (performance.now() - startedMs)));
  await Promise.all(healing);
  return done;
}

async function strikeProcess({ kind, forMs }: Blow, process: StormProcess | undefined): Promise<void> {
  if (process === undefined) return;
  if (kind === "kill") await process.kill();
  else process.freeze();
  await sleep(forMs);
  if (kind === "kill") process.start();
  else process.thaw();
}

async function strikeServer({ kind, forMs }: Blow, server: NatsServer | undefined): Promise<void> {
  if (server === undefined) return;
  if (kind === "kill") await server.kill();
  else await server.freeze();
  await sleep(forMs);
  if (kind === "kill") await server.start();
  else server.thaw();
}

/** Nothing new is begun; resolves when the callers of all that was begun have been told, or after `CALM_MS`. */
async function calmDown(
  { log }: StormOptions,
  folder: string,
  processes: readonly StormProcess[],
  servers: readonly NatsServer[],
): Promise<void> {
  writeFileSync(join(folder, "calm"), "");
  for (const process of processes) process.start();
  await Promise.all(servers.map((server) => server.ready()));
  const startedMs = performance.now();
  const callers = processes.filter(({ options: { role } }) => role === "program" || role === "client");
  const patience = new AbortController();
  const late = sleep(CALM_MS, "late", { signal: patience.signal }).catch(() => "late");
  const ends = await Promise.race([Promise.all(callers.map(({ ended }) => ended)), late]);
  patience.abort();
  const seconds = Math.round((performance.now() - startedMs) / 1_000);
  log(ends === "late" ? `not all has ended ${seconds} s after the storm` : `all callers were told ${seconds} s later`);
}

async function histories(bus: NatsBus, diaries: readonly Entry[]): Promise<SessionHistory[]> {
  const reader = new OrchestraInstance({ bus, topology: TOPOLOGY, unserved: "wait" });
  const told = new Map<string, unknown[]>();
  const starts = new Map<string, Map<string, number>>();
  for (const entry of diaries) {
    if (entry.type === "asked") told.set(entry.sessionId, told.get(entry.sessionId) ?? []);
    if (entry.type === "told") told.set(entry.sessionId, [...(told.get(entry.sessionId) ?? []), entry.result]);
    if (entry.type !== "started") continue;
    const ofSession = starts.get(entry.sessionId) ?? new Map<string, number>();
    ofSession.set(entry.stepId, (ofSession.get(entry.stepId) ?? 0) + 1);
    starts.set(entry.sessionId, ofSession);
  }
  const queue = [...told];
  const found: SessionHistory[] = [];
  const readOn = async (): Promise<void> => {
    for (let one; (one = queue.pop()) !== undefined;) {
      const [sessionId, results] = one;
      found.push({
        sessionId,
        ...(await logOf(bus, sessionId)),
        ...(await endOf(reader, sessionId)),
        expected: expectedResult(sessionId),
        told: results,
        starts: starts.get(sessionId) ?? new Map<string, number>(),
      });
    }
  };
  await Promise.all(Array.from({ length: READERS }, readOn));
  await reader.close();
  return found;
}

async function logOf(bus: NatsBus, sessionId: string): Promise<Pick<SessionHistory, "commits" | "unreadable">> {
  const commits: Commit[] = [];
  try {
    for await (const commit of bus.sessions.read(sessionId)) commits.push(commit);
    return { commits };
  } catch (error) {
    return { commits, unreadable: (error as Error).message };
  }
}

async function endOf(reader: OrchestraInstance, sessionId: string): Promise<Pick<SessionHistory, "status" | "result">> {
  if ((await reader.getSession(sessionId)) === null) return { status: undefined, result: undefined };
  const result = await reader.getResult(sessionId);
  return { status: result.status, result: result.success ? result.finalResponse : result.error?.message };
}

function refusalsIn(diaries: readonly Entry[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const entry of diaries) if (entry.type === "refused") counts[entry.code] = (counts[entry.code] ?? 0) + 1;
  return counts;
}
