// Hosts as processes of their own on a real NATS, killed, stopped and drained.

import type { ChildProcess } from "node:child_process";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { OrchestraInstance, type RunEvent } from "../../src/index.ts";
import { natsBus, type NatsBus } from "../../src/nats/index.ts";
import { startNats, until, type NatsServer } from "../support/nats.ts";
import { freshTenant } from "./bus-world.ts";
import { expectWhole, HostProcesses, LEASE_MS, LINE, logged, STEPS } from "./host-processes.ts";

const TIMING = { connectTimeoutMs: 60_000, renewMs: 400, ackWaitMs: 1_500, maxDelivery: 3 };

let nats: NatsServer;
let tenant: string;
let bus: NatsBus;
let hosts: HostProcesses;

beforeAll(async () => {
  nats = await startNats();
});
afterAll(() => nats.stop());
beforeEach(async () => {
  tenant = freshTenant();
  hosts = new HostProcesses();
  bus = natsBus({ servers: nats.url, tenant, init: { leaseMs: LEASE_MS }, ...TIMING });
  await bus.open();
});
afterEach(async () => {
  await hosts.kill();
  await bus.close();
});

function start(name: string, more: object = {}): ChildProcess {
  return hosts.start({ servers: nats.url, tenant, name, workMs: 400, ...TIMING, ...more });
}

describe("a session on NATS", () => {
  it("goes on elsewhere when its host is killed in the middle of a step", async () => {
    const first = start("first");
    await hosts.ready("first");
    await using client = new OrchestraInstance({ bus, topology: LINE });
    const run = client.execute({ task: "", sessionId: "s" });
    await until("B runs", () => hosts.ran("first", "B"));
    first.kill("SIGKILL");
    start("second");
    expect((await run).finalResponse).toBe("abcd");
    expect(hosts.ran("second", "D")).toBe(true);
    await expectWhole(client, "s");
  });

  it("has one owner when its host was stopped for longer than its lease, and goes on", async () => {
    const names = ["first", "second"];
    const processes = new Map(names.map((name) => [name, start(name, { workMs: 1_200 })]));
    await hosts.ready(...names);
    await using client = new OrchestraInstance({ bus, topology: LINE });
    const run = client.execute({ task: "", sessionId: "s" });
    await until("A runs", () => hosts.said.some(({ ran: step }) => step === "A"));
    const owner = hosts.said.find(({ ran: step }) => step === "A")?.name ?? "";
    const other = names.find((name) => name !== owner) ?? "";
    processes.get(owner)?.kill("SIGSTOP");
    await until("the other goes on with it", () => hosts.ran(other, "B"));
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
    await hosts.ready("worker");
    await using owner = new OrchestraInstance({
      bus,
      topology: LINE,
      agents: { A: () => "a", C: (x: string) => `${x}c`, D: (x: string) => `${x}d` },
    });
    const run = owner.execute({ task: "", sessionId: "s" });
    await until("B runs", () => hosts.ran("worker", "B"));
    start("next", { agents: ["B"], adopt: false });
    await hosts.ready("next");
    worker.kill("SIGKILL");
    expect((await run).finalResponse).toBe("abcd");
    expect(hosts.ran("next", "B")).toBe(true);
    await expectWhole(owner, "s");
  });

  it("is told of without a gap while one host after the other drains", async () => {
    // Nobody is to take over but from who drains: a busy machine must not make a host late.
    const calm = { tenant: freshTenant(), renewMs: 4_000, ackWaitMs: 30_000, connectTimeoutMs: 60_000 };
    const bus = natsBus({ servers: nats.url, init: { leaseMs: 30_000 }, ...calm });
    onTestFinished(() => bus.close());
    await bus.open();
    let host = start("host0", { workMs: 700, ...calm });
    await hosts.ready("host0");
    await using client = new OrchestraInstance({ bus, topology: LINE });
    const stream = client.stream({ task: "", sessionId: "s" });
    const seen: RunEvent[] = [];
    const watching = (async () => {
      for await (const event of stream) seen.push(event);
    })();
    for (let i = 1; i <= 2; i++) {
      const before = host;
      host = start(`host${i}`, { workMs: 700, ...calm });
      await hosts.ready(`host${i}`);
      before.kill("SIGTERM");
      await until(`host${i - 1} has drained`, () =>
        hosts.said.some(({ name, drained }) => name === `host${i - 1}` && drained),
      );
    }
    expect((await stream.result).finalResponse).toBe("abcd");
    await watching;
    expect(seen.map(({ seq, type }) => [seq, type])).toEqual(
      (await logged(client, "s")).map(({ seq, type }) => [seq, type]),
    );
    // None was done twice: each host finished what it had begun.
    expect(hosts.said.flatMap(({ ran: step }) => step ?? [])).toEqual(STEPS);
  });

  it("goes by its error policy when a step ends every host that takes it", async () => {
    const deadly = { agents: ["P"], deadly: ["P"], adopt: false };
    const names = Array.from({ length: TIMING.maxDelivery + 1 }, (_, i) => `host${i}`);
    for (const name of names) start(name, deadly);
    await hosts.ready(...names);
    await using owner = new OrchestraInstance({
      bus,
      topology: { nodes: ["A", "P", "H"], edges: ["A -> P", { from: "P", to: "H", on: "error" }] },
      agents: { A: () => "a", H: (_input, ctx) => ctx.error?.code },
    });
    expect((await owner.execute({ task: "", sessionId: "s" })).finalResponse).toBe("ORCH_STEP_POISON");
    expect(await bus.deadLetters.list()).toMatchObject([{ agent: "P", sessionId: "s" }]);
    expect(hosts.said.filter(({ ran: step }) => step === "P").length).toBe(TIMING.maxDelivery);
  });
});
