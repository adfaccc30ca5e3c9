// Hosts as processes of their own whose way to the bus is cut, and whose servers are all started anew.

import { describe, expect, it } from "vitest";
import { OrchestraInstance } from "../../src/index.ts";
import { natsBus, type NatsBus } from "../../src/nats/index.ts";
import { inNamespaces } from "../support/namespaces.ts";
import { startCluster } from "../support/nats-cluster.ts";
import { startNats, until } from "../support/nats.ts";
import { freshTenant } from "./bus-world.ts";
import { expectWhole, HostProcesses, LEASE_MS, LINE, type Spawn } from "./host-processes.ts";

const TIMING = { connectTimeoutMs: 60_000, renewMs: 400, ackWaitMs: 1_500, maxDelivery: 10 };

/** The hosts end with it: their servers and namespaces are still there then. */
async function openBus(options: {
  servers: string | string[];
  tenant: string;
}): Promise<{ bus: NatsBus; hosts: HostProcesses } & AsyncDisposable> {
  const bus = natsBus({ ...options, init: { leaseMs: LEASE_MS }, ...TIMING });
  const hosts = new HostProcesses();
  await bus.open();
  return {
    bus,
    hosts,
    async [Symbol.asyncDispose]() {
      await hosts.kill();
      await bus.close();
    },
  };
}

/** Commits follow one another; each epoch has one owner, which is returned. */
async function ownersOf(bus: NatsBus, sessionId: string): Promise<ReadonlyMap<number, string>> {
  const owners = new Map<number, string>();
  let [n, epoch] = [0, 0];
  for await (const commit of bus.sessions.read(sessionId)) {
    expect(commit.n).toBe(++n);
    expect(commit.epoch).toBeGreaterThanOrEqual(epoch);
    ({ epoch } = commit);
    if (commit.facts.some(({ type }) => type === "owned")) owners.set(epoch, commit.host);
    else if (owners.has(epoch)) expect(commit.host).toBe(owners.get(epoch));
  }
  return owners;
}

describe("a session on NATS", () => {
  it("goes on elsewhere when its owner is cut off, which is fenced when it is back", async () => {
    await using network = await inNamespaces({ hosts: ["bus", "first", "second"] });
    await using server = await startNats({ ...network.hosts.bus.place });
    const options = { servers: server.url, tenant: freshTenant() };
    await using opened = await openBus(options);
    const { bus, hosts } = opened;
    const serve = async (name: "first" | "second"): Promise<void> => {
      hosts.start({ name, ...options, ...TIMING, workMs: 1_200 }, network.hosts[name].spawn as Spawn);
      await hosts.ready(name);
    };
    await serve("first");
    const first = (await bus.liveness.alive()).map(({ host }) => host);
    expect(first.length).toBe(1);
    await serve("second");
    await using client = new OrchestraInstance({ bus, topology: LINE });
    const run = client.execute({ task: "", sessionId: "s" });
    await until("A runs", () => hosts.said.some(({ ran: step }) => step === "A"));
    const cutOff = (await bus.sessions.getSession("s"))?.host ?? "";
    const [owner, other] = first.includes(cutOff) ? (["first", "second"] as const) : (["second", "first"] as const);
    await network.cut("bus", owner);
    await until("the other goes on with it", () => hosts.ran(other, "B"));
    await network.heal("bus", owner);
    expect((await run).finalResponse).toBe("abcd");
    await expectWhole(client, "s");
    const owners = [...(await ownersOf(bus, "s")).values()];
    expect(owners[0]).toBe(cutOff);
    expect(new Set(owners).size).toBe(2);
    // The one that was cut off still takes work.
    await using later = new OrchestraInstance({ bus, topology: { nodes: ["A"], edges: [] } });
    const isBack = () => hosts.said.some(({ name, sessionId }) => name === owner && sessionId?.startsWith("later"));
    for (let i = 0; !isBack(); i++) {
      expect((await later.execute({ task: "", sessionId: `later${i}` })).finalResponse).toBe("a");
    }
  });

  it("goes on when all three servers are killed and started anew", async () => {
    await using cluster = await startCluster();
    const options = { servers: [...cluster.urls], tenant: freshTenant() };
    await using opened = await openBus(options);
    const { bus, hosts } = opened;
    for (const name of ["first", "second"]) hosts.start({ name, ...options, ...TIMING, workMs: 1_500 });
    await hosts.ready("first", "second");
    await using client = new OrchestraInstance({ bus, topology: LINE });
    const sessions = Array.from({ length: 4 }, (_, i) => `s${i}`);
    const runs = sessions.map((sessionId) => client.execute({ task: "", sessionId }));
    await until("B runs", () => hosts.said.some(({ ran: step }) => step === "B"));
    expect(hosts.said.some(({ ran: step }) => step === "D")).toBe(false);
    await Promise.all(cluster.servers.map((server) => server.kill()));
    await Promise.all(cluster.servers.map((server) => server.start()));
    await cluster.ready();
    expect((await Promise.all(runs)).map(({ finalResponse }) => finalResponse)).toEqual(sessions.map(() => "abcd"));
    for (const sessionId of sessions) {
      await expectWhole(client, sessionId);
      await ownersOf(bus, sessionId);
    }
    expect((await bus.sessions.verify()).problems).toEqual([]);
  });
});
