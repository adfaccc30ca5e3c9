// A host goes: by draining, by dying, by standing still. Its sessions go on elsewhere, once, without a gap.

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { OrchestraError } from "../../src/base/errors.ts";
import type { RunEvent } from "../../src/runtime/engine-api.ts";
import type { HostOptions, OrchestraHost } from "../../src/runtime/orchestra-host.ts";
import type { OrchestraInstance } from "../../src/runtime/orchestra-instance.ts";
import { ClusterWorld, own, StoppableProcess } from "./cluster-world.ts";
import { next } from "../../src/runtime/agent.ts";
import { deferred } from "./world.ts";

const STEPS = ["A", "B", "C", "D"];
const LINE = { nodes: STEPS, edges: ["A -> B -> C -> D"] };

let cluster: ClusterWorld;
/** Which agents ran, and where. */
let ran: { readonly host: string; readonly name: string; readonly sessionId: string }[];

beforeEach(() => {
  cluster = new ClusterWorld();
  ran = [];
});
afterEach(() => cluster.close());

function host(name: string, more: Partial<HostOptions> = {}): Promise<OrchestraHost> {
  const agent = (step: string) => async (input: string, ctx: { sessionId: string }) => {
    ran.push({ host: name, name: step, sessionId: ctx.sessionId });
    await new Promise<void>((resolve) => cluster.clock.setTimer(1_000, () => resolve()));
    return `${input}${step.toLowerCase()}`;
  };
  return cluster.host({ agents: Object.fromEntries(STEPS.map((step) => [step, agent(step)])), ...more });
}

const owners = async (client: OrchestraInstance, ids: readonly string[]): Promise<readonly string[]> =>
  Promise.all(ids.map(async (id) => (await client.getSession(id))?.host ?? ""));

async function logged(instance: OrchestraInstance, sessionId: string): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for await (const event of instance.events(sessionId, { untilNow: true })) events.push(event);
  return events;
}

describe("a process that lost a session because the store failed, and lives on", () => {
  it("leaves it to others, as soon as the store is back", async () => {
    const gate = deferred();
    let fails = true;
    const { store } = cluster;
    const sessions = own(store, (request) =>
      fails && request.sessionId === "s" && request.expected > 0
        ? Promise.reject(new OrchestraError("ORCH_STORE_FAILED", "no answer"))
        : store.append(request),
    );
    const agents = { A: () => "a", W: () => gate.promise };
    const owner = cluster.instance({ topology: { nodes: ["A", "W"], edges: ["A -> W"] }, agents, sessions });
    const other = owner.execute({ task: "", sessionId: "other" });
    const lost = owner.execute({ task: "", sessionId: "s" });
    await expect(cluster.until(lost)).rejects.toMatchObject({ code: "ORCH_STORE_FAILED" });
    await cluster.host({ agents: { A: () => "a", W: () => "w" } });
    const named = (await owner.getSession("s"))?.host;
    await cluster.clock.advance(20_000);
    expect(await owner.getSession("s")).toMatchObject({ status: "running", host: named });
    fails = false;
    await cluster.untilTrue("another has it", async () => !["", named].includes((await owner.getSession("s"))?.host));
    // The process itself is alive and well.
    expect(await owner.getSession("other")).toMatchObject({ status: "running", host: named });
    gate.resolve();
    await cluster.until(other);
    await cluster.untilTrue("it ended", async () => (await owner.getSession("s"))?.status === "completed");
  });
});

describe("a host that drains", () => {
  it("finishes its steps in flight and releases its sessions, which others go on with at once and without a gap", async () => {
    const first = await host("one");
    const client = cluster.instance({ topology: LINE });
    const stream = client.stream({ task: "", sessionId: "s" });
    const seen: RunEvent[] = [];
    const watching = (async () => {
      for await (const event of stream) seen.push(event);
    })();
    await cluster.untilTrue("B runs", () => ran.length === 2);
    await host("two");
    const fromMs = cluster.clock.nowMs();
    await cluster.until(first.drain());
    expect((await cluster.until(stream.result)).finalResponse).toBe("abcd");
    // Without waiting for the lease: three steps of a second each, and no more than two for all the rest.
    expect(cluster.clock.nowMs() - fromMs).toBeLessThan(5_000);
    await cluster.until(watching);
    expect(ran.map(({ host: on, name }) => `${on} ${name}`)).toEqual(["one A", "one B", "two C", "two D"]);
    expect(seen).toEqual(await logged(client, "s"));
    const steps = seen.filter(({ type }) => type === "step.succeeded");
    expect(steps.map((event) => "node" in event && event.node)).toEqual(STEPS);
  });

  it("hands back what is not done in time, to be done again elsewhere", async () => {
    const first = await host("one");
    const client = cluster.instance({ topology: LINE });
    const run = client.execute({ task: "", sessionId: "s" });
    await cluster.untilTrue("A runs", () => ran.length === 1);
    await host("two");
    await cluster.until(first.drain({ timeoutMs: 100 }));
    await cluster.until(first.close());
    expect((await cluster.until(run)).finalResponse).toBe("abcd");
    expect(ran.map(({ host: on, name }) => `${on} ${name}`)).toEqual(["one A", "two A", "two B", "two C", "two D"]);
  });

  it("takes no steps and no sessions any more", async () => {
    const first = await host("one");
    await cluster.until(first.drain());
    const client = cluster.instance({ topology: LINE, unserved: "wait" });
    const run = client.execute({ task: "", sessionId: "s" });
    await cluster.clock.advance(30_000);
    expect(ran).toEqual([]);
    await host("two");
    expect((await cluster.until(run)).finalResponse).toBe("abcd");
  });
});

describe("a host that is gone", () => {
  it("has its sessions taken over by one host each, spread over those that are left", async () => {
    const dying = await host("dying");
    const client = cluster.instance({ topology: LINE });
    const ids = Array.from({ length: 12 }, (_, i) => `s${i}`);
    const runs = ids.map((sessionId) => client.execute({ task: "", sessionId }));
    await cluster.untilTrue("all are owned", async () => (await owners(client, ids)).every((one) => one !== ""));
    const before = new Set(await owners(client, ids));
    expect(before.size).toBe(1);
    for (const name of ["x", "y", "z"]) await host(name);
    await cluster.until(dying.close());
    await cluster.untilTrue("all are taken over", async () =>
      (await owners(client, ids)).every((one) => !before.has(one)),
    );
    // By their names, which are made by chance: of three, one in forty times one gets nothing.
    expect(new Set(await owners(client, ids)).size).toBeGreaterThan(1);
    const results = await cluster.until(Promise.all(runs));
    expect(results.map(({ finalResponse }) => finalResponse)).toEqual(ids.map(() => "abcd"));
    for (const id of ids) {
      const takeovers: unknown[] = [];
      for await (const { facts } of cluster.store.read(id))
        takeovers.push(...facts.filter(({ type }) => type === "owned"));
      // By the first host, and by the next.
      expect(takeovers.length).toBe(2);
    }
  });

  it("leaves alone what no other has the conditions of, and says so", async () => {
    const topology = {
      nodes: ["A", "B"],
      edges: [{ from: "A", to: "B", metadata: { condition: "isGood" } }],
    };
    const isGood = (): boolean => true;
    const owner = cluster.instance({
      topology,
      agents: { A: () => new Promise(() => undefined) },
      conditions: { isGood },
      unserved: "wait",
    });
    void owner.execute({ task: "", sessionId: "s" }).catch(() => undefined);
    await cluster.untilTrue("it is begun", async () => (await owner.getSession("s")) !== null);
    const other = await host("other");
    const client = cluster.instance({ topology: LINE });
    await cluster.until(owner.close());
    await cluster.clock.advance(20_000);
    expect((await client.getSession("s"))?.status).toBe("running");
    expect((await client.why("s")).cluster).toMatchObject({ host: null });
    await host("whole", { conditions: { isGood } });
    await cluster.until(other.close());
    await cluster.untilTrue("it ends", async () => (await client.getSession("s"))?.status === "completed");
  });
});

describe("a host that stands still", () => {
  it("is fenced when it goes on: its sessions went on elsewhere, and its callers get what became of them", async () => {
    const process = new StoppableProcess(cluster);
    const { clock, liveness } = process;
    const frozen = cluster.instance({
      topology: LINE,
      clock,
      liveness,
      agents: {
        A: () => "a",
        B: async (input: string) => {
          ran.push({ host: "frozen", name: "B", sessionId: "s" });
          await new Promise<void>((resolve) => clock.setTimer(1_000, resolve));
          return `${input}?`;
        },
        C: (input: string) => `${input}c`,
        D: (input: string) => `${input}d`,
      },
    });
    const run = frozen.execute({ task: "", sessionId: "s" });
    await cluster.untilTrue("B runs", () => ran.length === 1);
    await process.stop();
    await host("other");
    const client = cluster.instance({ topology: LINE });
    const [owner] = await owners(client, ["s"]);
    await cluster.untilTrue("it is taken over", async () => (await owners(client, ["s"]))[0] !== owner);
    await process.goOn();
    const result = await cluster.until(run);
    expect(result.finalResponse).toBe((await client.getResult("s")).finalResponse);
    expect(result.success).toBe(true);
    expect(await frozen.isLive("s")).toBe(false);
    const succeeded = (await logged(client, "s")).filter(({ type }) => type === "step.succeeded");
    expect(succeeded.length).toBe(STEPS.length);
  });
});

describe("a step that ends each host that takes it", () => {
  it("becomes a dead letter, and its run goes on by its error policy", async () => {
    // Hosts that die of it, one after another: the queue sees claims that are never beaten.
    cluster.bus.steps.serve({ agents: ["P"], slots: 10, run: () => new Promise(() => undefined) });
    const client = cluster.instance({
      topology: { nodes: ["P", "A"], edges: [{ from: "P", to: "A", on: "error" }] },
      unserved: "wait",
    });
    await host("one");
    const info = { slots: 10, running: 0, sessions: 0, version: "", topologies: [], startedAtMs: 0, adopts: false };
    await cluster.bus.liveness.announce({ host: "dying", agents: ["P"], ...info });
    const result = await cluster.until(client.execute({ task: "t", sessionId: "s" }), 300_000);
    expect(result.finalResponse).toBe("ta");
    const failed = (await logged(client, "s")).find(({ type }) => type === "step.failed");
    expect(failed).toMatchObject({ node: "P", error: { code: "ORCH_STEP_POISON" } });
    expect(await cluster.bus.deadLetters.list()).toMatchObject([{ agent: "P", sessionId: "s", deliveries: 4 }]);
  });
});

describe("a session that waits for people", () => {
  it("is taken over once for an answer, though all hosts were called, and rests when it asks again", async () => {
    const A = (input: string, { question }: { question?: unknown }): unknown =>
      question === undefined || input === "first" ? next.ask("which?") : input;
    for (let i = 0; i < 3; i++) await cluster.host({ agents: { A } });
    const starting = cluster.instance({ topology: { nodes: ["A"], edges: [] } });
    await cluster.until(starting.execute({ task: "t", sessionId: "s" }));
    const answering = cluster.instance({});
    const answer = async (value: string): Promise<void> => {
      const [question] = await answering.communication.pending({ sessionId: "s" });
      await cluster.until(answering.communication.submitResponse(question!.questionId, value));
    };
    await answer("first");
    const { n } = (await starting.getSession("s"))!;
    await cluster.clock.advance(60_000);
    expect(await starting.getSession("s")).toMatchObject({ status: "awaiting_user", n });
    await answer("second");
    expect(await starting.getSession("s")).toMatchObject({ status: "completed" });
  });
});
