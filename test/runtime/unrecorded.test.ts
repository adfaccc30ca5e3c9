import { describe, expect, it } from "vitest";
import type { RunLimits } from "../../src/actors/facts.ts";
import { next, type AgentFunction } from "../../src/runtime/agent.ts";
import type { RunCode } from "../../src/runtime/engine-api.ts";
import { memoryStorage } from "../../src/state/memory-store.ts";
import type { Commit, SessionStore } from "../../src/state/ports.ts";
import type { TopologyData } from "../../src/topology/types.ts";
import { code, deferred, LIMITS, request, topology, world, type Agents } from "./world.ts";

/** A store that records nothing from commit `from` on until it is let go. */
function slowStore(from: number) {
  const store = memoryStorage();
  const reached = deferred();
  const letGo = deferred();
  const commits: Commit[] = [];
  const slow: SessionStore = Object.create(store, {
    append: {
      value: async (request: Parameters<SessionStore["append"]>[0]) => {
        commits.push(request.commit);
        if (request.commit.n === from) reached.resolve();
        if (request.commit.n >= from) await letGo.promise;
        return store.append(request);
      },
    },
  });
  return { store: slow, commits, reached: reached.promise, letGo: () => letGo.resolve() };
}

/** All that can happen without the store has happened. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** A fan-out from S, joined at J, whose first ends (commit 3) are not recorded until `letGo`. */
async function fanOut(
  arms: Agents,
  more: Partial<RunCode>,
  change = (data: TopologyData): TopologyData => data,
  limits: Partial<RunLimits> = {},
) {
  const names = Object.keys(arms);
  const slow = slowStore(3);
  const { engine } = world({ store: slow.store });
  const called: string[] = [];
  const noted = Object.fromEntries(
    Object.entries(arms).map(([name, run]): [string, AgentFunction] => [
      name,
      (input, ctx) => {
        called.push(name);
        return (run as AgentFunction)(input, ctx);
      },
    ]),
  );
  const agents = { S: (x: unknown) => x, ...noted, J: (x: unknown[]) => x.length };
  const data = change(topology(...names.flatMap((name) => [`S -> ${name}`, `${name} -> J`])));
  const handle = await engine.start(
    request("t", data, code(agents, more), { limits: { ...LIMITS, maxSteps: 1_000, ...limits } }),
  );
  await slow.reached;
  await turns();
  return { ...slow, called, outcome: handle.outcome, close: () => engine.close() };
}

function same(x: unknown): unknown {
  return x;
}

describe("steps whose ends are not recorded yet", () => {
  it("give their places on, and are recorded together", async () => {
    const arms = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`A${i}`, same]));
    const fan = await fanOut(arms, { maxConcurrency: 2 });
    expect(fan.called).toEqual(Object.keys(arms));
    fan.letGo();
    expect((await fan.outcome).finalResponse).toBe(20);
    const ends = fan.commits.map(({ facts }) => facts.filter(({ type }) => type === "step.succeeded").length);
    expect(ends).toEqual([0, 1, 1, 19, 1]);
    await fan.close();
  });

  it("give on no more than 64 places", async () => {
    const arms = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`A${i}`, same]));
    const fan = await fanOut(arms, { maxConcurrency: 2 });
    expect(fan.called).toHaveLength(66);
    fan.letGo();
    expect((await fan.outcome).finalResponse).toBe(100);
    await fan.close();
  });

  it.each<[string, AgentFunction]>([
    ["a command", () => next.final("enough")],
    ["a failure", () => next.fail("no")],
    [
      "state that the next step may read",
      (x, ctx) => {
        ctx.state.set("n", 1);
        return x;
      },
    ],
    [
      "usage that counts against a budget",
      (x, ctx) => {
        ctx.usage({ model: "m", inputTokens: 1, outputTokens: 1 });
        return x;
      },
    ],
  ])("keep their places where they end with %s", async (_, first) => {
    const fan = await fanOut({ A: first, B: same }, { maxConcurrency: 1 });
    expect(fan.called).toEqual(["A"]);
    fan.letGo();
    await fan.outcome;
    await fan.close();
  });

  it.each(["the node", "the run"])("keep their places where %s joins before all have come", async (which) => {
    const policy = { quorum: 1 };
    const fan = await fanOut(
      { A: same, B: same },
      { maxConcurrency: 1 },
      (data) => ({
        ...data,
        nodes: data.nodes.map((node) =>
          node.name === "J" && which === "the node" ? { ...node, convergencePolicy: policy } : node,
        ),
      }),
      which === "the run" ? { convergencePolicy: policy } : {},
    );
    expect(fan.called).toEqual(["A"]);
    fan.letGo();
    expect((await fan.outcome).finalResponse).toBe(1);
    expect(fan.called).toEqual(["A"]);
    await fan.close();
  });

  it("give nothing on while a failure waits to be recorded", async () => {
    const fan = await fanOut({ A: () => next.fail("no"), B: same, C: same }, { maxConcurrency: 2 });
    expect(fan.called).toEqual(["A", "B"]);
    fan.letGo();
    expect((await fan.outcome).status).toBe("failed");
    await fan.close();
  });
});
