// Lines of the contract that no other test shows.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import {
  AgentRegistry,
  callbackChannel,
  Edge,
  LevelStorage,
  memoryStorage,
  Node,
  Orchestra,
  OrchestraInstance,
  StateManager,
  validateTopology,
  type AgentContext,
} from "orchestra";
import { describe, expect, it } from "vitest";

const upper = (text: string): string => text.toUpperCase();

describe("nodes of kind tool and system", () => {
  const topology = {
    nodes: [Node("Search", { kind: "tool" }), Node("Archive", { kind: "system", uses: "store-it" }), "Reader"],
    edges: ["Search -> Archive", "Archive -> Reader"],
  };

  it("run the functions registered among the agents, under the node's name or the one it uses", async () => {
    const kept: unknown[] = [];
    const agents = {
      Search: upper,
      "store-it": (value: unknown) => (kept.push(value), value),
      Reader: (text: string) => `read ${text}`,
    };
    const result = await Orchestra.run({ task: "otters", topology, agents });
    expect(result.orThrow().finalResponse).toBe("read OTTERS");
    expect(kept).toEqual(["OTTERS"]);
    const same = await Orchestra.run({ task: "otters", topology, agentRegistry: new AgentRegistry(agents) });
    expect(same.orThrow().finalResponse).toBe("read OTTERS");
  });

  it("are missed by name before anything runs", async () => {
    const running = Orchestra.run({ task: "x", topology, agents: { Search: upper, Reader: upper } });
    await expect(running).rejects.toMatchObject({
      code: "ORCH_AGENT_UNKNOWN",
      message: expect.stringContaining('no system named "store-it" (for node "Archive")'),
    });
  });

  it("are called by agents over call edges like any other", async () => {
    const result = await Orchestra.run({
      task: "otters",
      topology: { nodes: ["Asker", Node("Search", { kind: "tool" })], edges: ["Asker <-> Search"] },
      agents: { Asker: (input: unknown, ctx) => (ctx.replies ? ctx.replies[0]?.value : input), Search: upper },
    });
    expect(result.orThrow().finalResponse).toBe("OTTERS");
  });
});

it("a result counts the facts that changed nothing", async () => {
  await using orchestra = new OrchestraInstance({
    topology: { nodes: ["A"] },
    agents: {
      A: async (_input: unknown, ctx) => {
        expect(await orchestra.pauseSession(ctx.sessionId, "first")).toBe(true);
        expect(await orchestra.pauseSession(ctx.sessionId, "again")).toBe(false);
        return 1;
      },
    },
  });
  const paused = await orchestra.execute("x", { sessionId: "s" });
  expect([paused.status, paused.metadata.pausedReason, paused.metadata.ignoredFacts]).toEqual(["paused", "first", 1]);
  const done = await orchestra.resumeSession("s");
  expect([done.success, done.metadata.ignoredFacts]).toEqual([true, 0]);
});

describe("an idempotency key", () => {
  it("finds its run again after others have followed, with the result as it was", async () => {
    let calls = 0;
    const stateManager = new StateManager({ storage: memoryStorage() });
    const run = (task: string, idempotencyKey?: string, fresh?: boolean) =>
      Orchestra.run({
        task,
        topology: { nodes: ["A", "B"], edges: ["A -> B"] },
        agents: { A: (input: string) => (calls++, input), B: upper },
        sessionId: "s",
        stateManager,
        ...(idempotencyKey !== undefined && { idempotencyKey }),
        ...(fresh !== undefined && { fresh }),
      });
    const first = await run("one", "k1");
    await run("two", "k2");
    await run("three");
    const again = await run("ignored", "k1");
    expect(again.toJSON()).toEqual(first.toJSON());
    expect((await run("ignored", "k2")).finalResponse).toBe("TWO");
    expect(calls).toBe(3);
    expect((await run("four", "k1", true)).finalResponse).toBe("FOUR");
    expect(calls).toBe(4);
  });

  it("finds an earlier run while another run of the session is under way", async () => {
    let open = (): void => undefined;
    const opened = new Promise<void>((resolve) => (open = resolve));
    await using orchestra = new OrchestraInstance({
      topology: { nodes: ["A"] },
      agents: { A: async (input: string) => (input === "slow" ? opened.then(() => input) : upper(input)) },
    });
    await orchestra.execute("one", { sessionId: "s", idempotencyKey: "k1" });
    const slow = orchestra.execute("slow", { sessionId: "s" });
    await new Promise(setImmediate);
    expect((await orchestra.execute("x", { sessionId: "s", idempotencyKey: "k1" })).finalResponse).toBe("ONE");
    open();
    expect((await slow).finalResponse).toBe("slow");
  });
});

describe("automatic checkpoints", () => {
  it("make room only for each other: a user's own stay, whatever their name", async () => {
    await using orchestra = new OrchestraInstance({
      topology: { nodes: ["A", "B", "C", "D"], edges: ["A -> B -> C -> D"] },
      agents: {
        A: async (_input: unknown, ctx) => (await orchestra.createCheckpoint(ctx.sessionId, "auto-1"), 1),
        B: async (_input: unknown, ctx) => (await orchestra.createCheckpoint(ctx.sessionId, "autosave"), 2),
        C: async () => (await new Promise((resolve) => setTimeout(resolve, 5)), 3),
        D: async () => (await new Promise((resolve) => setTimeout(resolve, 5)), 4),
      },
    });
    await orchestra.execute("x", { sessionId: "s", executionConfig: { autoCheckpoint: { everySteps: 1, keep: 1 } } });
    const named = async (): Promise<string[]> => (await orchestra.listCheckpoints("s")).map(({ name }) => name);
    await expect.poll(named).toEqual(["auto-1", "autosave", "auto-4"]);
  });

  it("go on when a session is resumed", async () => {
    await using orchestra = new OrchestraInstance({
      topology: { nodes: ["A", "B", "C"], edges: ["A -> B -> C"] },
      agents: {
        A: async (_input: unknown, ctx) => (await orchestra.pauseSession(ctx.sessionId), 1),
        B: async () => 2,
        C: async () => (await new Promise((resolve) => setTimeout(resolve, 5)), 3),
      },
      initialConfig: { autoCheckpoint: { everySteps: 1, keep: 5 } },
    });
    await orchestra.execute("x", { sessionId: "s" });
    expect((await orchestra.resumeSession("s")).success).toBe(true);
    const named = async (): Promise<string[]> => (await orchestra.listCheckpoints("s")).map(({ name }) => name);
    await expect.poll(named).toContain("auto-3");
  });
});

describe("a node with a normal and an error edge to the same place", () => {
  const fails = (): never => {
    throw new Error("down");
  };
  const heard = (input: unknown, ctx: AgentContext): unknown => [input, ctx.error === undefined ? "fine" : "failed"];
  const straight = { nodes: ["A", "B"], edges: ["A -> B", Edge("A", "B", { on: "error" })] };
  const around = {
    nodes: ["A", "H", "C"],
    edges: ["A -> C", Edge("A", "H", { on: "error" }), "H -> C"],
  };

  it("is valid, and no join: each way brings the bare value", async () => {
    for (const topology of [straight, around]) expect(validateTopology(topology)).toEqual([]);
  });

  it.each([
    ["goes on with its value when it succeeds", upper, ["X", "fine"]],
    ["hands over its input and the error when it fails", fails, ["x", "failed"]],
  ])("straight: %s", async (_name, A, expected) => {
    const result = await Orchestra.run({ task: "x", topology: straight, agents: { A, B: heard } });
    expect(result.orThrow().finalResponse).toEqual(expected);
  });

  it.each([
    ["skips the handler when it succeeds", upper, "X", 0],
    ["goes through the handler when it fails", fails, "repaired x", 1],
  ])("around: %s", async (_name, A, expected, handled) => {
    const agents = { A, H: (input: string) => `repaired ${input}`, C: (input: unknown) => input };
    const result = await Orchestra.run({ task: "x", topology: around, agents });
    expect(result.orThrow().finalResponse).toEqual(expected);
    expect(result.getAgentInvocationCount("H")).toBe(handled);
  });
});

it("a stream handle that is read late gives the last 10,000 events and says how many it dropped", async () => {
  const handle = Orchestra.stream({
    task: "x",
    topology: { nodes: ["A"] },
    agents: {
      A: async (_input: unknown, ctx) => {
        for (let i = 0; i < 10_500; i++) {
          ctx.emit(i);
          if (i % 100 === 0) await new Promise(setImmediate);
        }
        return "done";
      },
    },
  });
  expect((await handle.result).finalResponse).toBe("done");
  let read = 0;
  let last = "";
  for await (const { type } of handle) {
    read++;
    last = type;
  }
  expect([read, last]).toEqual([10_000, "run.completed"]);
  expect(handle.dropped).toBeGreaterThanOrEqual(500);
});

it("a second instance on the same store takes over nothing that runs in the first", async () => {
  const stateManager = new StateManager({ storage: memoryStorage() });
  const topology = { nodes: ["A", "B"], edges: ["A -> B"] };
  let started = (): void => undefined;
  const running = new Promise<void>((resolve) => (started = resolve));
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  let calls = 0;
  const agents = {
    A: async (input: string) => {
      calls++;
      started();
      await opened;
      return input;
    },
    B: upper,
  };
  await using first = new OrchestraInstance({ topology, agents, stateManager });
  await using second = new OrchestraInstance({ topology, agents, stateManager });
  const result = first.execute("x", { sessionId: "s" });
  await running;
  expect(await second.listSessions({ status: "running" })).toMatchObject([{ sessionId: "s" }]);
  expect(await second.recover()).toEqual([]);
  await expect(second.resumeSession("s")).rejects.toMatchObject({ code: "ORCH_SESSION_BUSY" });
  open();
  expect((await result).finalResponse).toBe("X");
  expect(calls).toBe(1);
});

it("a result read from the store of a session that waits says what is asked", async () => {
  await using orchestra = new OrchestraInstance({
    topology: { nodes: ["A"] },
    agents: { A: (_input: unknown, ctx) => ctx.ask("really?") },
  });
  await orchestra.execute("x", { sessionId: "s" });
  expect((await orchestra.getResult("s")).metadata.questions).toMatchObject([{ node: "A", prompt: "really?" }]);
});

describe.each(["memory", "disk"])("a second instance on the same store (%s)", (kind) => {
  it("pauses what runs in the first, which a third goes on with, knowing no topology", async () => {
    const folder = mkdtempSync(join(tmpdir(), "orchestra-promises-"));
    const stateManager = new StateManager({ storage: kind === "memory" ? memoryStorage() : new LevelStorage(folder) });
    const second = new OrchestraInstance({ stateManager });
    const first = new OrchestraInstance({
      topology: { nodes: ["A", "B"], edges: ["A -> B"] },
      agents: {
        A: async (input: string) => {
          expect(await second.pauseSession("s", "enough")).toBe(true);
          await expect.poll(async () => (await second.getSession("s"))?.status).toBe("paused");
          return input;
        },
        B: upper,
      },
      stateManager,
    });
    expect(await first.execute("x", { sessionId: "s" })).toMatchObject({
      status: "paused",
      metadata: { pausedReason: "enough" },
    });
    const third = new OrchestraInstance({ agents: { A: upper, B: upper }, stateManager });
    expect((await third.resumeSession("s")).finalResponse).toBe("X");
    for (const instance of [first, second, third]) await instance.close();
    rmSync(folder, { recursive: true, force: true });
  });
});

it("a retry is counted once", async () => {
  let calls = 0;
  const result = await Orchestra.run({
    task: "x",
    topology: { nodes: ["A"] },
    agents: {
      A: () => {
        if (++calls < 3) throw Object.assign(new Error("again"), { retryable: true });
        return calls;
      },
    },
    executionConfig: { retry: { transient: { initialDelayMs: 1 } } },
  });
  expect([result.finalResponse, result.getMetrics().retries, result.getAgentInvocationCount("A")]).toEqual([3, 2, 1]);
});

// The answer left nothing to set going again, and what it brought about was told to nobody.
it("observers see the end of a run that an answer ends", async () => {
  const seen: string[] = [];
  const result = await Orchestra.run({
    task: "x",
    topology: {
      nodes: ["F", "A", "B", Node("J", { convergencePolicy: { onInsufficient: "user" } })],
      edges: ["F -> A", "F -> B", "A -> J", "B -> J"],
    },
    agents: {
      F: upper,
      A: upper,
      J: upper,
      B: () => {
        throw Object.assign(new Error("no"), { retryable: false });
      },
    },
    communicationConfig: { channel: callbackChannel(() => "fail") },
    metricsCollector: { observe: ({ type }) => seen.push(type) },
  });
  expect(result.error?.code).toBe("ORCH_CONVERGENCE");
  expect(seen.slice(-3)).toEqual(["user.answered", "barrier.fired", "run.failed"]);
});
