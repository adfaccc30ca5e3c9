// Sessions that go on with another topology, as a user sees it.

import { describe, expect, it, onTestFinished } from "vitest";
import {
  memoryStorage,
  next,
  OrchestraInstance,
  StateManager,
  Topology,
  type AgentContext,
  type InstanceOptions,
  type SessionStore,
} from "../../src/index.ts";
import { SimClock } from "../../src/testing/index.ts";

type Agents = Readonly<Record<string, (input: any, ctx: AgentContext) => unknown>>;

const OLD = Topology.from({ nodes: ["Draft", "User", "Publish"], edges: ["Draft -> User", "User -> Publish"] });
const drafting: Agents = { Draft: (x) => `draft of ${x}`, Publish: (x) => `published: ${x}` };

function open(storage: SessionStore, options: Partial<InstanceOptions>): OrchestraInstance {
  const instance = new OrchestraInstance({ ...options, stateManager: new StateManager({ storage }) });
  onTestFinished(() => instance.close());
  return instance;
}

const hang = (_: unknown, { signal }: AgentContext): Promise<never> =>
  new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));

/** A store in which the session "s" waits for a person's word on a draft. */
async function waiting(): Promise<SessionStore> {
  const storage = memoryStorage();
  const instance = open(storage, { topology: OLD, agents: drafting });
  expect((await instance.execute("otters", { sessionId: "s" })).status).toBe("awaiting_user");
  await instance.close();
  return storage;
}

describe("a session of an earlier topology", () => {
  const LONGER = Topology.from({
    nodes: ["Brief", "Draft", "User", "Check", "Publish"],
    edges: ["Brief -> Draft", "Draft -> User", "User -> Check", "Check -> Publish"],
  });
  const longer: Agents = { ...drafting, Brief: (x) => x, Check: (x) => `checked ${x}` };

  it("goes on with that one where no migration is registered", async () => {
    const instance = open(await waiting(), { topology: LONGER, agents: longer });
    expect((await instance.resumeSession("s", { userResponse: "fine" })).finalResponse).toBe("published: fine");
  });

  it("goes on with the new one where one is, from where it stands", async () => {
    const storage = await waiting();
    const instance = open(storage, { topology: LONGER, agents: longer, migrations: [{ from: OLD.hash }] });
    const result = await instance.resumeSession("s", { userResponse: "fine" });
    expect(result.finalResponse).toBe("published: checked fine");
    expect(result.metadata.topology.hash).toBe(LONGER.hash);
    expect(result.wasAgentInvoked("Brief")).toBe(false);
    expect(result.getAgentInvocationCount("Draft")).toBe(1);
    expect((await instance.getSession("s"))?.topologyHash).toBe(LONGER.hash);
    // Another process, which knows nothing of the migration, reads the same.
    const other = open(storage, {});
    expect((await other.getResult("s")).toJSON()).toEqual((await instance.getResult("s")).toJSON());
    const events: unknown[] = [];
    for await (const event of other.events("s", { signal: AbortSignal.timeout(200) }))
      if (event.type === "run.migrated") events.push([event.from, event.topologyHash]);
    expect(events).toEqual([[OLD.hash, LONGER.hash]]);
  });

  it("carries nodes over that have another name now, with what they remember", async () => {
    const storage = memoryStorage();
    const before = open(storage, {
      topology: { nodes: ["Writer", "Critic"], edges: ["Writer -> Critic"] },
      agents: {
        Writer: (x, ctx: AgentContext) => {
          if (ctx.question === undefined) ctx.state.set("topic", x);
          return ctx.question === undefined ? next.ask("which tone?") : "never";
        },
        Critic: (x) => x,
      },
    });
    await before.execute("otters", { sessionId: "s" });
    await before.close();
    const topology = Topology.from({ nodes: ["Author", "Critic"], edges: ["Author -> Critic"] });
    const agents: Agents = {
      Author: (tone, ctx) => `${tone} words on ${ctx.state.get<string>("topic") ?? "?"} for ${ctx.node}`,
      Critic: (x) => x,
    };
    const from = Topology.from({ nodes: ["Writer", "Critic"], edges: ["Writer -> Critic"] });
    const bare = open(storage, { topology, agents, migrations: [{ from }] });
    await expect(bare.resumeSession("s", { userResponse: "dry" })).rejects.toMatchObject({
      code: "ORCH_MIGRATION",
      message: expect.stringContaining('no "Writer"'),
      details: { sessionId: "s", from: from.hash, to: topology.hash, nodes: ["Writer"] },
    });
    expect((await bare.getSession("s"))?.status).toBe("awaiting_user");
    const instance = open(storage, { topology, agents, migrations: [{ from, nodes: { Writer: "Author" } }] });
    const result = await instance.resumeSession("s", { userResponse: "dry" });
    expect(result.finalResponse).toBe("dry words on otters for Author");
    expect(result.getAgentInvocationCount("Author")).toBe(2);
  });

  it("does not call again what was called: a recorded call counts for the renamed node", async () => {
    const storage = memoryStorage();
    const calls: string[] = [];
    let reached: () => void = () => undefined;
    const paid = new Promise<void>((resolve) => (reached = resolve));
    const payer = (hangs: boolean) => async (_: unknown, ctx: AgentContext) => {
      const receipt = await ctx.once("pay", () => (calls.push(ctx.node), "receipt"));
      if (!hangs) return receipt;
      reached();
      return new Promise((_resolve, reject) => ctx.signal.addEventListener("abort", () => reject(ctx.signal.reason)));
    };
    const from = Topology.from({ nodes: ["Payer"] });
    const before = open(storage, { topology: from, agents: { Payer: payer(true) } });
    const running = before.execute("x", { sessionId: "s" });
    await paid;
    await before.pauseSession("s", "upgrade", { inFlight: "abort" });
    expect((await running).status).toBe("paused");
    await before.close();
    const after = open(storage, {
      topology: { nodes: ["Teller"] },
      agents: { Teller: payer(false) },
      migrations: [{ from, nodes: { Payer: "Teller" } }],
    });
    expect((await after.resumeSession("s")).finalResponse).toBe("receipt");
    expect(calls).toEqual(["Payer"]);
  });

  it("is left as it is, with the reasons, when it cannot move", async () => {
    const storage = memoryStorage();
    const from = Topology.from({
      nodes: ["F", "A", "User", "J"],
      edges: ["F -> A", "F -> User", "A -> J", "User -> J"],
    });
    const agents: Agents = { F: (x) => x, A: (x) => `a ${x}`, J: (x) => x };
    const before = open(storage, { topology: from, agents });
    await before.execute("x", { sessionId: "s" });
    await before.close();
    // A has arrived at J and waits there for the person; now J joins nobody.
    const topology = { nodes: ["F", "A", "User", { name: "J", convergence: false }], edges: from.edges };
    const instance = open(storage, { topology, agents, migrations: [{ from }] });
    await expect(instance.resumeSession("s", { userResponse: "y" })).rejects.toMatchObject({
      code: "ORCH_MIGRATION",
      message: expect.stringContaining('branches of "F" wait at "J", and the new topology does not join them there'),
    });
    expect(await instance.checkUpgrade()).toMatchObject([{ sessionId: "s", verdict: "cannot", nodes: [] }]);
    const back = open(storage, { topology: from, agents });
    expect((await back.resumeSession("s", { userResponse: "y" })).finalResponse).toEqual([
      { from: "A", value: "a x" },
      { from: "User", value: "y" },
    ]);
  });

  it("does not move where a node would run once for each branch instead of once for all", async () => {
    const storage = memoryStorage();
    const from = Topology.from({ nodes: ["F", "A", "B", "J"], edges: ["F -> A", "F -> B", "A -> J", "B -> J"] });
    const agents: Agents = { F: (x) => x, A: () => next.ask("A?"), B: () => next.ask("B?"), J: (x) => x };
    const before = open(storage, { topology: from, agents });
    await before.execute("x", { sessionId: "s" });
    await before.close();
    // A has begun, B is under way; now A would have to wait for B.
    const topology = { nodes: from.nodes, edges: ["F -> A", "F -> B", "B -> A", "A -> J"] };
    const instance = open(storage, { topology, agents, migrations: [{ from }] });
    await expect(instance.resumeSession("s")).rejects.toMatchObject({
      code: "ORCH_MIGRATION",
      message: expect.stringContaining('"A" joins the branches of "F" in one of the topologies only'),
    });
  });

  it("does not move where a person is asked and the new topology has an agent", async () => {
    const topology = { nodes: ["Draft", { name: "User", kind: "agent" }], edges: ["Draft -> User"] } as const;
    const instance = open(await waiting(), {
      topology,
      agents: { ...drafting, User: (x: unknown) => x },
      migrations: [{ from: OLD }],
    });
    await expect(instance.resumeSession("s", { userResponse: "y" })).rejects.toThrow(
      '"User" is of kind user in the run and "User" of kind agent in the new topology',
    );
  });

  it("lets a join go on at once when those it waited for do not come there any more", async () => {
    const storage = memoryStorage();
    const nodes = ["F", "A", "B", "C", "J"];
    const edges = ["F -> A", "F -> B", "F -> C", "A -> J", "C -> J"];
    const from = Topology.from({ nodes, edges: [...edges, "B -> J"] });
    const agents: Agents = {
      F: (x) => x,
      A: () => "a",
      B: () => next.ask("B?"),
      C: () => "c",
      J: (x) => x,
      Z: (x) => x,
    };
    const before = open(storage, { topology: from, agents });
    expect((await before.execute("x", { sessionId: "s" })).wasAgentInvoked("J")).toBe(false);
    await before.close();
    const topology = { nodes: [...nodes, "Z"], edges: [...edges, "B -> Z"] };
    const after = open(storage, { topology, agents, migrations: [{ from }] });
    const result = await after.resumeSession("s");
    expect(result.status).toBe("awaiting_user");
    expect(result.getExecutionTrace().find(({ node }) => node === "J")?.output).toEqual([
      { from: "A", value: "a" },
      { from: "C", value: "c" },
    ]);
  });

  it("still answers its caller, and calls back nobody who waits for it", async () => {
    const storage = memoryStorage();
    const edges = ["H <-> W", "W <-> X", "X <-> H"];
    const from = Topology.from({ nodes: ["H", "W", "X"], edges, entryPoint: "H" });
    const called: string[] = [];
    const says = (name: string) => (x: unknown, ctx: AgentContext) => {
      called.push(name);
      if (name === "X" && ctx.question === undefined) return next.ask("?");
      return ctx.replies === undefined ? `${name}(${x as string})` : ctx.replies.map((reply) => reply.value);
    };
    const agents: Agents = { H: says("H"), W: says("W"), X: says("X"), New: (x) => x, I: says("I") };
    const before = open(storage, { topology: from, agents });
    await before.execute("x", { sessionId: "s" });
    await before.close();
    const topology = {
      nodes: ["New", "X", "W", "I"],
      edges: ["New -> I", "I <-> W", "W <-> X", "X <-> I"],
      entryPoint: "New",
    };
    const after = open(storage, { topology, agents, migrations: [{ from, nodes: { H: "I" } }] });
    expect((await after.resumeSession("s", { userResponse: "y" })).finalResponse).toEqual([["X(y)"]]);
    expect(called).toEqual(["H", "W", "X", "X", "W", "I"]);
  });

  it("follows an answer it got while nobody could go on where that was asked, then moves", async () => {
    const storage = await waiting();
    const desk = open(storage, {});
    const [question] = await desk.communication.pending({ sessionId: "s" });
    await desk.communication.submitResponse(question!.questionId, "kept answer");
    await desk.close();
    const instance = open(storage, { topology: LONGER, agents: longer, migrations: [{ from: OLD }] });
    // The answer led to Publish, which has no Check before it in the topology it was asked in.
    expect((await instance.resumeSession("s")).finalResponse).toBe("published: kept answer");
    expect((await instance.getSession("s"))?.topologyHash).toBe(LONGER.hash);
  });

  it("keeps its deadlines: a join that was timed goes on without who is late", async () => {
    const storage = memoryStorage();
    const clock = new SimClock();
    const edges = ["F -> A", "F -> B", "A -> J", "B -> J"];
    const join = { name: "J", convergenceTimeoutMs: 60_000, convergencePolicy: { minRatio: 0.5 } };
    const agents: Agents = {
      F: (x) => x,
      A: () => "a",
      B: hang,
      Late: hang,
      J: (x) => x,
      New: (x) => x,
      Newer: (x) => x,
    };
    const from = Topology.from({ nodes: ["F", "A", "B", join], edges });
    const before = open(storage, { topology: from, agents, clock });
    const handle = before.stream("x", { sessionId: "s" });
    for await (const event of handle) if (event.type === "barrier.arrived") break;
    await clock.advance(20_000);
    await before.pauseSession("s", "upgrade", { inFlight: "abort" });
    await handle.result;
    await before.close();
    await clock.advance(3_600_000);
    const topology = {
      nodes: ["New", "Newer", join, "Late", "A", "F"],
      edges: ["New -> Newer", "Newer -> F", "F -> A", "F -> Late", "A -> J", "Late -> J"],
    };
    const after = open(storage, { topology, agents, clock, migrations: [{ from, nodes: { B: "Late" } }] });
    const resumed = after.resumeSession("s");
    await clock.advance(39_999);
    expect((await after.why("s")).barriers).toMatchObject([{ node: "J", arrived: ["A"] }]);
    await clock.advance(1);
    expect((await resumed).finalResponse).toEqual([{ from: "A", value: "a" }]);
    expect((await resumed).metadata.timedOut).toEqual(["Late"]);
  });

  it("moves when it is found interrupted, and is left paused when it cannot", async () => {
    const storage = memoryStorage();
    const from = Topology.from({ nodes: ["A", "B"], edges: ["A -> B"] });
    const before = open(storage, { topology: from, agents: { A: (x: unknown) => x, B: hang } });
    for (const sessionId of ["one", "two"]) {
      const handle = before.stream("x", { sessionId });
      for await (const event of handle) if (event.type === "step.started" && event.node === "B") break;
      handle.result.catch(() => undefined);
    }
    await before.close();
    const bad = open(storage, {
      topology: { nodes: ["A", "C"], edges: ["A -> C"] },
      agents: { A: (x: unknown) => x, C: (x: unknown) => x },
      migrations: [{ from }],
    });
    expect(await bad.recover()).toMatchObject([{ action: "left" }, { action: "left" }]);
    const good = open(storage, {
      topology: { nodes: ["A", "C"], edges: ["A -> C"] },
      agents: { A: (x: unknown) => x, C: (x: unknown) => `c ${x as string}` },
      migrations: [{ from, nodes: { B: "C" } }],
    });
    expect((await good.resumeSession("one")).finalResponse).toBe("c x");
    expect((await good.resumeSession("two")).finalResponse).toBe("c x");
  });
});

describe("migrations", () => {
  it.each([
    [{ migrations: [{ from: "yesterday's" }] }, /migrations\.0\.from: expected a topology, or its hash/],
    [{ migrations: [{ from: OLD, nodes: { A: 1 } }] }, /migrations\.0\.nodes: expected an object of new names/],
    [{ migrations: [{ from: OLD, node: {} }] }, /migrations\.0\.node: unknown option/],
  ])("are checked when they are given: %j", (options, message) => {
    expect(() => new OrchestraInstance({ topology: OLD, ...(options as object) })).toThrow(message);
  });

  it("need a topology to lead to, and speak of each but once", async () => {
    expect(() => new OrchestraInstance({ migrations: [{ from: OLD }] })).toThrow(
      /no topology that sessions could move to/,
    );
    const instance = open(await waiting(), {
      topology: { nodes: ["A"] },
      agents: { A: (x: unknown) => x },
      migrations: [{ from: OLD }, { from: OLD.hash }],
    });
    await expect(instance.resumeSession("s")).rejects.toMatchObject({ code: "ORCH_BAD_OPTION" });
  });

  it.each([
    [{ Nobody: "Draft" }, /"Nobody" is to be renamed, and the topology of the run has no such node/],
    [{ Draft: "Nobody" }, /"Draft" is to become "Nobody", and the new topology has no such node/],
    [{ Draft: "Publish", User: "Publish" }, /"Draft" and "User" are both to become "Publish"/],
  ])("that name nothing are refused: %j", async (nodes, message) => {
    const instance = open(await waiting(), {
      topology: {
        nodes: ["Draft", "User", "Publish"],
        edges: ["Draft -> User", "User -> Publish"],
        metadata: { v: 2 },
      },
      agents: drafting,
      migrations: [{ from: OLD, nodes }],
    });
    await expect(instance.resumeSession("s", { userResponse: "y" })).rejects.toMatchObject({
      code: "ORCH_MIGRATION",
      message: expect.stringMatching(message),
    });
  });
});
