// Runs on several hosts: orchestrators as processes of their own on a real NATS, one of them killed in mid-iteration.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { createInterface } from "node:readline";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { natsBus, type NatsBus } from "orchestra/nats";
import { createOrchestrator, type Orchestrator, type OrchestratorEvent } from "orchestra/orchestrator";
import { freshTenant } from "../nats/bus-world.ts";
import { childProgram } from "../support/child-program.ts";
import { startNats, until, type NatsServer } from "../support/nats.ts";

const CHILD = await childProgram(new URL("./host-child.ts", import.meta.url));
const TIMING = { connectTimeoutMs: 60_000, renewMs: 400, ackWaitMs: 1_500 };
const LEASE_MS = 2_000;

interface Line {
  readonly name: string;
  readonly ready?: true;
  readonly ran?: string;
  readonly feedback?: readonly string[];
}

let nats: NatsServer;
let tenant: string;
let bus: NatsBus;
/** Has no part in any run: it looks on, and asks. */
let onlooker: Orchestrator;
let said: Line[];
let children: ChildProcess[];

beforeAll(async () => {
  nats = await startNats();
});
afterAll(() => nats.stop());
beforeEach(async () => {
  [said, children] = [[], []];
  tenant = freshTenant();
  bus = natsBus({ servers: nats.url, tenant, init: { leaseMs: LEASE_MS }, ...TIMING });
  await bus.open();
  onlooker = createOrchestrator({ bus, agents: { Onlooker: () => "nothing" } });
});
afterEach(async () => {
  const ended = children.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
  for (const child of ended) child.kill("SIGKILL");
  await Promise.all(ended.map((child) => once(child, "exit")));
  await onlooker.close();
  await bus.close();
});

async function host(
  name: string,
  more: { readonly hangsIn?: number; readonly starts?: string } = {},
): Promise<ChildProcess> {
  const options = { name, cwd: tmpdir(), bus: { servers: nats.url, tenant, ...TIMING }, ...more };
  const child = spawn(process.execPath, [CHILD, JSON.stringify(options)], { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  createInterface({ input: child.stdout }).on("line", (line) => said.push(JSON.parse(line) as Line));
  await until(`${name} serves`, () => said.some((line) => line.name === name && line.ready === true));
  return child;
}

function ran(name: string, iteration: string): Promise<void> {
  return until(`${name} is in iteration ${iteration}`, () =>
    said.some((line) => line.name === name && line.ran === iteration),
  );
}

it("go on elsewhere when their host is killed in mid-iteration, with their count and what is left of their budget", async () => {
  const first = await host("first", { hangsIn: 2, starts: "built" });
  await ran("first", "2");
  const events: OrchestratorEvent[] = [];
  const watching = (async () => {
    for await (const event of onlooker.subscribeRunEvents("built")) events.push(event);
  })();
  const second = await host("second");
  first.kill("SIGKILL");
  const result = await onlooker.getRunResult("built");
  await watching;

  // Of 1,000 tokens 300 were used before the kill; what the iteration that it interrupted had used nobody knows.
  expect(result).toMatchObject({ reason: "budget_exhausted", budget: "tokens" });
  expect(said.filter(({ name, ran }) => name === "second" && ran !== undefined)).toMatchObject([
    { ran: "2", feedback: [`red by ${first.pid}`] },
    { ran: "3", feedback: [`red by ${second.pid}`] },
    { ran: "4", feedback: [`red by ${second.pid}`] },
  ]);
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1));
  expect(events.filter(({ type }) => type === "iteration.started")).toHaveLength(4);
  expect(events).toEqual(await onlooker.getRunEvents("built"));
});

it("are told of and cancelled from any host", async () => {
  await host("first", { hangsIn: 1, starts: "waits" });
  await ran("first", "1");
  expect(await onlooker.getRunStatus("waits")).toMatchObject({ phase: "running", iteration: 1 });
  expect(await onlooker.listRuns()).toEqual(["waits"]);
  await expect(onlooker.startRun({ description: "another", runId: "waits" }).result).rejects.toMatchObject({
    code: "ORCH_SESSION_BUSY",
  });
  expect(await onlooker.cancelRun("waits")).toEqual({ success: true });
  expect(await onlooker.getRunResult("waits")).toMatchObject({ reason: "cancelled", iterations: 0 });
  expect((await onlooker.getRunEvents("waits")).at(-1)?.type).toBe("run.terminal");
});

it("are left to orchestrators that have their agents, and are refused by others, who say which are missing", async () => {
  const adopting = createOrchestrator({ bus, adopt: true, agents: { Onlooker: () => "nothing" } });
  try {
    await adopting.open();
    const first = await host("first", { hangsIn: 1, starts: "left" });
    await ran("first", "1");
    first.kill("SIGKILL");
    await until("nobody has it", async () => !(await onlooker.instance.isLive("left")));
    const resumed = await adopting.resumeRun("left");
    await expect(resumed.result).rejects.toMatchObject({
      code: "ORCH_AGENT_UNKNOWN",
      message: expect.stringMatching(/"left" is of another team: no agent named "Builder"/),
    });
    expect(await onlooker.getRunStatus("left")).toMatchObject({ phase: "running" });
    await host("second");
    expect(await onlooker.getRunResult("left")).toMatchObject({ reason: "budget_exhausted" });
    expect(said.some(({ name, ran }) => name === "second" && ran === "1")).toBe(true);
  } finally {
    await adopting.close();
  }
});
