// npm run demo:cluster: the research desk on three hosts, one of which is killed in mid-run.

import { once } from "node:events";
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { OrchestraInstance, type RunEvent } from "orchestra";
import { natsBus } from "orchestra/nats";

import { startNats } from "../../test/support/nats.ts";
import type { DeskTask, Report } from "../research-desk/desk.ts";
import { progressLine } from "../research-desk/progress.ts";
import { researchDesk } from "../research-desk/topology.ts";
import { LEASE_MS, RENEW_MS } from "./lease.ts";
import { judge, verdictText, type Start } from "./verdict.ts";

const HOSTS = ["north", "east", "west"] as const;
const PACE_MS = 300;
/** In the midst of the analysts, with some done and some not. */
const KILL_AFTER_STEPS = 6;
const QUESTION = "Which of these packages check or parse what comes from outside?";

await using server = await startNats();
const scratch = await mkdtemp(join(tmpdir(), "orchestra-cluster-"));
const witness = join(scratch, "starts.jsonl");
const hosts = new Map<string, ChildProcess>();
const bus = natsBus({ servers: server.url, init: { leaseMs: LEASE_MS }, renewMs: RENEW_MS });
await bus.open();
console.error(`nats-server ${server.program.version} at ${server.url}`);
// A client: it has no agents, so it owns nothing and runs nothing.
const desk = new OrchestraInstance({ bus, topology: researchDesk, maxSteps: 60 });
try {
  await Promise.all(HOSTS.map(startHost));
  process.exitCode = await demonstrate();
} finally {
  for (const child of hosts.values()) child.kill("SIGTERM");
  await Promise.all([...hosts.values()].map(ended));
  await desk.close();
  await bus.close();
  await rm(scratch, { recursive: true, force: true });
}

async function demonstrate(): Promise<number> {
  const task: DeskTask = { docs: resolve("node_modules"), label: "node_modules", question: QUESTION };
  const sessionId = `desk-${process.pid}`;
  const run = desk.stream({ task, sessionId });
  const events: RunEvent[] = [];
  const finished: string[] = [];
  let killed: string | undefined;
  let shown: readonly string[] = [];
  for await (const event of run) {
    events.push(event);
    const line = progressLine(event);
    if (line !== undefined) console.error(line);
    if (event.type !== "step.succeeded" || finished.push(event.stepId) !== KILL_AFTER_STEPS) continue;
    killed = await killOwner(sessionId);
    shown = [...finished];
  }
  const result = await run.result;
  console.log(`\n${(result.orThrow().finalResponse as Report).markdown}`);
  if (killed === undefined) throw new Error("the run ended before its host could be killed");
  const verdict = judge(events, await starts(), { killed, shown });
  console.log(`Evidence from the log of session ${sessionId}, durability ${result.metadata.durability}\n`);
  console.log(verdictText(verdict, shown.length));
  return verdict.violations.length === 0 ? 0 : 1;
}

/** Kills the host that owns the session with SIGKILL. Returns its name. */
async function killOwner(sessionId: string): Promise<string> {
  const entry = await desk.getSession(sessionId);
  const owner = (await bus.liveness.alive()).find(({ host }) => host === entry?.host);
  const name = owner?.labels?.["name"] ?? "";
  const child = hosts.get(name);
  if (child === undefined) throw new Error(`session ${sessionId} is owned by no host of ours`);
  child.kill("SIGKILL");
  console.error(`\n— host "${name}", the owner of the session, killed with SIGKILL; another takes over —\n`);
  return name;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}

async function startHost(name: string): Promise<void> {
  const program = fileURLToPath(new URL("host.ts", import.meta.url));
  const child = spawn(process.execPath, [...process.execArgv, program, name, server.url, String(PACE_MS), witness], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  hosts.set(name, child);
  for await (const line of createInterface({ input: child.stdout })) {
    console.error(line);
    return;
  }
  throw new Error(`host "${name}" did not start`);
}

async function starts(): Promise<Start[]> {
  const lines = (await readFile(witness, "utf8")).split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line) as Start);
}
