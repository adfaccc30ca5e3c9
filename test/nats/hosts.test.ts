// Hosts as processes of their own on a real NATS, killed, stopped and drained.

import { spawn, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { OrchestraHost, OrchestraInstance, type RunEvent } from "../../src/index.ts";
import { natsBus, type NatsBus } from "../../src/nats/index.ts";
import { startNats, until, type NatsServer } from "../support/nats.ts";
import { freshTenant } from "./bus-world.ts";

const CHILD = fileURLToPath(new URL("host-child.ts", import.meta.url));
const STEPS = ["A", "B", "C", "D"];
const LINE = { nodes: STEPS, edges: ["A -> B", "B -> C", "C -> D"] };
const LEASE_MS = 2_000;
const TIMING = { renewMs: 400, ackWaitMs: 1_500, maxDelivery: 3 };

interface Line {
  readonly name: string;
  readonly ready?: true;
  readonly drained?: true;
  readonly ran?: string;
  readonly sessionId?: string;
  readonly result?: unknown;
}

let nats: NatsServer;
let tenant: string;
let bus: NatsBus;
let children: ChildProcess[];
/** What all of them have said, in order of arrival. */
let said: Line[];

beforeAll(async () => {
  nats = await startNats();
});
afterAll(() => nats.stop());
beforeEach(async () => {
  tenant = freshTenant();
  children = [];
  said = [];
  bus = natsBus({ servers: nats.url, tenant, init: { leaseMs: LEASE_MS }, ...TIMING });
  await bus.open();
});
afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  await bus.close();
});

function start(name: string, more: object = {}): ChildProcess {
  const options = { servers: nats.url, tenant, name, workMs: 400, agents: STEPS, ...TIMING, ...more };
  const child = spawn(process.execPath, ["--import", "jiti/register", CHILD, JSON.stringify(options)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  let rest = "";
  child.stdout?.on("data", (bytes: Buffer) => {
    const lines = `${rest}${bytes.toString("utf8")}`.split("\n");
    rest = lines.pop() ?? "";
    said.push(...lines.map((line) => JSON.parse(line) as Line));
  });
  return child;
}

const ready = (...names: readonly string[]): Promise<void> =>
  until(`${names.join(" and ")} serve`, () =>
    names.every((name) => said.some((line) => line.name === name && line.ready)),
  );
const ran = (name: string, step: string): boolean => said.some((line) => line.name === name && line.ran === step);

async function logged(client: OrchestraInstance, sessionId: string): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for await (const event of client.events(sessionId, { untilNow: true })) events.push(event);
  return events;
}

/** Each step entered the run once, in order, whatever ran twice. */
async function expectWhole(client: OrchestraInstance, sessionId: string): Promise<void> {
  const succeeded = (await logged(client, sessionId)).filter(({ type }) => type === "step.succeeded");
  expect(succeeded.map((event) => "node" in event && event.node)).toEqual(STEPS);
}

describe("a session on NATS", () => {
  it("goes on elsewhere when its host is killed in the middle of a step", async () => {
    const first = start("first");
    await ready("first");
    await using client = new OrchestraInstance({ bus, topology: LINE });
    const run = client.execute({ task: "", sessionId: "s" });
    await until("B runs", () => ran("first", "B"));
    first.kill("SIGKILL");
    start("second");
    expect((await run).finalResponse).toBe("abcd");
    expect(ran("second", "D")).toBe(true);
    await expectWhole(client, "s");
  });

  it("has one owner when its host was stopped for longer than its lease, and goes on", async () => {
    const names = ["first", "second"];
    const processes = new Map(names.map((name) => [name, start(name, { workMs: 1_200 })]));
    await ready(...names);
    await using client = new OrchestraInstance({ bus, topology: LINE });
    const run = client.execute({ task: "", sessionId: "s" });
    await until("A runs", () => said.some(({ ran: step }) => step === "A"));
    const owner = said.find(({ ran: step }) => step === "A")?.name ?? "";
    const other = names.find((name) => name !== owner) ?? "";
    processes.get(owner)?.kill("SIGSTOP");
    await until("the other goes on with it", () => ran(other, "B"));
    processes.get(owner)?.kill("SIGCONT");
    expect((await run).finalResponse).toBe("abcd");
    await expectWhole(client, "s");
    let epoch = 0;
    let n = 0;
    for await (const commit of bus.sessions.read("s")) {
      expect(commit.n).toBe(++n);
      expect(commit.epoch).toBeGreaterThanOrEqual(epoch);
      epoch = commit.epoch;
    }
  });

  it("has a step done again where its worker is killed", async () => {
    const worker = start("worker", { agents: ["B"], workMs: 5_000, adopt: false });
    await ready("worker");
    await using owner = new OrchestraInstance({
      bus,
      topology: LINE,
      agents: { A: () => "a", C: (x: string) => `${x}c`, D: (x: string) => `${x}d` },
    });
    const run = owner.execute({ task: "", sessionId: "s" });
    await until("B runs", () => ran("worker", "B"));
    start("next", { agents: ["B"], adopt: false });
    await ready("next");
    worker.kill("SIGKILL");
    expect((await run).finalResponse).toBe("abcd");
    expect(ran("next", "B")).toBe(true);
    await expectWhole(owner, "s");
  });

  it("is told of without a gap while one host after the other drains", async () => {
    let host = start("host0", { workMs: 700 });
    await ready("host0");
    await using client = new OrchestraInstance({ bus, topology: LINE });
    const stream = client.stream({ task: "", sessionId: "s" });
    const seen: RunEvent[] = [];
    const watching = (async () => {
      for await (const event of stream) seen.push(event);
    })();
    for (let i = 1; i <= 2; i++) {
      const before = host;
      host = start(`host${i}`, { workMs: 700 });
      await ready(`host${i}`);
      before.kill("SIGTERM");
      await until(`host${i - 1} has drained`, () =>
        said.some(({ name, drained }) => name === `host${i - 1}` && drained),
      );
    }
    expect((await stream.result).finalResponse).toBe("abcd");
    await watching;
    expect(seen.map(({ seq, type }) => [seq, type])).toEqual(
      (await logged(client, "s")).map(({ seq, type }) => [seq, type]),
    );
    // None was done twice: each host finished what it had begun.
    expect(said.flatMap(({ ran: step }) => step ?? [])).toEqual(STEPS);
  });

  it("goes by its error policy when a step ends every host that takes it", async () => {
    const deadly = { agents: ["P"], deadly: ["P"], adopt: false };
    const names = Array.from({ length: TIMING.maxDelivery + 1 }, (_, i) => `host${i}`);
    for (const name of names) start(name, deadly);
    await ready(...names);
    await using owner = new OrchestraInstance({
      bus,
      topology: { nodes: ["A", "P", "H"], edges: ["A -> P", { from: "P", to: "H", on: "error" }] },
      agents: { A: () => "a", H: (_input, ctx) => ctx.error?.code },
    });
    expect((await owner.execute({ task: "", sessionId: "s" })).finalResponse).toBe("ORCH_STEP_POISON");
    expect(await bus.deadLetters.list()).toMatchObject([{ agent: "P", sessionId: "s" }]);
    expect(said.filter(({ ran: step }) => step === "P").length).toBe(TIMING.maxDelivery);
  });

  it("that a newer version has written to is left alone by a host, which says why and still works steps", async () => {
    await using host = new OrchestraHost({ bus, agents: { A: (x: string) => `${x}a` } });
    await host.start();
    const topology = { nodes: ["A"], edges: [] };
    const commit = {
      v: 1,
      n: 1,
      epoch: 1,
      id: "newer.1",
      host: "host_newer",
      atMs: Date.now(),
      facts: [{ type: "of.a.later.version" }],
    } as const;
    const entry = {
      sessionId: "newer",
      status: "running",
      runId: "r",
      topologyHash: "h",
      createdAtMs: 1,
      updatedAtMs: 1,
      host: "",
      n: 1,
    } as const;
    // As a later version writes it: this one does not know the fact.
    await bus.sessions.append({ sessionId: "newer", expected: 0, commit: commit as never, entry });
    bus.live.publish({ sessionId: "orchestra:abandoned", event: { type: "abandoned", sessionId: "newer" } });
    await using client = new OrchestraInstance({ bus, topology });
    expect((await client.execute({ task: "t", sessionId: "s" })).finalResponse).toBe("ta");
    await expect(client.why("newer")).rejects.toMatchObject({ code: "ORCH_STORE_VERSION" });
    // What stands last is still what the newer version wrote.
    await expect(bus.sessions.last("newer")).rejects.toMatchObject({
      message: expect.stringContaining("000000000001"),
    });
  });
});
