// Hosts as processes of their own whose way to the bus is cut, and whose servers are all started anew.

import { spawn, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { OrchestraInstance, type RunEvent } from "../../src/index.ts";
import { natsBus, type NatsBus } from "../../src/nats/index.ts";
import { inNamespaces } from "../support/namespaces.ts";
import { startCluster } from "../support/nats-cluster.ts";
import { startNats, until } from "../support/nats.ts";
import { freshTenant } from "./bus-world.ts";

const CHILD = fileURLToPath(new URL("host-child.ts", import.meta.url));
const STEPS = ["A", "B", "C", "D"];
const LINE = { nodes: STEPS, edges: ["A -> B", "B -> C", "C -> D"] };
const LEASE_MS = 2_000;
const TIMING = { renewMs: 400, ackWaitMs: 1_500, maxDelivery: 10 };

interface Line {
  readonly name: string;
  readonly ready?: true;
  readonly ran?: string;
  readonly sessionId?: string;
}

let ended: Promise<unknown>[] = [];
let children: ChildProcess[] = [];
/** What all of them have said, in order of arrival. */
let said: Line[] = [];

/** The hosts end with it: their servers and namespaces are still there then. */
async function openBus(options: {
  servers: string | string[];
  tenant: string;
}): Promise<{ bus: NatsBus } & AsyncDisposable> {
  const bus = natsBus({ ...options, init: { leaseMs: LEASE_MS }, ...TIMING });
  await bus.open();
  return {
    bus,
    async [Symbol.asyncDispose]() {
      for (const child of children) child.kill("SIGKILL");
      await Promise.all(ended);
      [children, ended, said] = [[], [], []];
      await bus.close();
    },
  };
}

function start(name: string, options: object, spawnAt: typeof spawn | Spawn = spawn): ChildProcess {
  const settings = JSON.stringify({ name, agents: STEPS, ...TIMING, ...options });
  const child = (spawnAt as Spawn)(process.execPath, ["--import", "jiti/register", CHILD, settings], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  ended.push(new Promise((resolve) => child.once("exit", resolve)));
  let rest = "";
  child.stdout?.on("data", (bytes: Buffer) => {
    const lines = `${rest}${bytes.toString("utf8")}`.split("\n");
    rest = lines.pop() ?? "";
    said.push(...lines.map((line) => JSON.parse(line) as Line));
  });
  return child;
}
type Spawn = (
  command: string,
  args: readonly string[],
  options: { stdio: ["ignore", "pipe", "inherit"] },
) => ChildProcess;

const ready = (...names: readonly string[]): Promise<void> =>
  until(`${names.join(" and ")} serve`, () =>
    names.every((name) => said.some((line) => line.name === name && line.ready)),
  );
const ran = (name: string, step: string): boolean => said.some((line) => line.name === name && line.ran === step);

/** Each step entered the run once, in order, whatever ran twice; each epoch has one owner, which is returned. */
async function expectWhole(client: OrchestraInstance, bus: NatsBus, sessionId: string): Promise<Map<number, string>> {
  const events: RunEvent[] = [];
  for await (const event of client.events(sessionId, { untilNow: true })) events.push(event);
  const succeeded = events.filter(({ type }) => type === "step.succeeded");
  expect(succeeded.map((event) => "node" in event && event.node)).toEqual(STEPS);
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
    const { bus } = opened;
    const serve = async (name: "first" | "second"): Promise<void> => {
      start(name, { ...options, workMs: 1_200 }, network.hosts[name].spawn as Spawn);
      await ready(name);
    };
    await serve("first");
    const first = (await bus.liveness.alive()).map(({ host }) => host);
    expect(first.length).toBe(1);
    await serve("second");
    await using client = new OrchestraInstance({ bus, topology: LINE });
    const run = client.execute({ task: "", sessionId: "s" });
    await until("A runs", () => said.some(({ ran: step }) => step === "A"));
    const cutOff = (await bus.sessions.getSession("s"))?.host ?? "";
    const [owner, other] = first.includes(cutOff) ? (["first", "second"] as const) : (["second", "first"] as const);
    await network.cut("bus", owner);
    await until("the other goes on with it", () => ran(other, "B"));
    await network.heal("bus", owner);
    expect((await run).finalResponse).toBe("abcd");
    const owners = [...(await expectWhole(client, bus, "s")).values()];
    expect(owners[0]).toBe(cutOff);
    expect(new Set(owners).size).toBe(2);
    // The one that was cut off still takes sessions.
    await using later = new OrchestraInstance({ bus, topology: { nodes: ["A"], edges: [] } });
    const isBack = () => said.some(({ name, sessionId }) => name === owner && sessionId?.startsWith("later"));
    for (let i = 0; !isBack(); i++) {
      expect((await later.execute({ task: "", sessionId: `later${i}` })).finalResponse).toBe("a");
    }
  }, 60_000);

  it("goes on when all three servers are killed and started anew", async () => {
    await using cluster = await startCluster();
    const options = { servers: [...cluster.urls], tenant: freshTenant() };
    await using opened = await openBus(options);
    const { bus } = opened;
    for (const name of ["first", "second"]) start(name, { ...options, workMs: 500 });
    await ready("first", "second");
    await using client = new OrchestraInstance({ bus, topology: LINE });
    const sessions = Array.from({ length: 4 }, (_, i) => `s${i}`);
    const runs = sessions.map((sessionId) => client.execute({ task: "", sessionId }));
    await until("B runs", () => said.some(({ ran: step }) => step === "B"));
    await Promise.all(cluster.servers.map((server) => server.kill()));
    expect(said.some(({ ran: step }) => step === "D")).toBe(false);
    await Promise.all(cluster.servers.map((server) => server.start()));
    await cluster.ready();
    expect((await Promise.all(runs)).map(({ finalResponse }) => finalResponse)).toEqual(sessions.map(() => "abcd"));
    for (const sessionId of sessions) await expectWhole(client, bus, sessionId);
    expect((await bus.sessions.verify()).problems).toEqual([]);
  }, 90_000);
});
