// What a user of a cluster notices: work goes to whoever can do it, and goes on when a host goes.

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Liveness } from "../../src/bus/ports.ts";
import type { RunEvent } from "../../src/runtime/engine-api.ts";
import type { OrchestraInstance } from "../../src/runtime/orchestra-instance.ts";
import { deferred } from "./world.ts";
import { ClusterWorld } from "./cluster-world.ts";

const PIPELINE = { nodes: ["A", "B"], edges: ["A -> B"] };

let cluster: ClusterWorld;
beforeEach(() => {
  cluster = new ClusterWorld();
});
afterEach(() => cluster.close());

async function eventsOf(instance: OrchestraInstance, sessionId: string): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for await (const event of instance.events(sessionId, { untilNow: true })) events.push(event);
  return events;
}

function isOwned(instance: OrchestraInstance, sessionId: string): Promise<void> {
  return cluster.untilTrue(`${sessionId} is owned`, async () => {
    const isThere = (await instance.getSession(sessionId)) !== null;
    return isThere && (await instance.why(sessionId)).cluster?.host != null;
  });
}

const types = (events: readonly RunEvent[]): string[] => events.map(({ type }) => type);

describe("a client without agents", () => {
  it("starts a run that a host owns and brings to its end, and follows its events live", async () => {
    await cluster.host({ agents: { A: (x: string) => `${x}a`, B: (x: string) => `${x}b` } });
    const client = cluster.instance({ topology: PIPELINE });
    const stream = client.stream({ task: "t", sessionId: "s" });
    const seen: string[] = [];
    const watching = (async () => {
      for await (const event of stream) seen.push(event.type);
    })();
    const result = await cluster.until(stream.result);
    await cluster.until(watching);
    expect(result.finalResponse).toBe("tab");
    expect(seen.filter((type) => type === "step.succeeded").length).toBe(2);
    expect(seen.at(-1)).toBe("run.completed");
    expect(types(await eventsOf(client, "s"))).toEqual(seen);
  });

  it("is refused what nobody serves, naming what is served", async () => {
    await cluster.host({ agents: { A: () => "a", Bee: () => "b" } });
    const client = cluster.instance({ topology: PIPELINE });
    await expect(cluster.until(client.execute("t"))).rejects.toMatchObject({
      code: "ORCH_AGENT_UNKNOWN",
      message: expect.stringMatching(/no agent named "B".*known agents: A, Bee/),
    });
  });

  it("begins before any host is there where it says that it waits", async () => {
    const client = cluster.instance({ topology: PIPELINE, unserved: "wait" });
    const running = client.execute({ task: "t", sessionId: "s" });
    await cluster.untilTrue("it is begun", async () => (await client.getSession("s"))?.status === "running");
    expect((await client.why("s")).cluster).toMatchObject({ host: null, unowned: expect.stringMatching(/no host/) });
    await cluster.host({ agents: { A: (x: string) => `${x}a`, B: (x: string) => `${x}b` } });
    expect((await cluster.until(running)).finalResponse).toBe("tab");
  });

  it("pauses, resumes with context, cancels, and makes and restores checkpoints of what a host owns", async () => {
    const gate = deferred();
    await cluster.host({
      agents: {
        A: async () => {
          await gate.promise;
          return "a";
        },
        B: (x: string, ctx) => `${x}${String(ctx.context["tone"] ?? "")}`,
      },
    });
    const client = cluster.instance({ topology: PIPELINE });
    const first = client.execute({ task: "t", sessionId: "s" });
    await isOwned(client, "s");
    const checkpointId = await cluster.until(client.createCheckpoint("s", "early"));
    expect((await client.listCheckpoints("s")).map(({ name }) => name)).toEqual(["early"]);
    expect(await cluster.until(client.pauseSession("s", "look"))).toBe(true);
    gate.resolve();
    expect((await cluster.until(first)).status).toBe("paused");
    const resumed = await cluster.until(client.resumeSession("s", { additionalContext: { tone: "!" } }));
    expect(resumed.finalResponse).toBe("a!");

    expect(await cluster.until(client.restoreCheckpoint(checkpointId))).toBe(true);
    expect((await cluster.until(client.resumeSession("s"))).finalResponse).toBe("a");
    const fork = await cluster.until(client.forkCheckpoint(checkpointId, { sessionId: "f" }));
    expect((await cluster.until(client.resumeSession(fork))).finalResponse).toBe("a");
  });

  it("answers what a host's run asks, asks on, and cancels", async () => {
    const stuck = deferred();
    await cluster.host({
      agents: {
        A: (x: string, ctx) => `${x}|${ctx.session.runs.length}`,
        W: async () => stuck.promise,
      },
    });
    const asking = cluster.instance({ topology: { nodes: ["A", "User", "C"], edges: ["A -> User", "User -> C"] } });
    await cluster.host({ agents: { C: (x: string) => `thanks for ${x}` } });
    const first = await cluster.until(asking.execute({ task: "q", sessionId: "s" }));
    expect(first.status).toBe("awaiting_user");
    const answered = await cluster.until(asking.resumeSession("s", { userResponse: "tea" }));
    expect(answered.finalResponse).toBe("thanks for tea");

    const plain = cluster.instance({ topology: { nodes: ["A"], edges: [] } });
    await cluster.until(plain.execute({ task: "one", sessionId: "p" }));
    expect((await cluster.until(plain.followUp("p", "two"))).finalResponse).toBe("two|1");

    const waiting = cluster.instance({ topology: { nodes: ["W"], edges: [] } });
    const endless = waiting.execute({ task: "t", sessionId: "w" });
    await isOwned(waiting, "w");
    expect(await cluster.until(waiting.cancelSession("w", "enough"))).toBe(true);
    expect((await cluster.until(endless)).status).toBe("cancelled");
    stuck.resolve();
  });

  it("lets go of what it follows when it drains, and a host brings it to its end", async () => {
    const gate = deferred();
    await cluster.host({ agents: { A: () => gate.promise.then(() => "a"), B: (x: string) => `${x}b` } });
    const client = cluster.instance({ topology: PIPELINE });
    const running = client.execute({ task: "t", sessionId: "s" });
    await isOwned(client, "s");
    await cluster.until(client.drain({ timeoutMs: 1_000 }), 5_000);
    expect((await running).status).toBe("paused");
    gate.resolve();
    await cluster.untilTrue("it ended", async () => (await client.getSession("s"))?.status === "completed");
  });
});

describe("a host that cannot be announced", () => {
  const failing = (liveness: Liveness, fails: () => boolean): Liveness => ({
    announce: (info) => (fails() ? Promise.reject(new Error("no answer")) : liveness.announce(info)),
    alive: () => liveness.alive(),
    watch: (onChange) => liveness.watch(onChange),
  });

  it("does not start, and starts when it is asked again", async () => {
    let fails = true;
    const { bus } = cluster;
    const liveness = failing(bus.liveness, () => fails);
    const host = cluster.unstarted({ agents: { A: () => "a" }, liveness });
    await expect(cluster.until(host.start())).rejects.toThrow("no answer");
    expect(await bus.liveness.alive()).toEqual([]);
    fails = false;
    await cluster.until(host.start());
    expect((await bus.liveness.alive()).map(({ agents, adopts }) => [agents, adopts])).toEqual([[["A"], true]]);
    const client = cluster.instance({ topology: { nodes: ["A"], edges: [] } });
    expect((await cluster.until(client.execute("t"))).finalResponse).toBe("a");
  });

  it("announces itself later, when a session of it has begun", async () => {
    let fails = true;
    const gate = deferred();
    const liveness = failing(cluster.bus.liveness, () => fails);
    const owner = cluster.instance({ topology: { nodes: ["A"] }, agents: { A: () => gate.promise }, liveness });
    const running = owner.execute("t");
    await cluster.clock.advance(5_000);
    expect(await cluster.bus.liveness.alive()).toEqual([]);
    fails = false;
    await cluster.untilTrue("it is seen", async () => (await cluster.bus.liveness.alive()).length === 1);
    gate.resolve();
    await cluster.until(running);
  });
});

describe("agents on several hosts", () => {
  it("each take the steps of their host, in a run that a process with some of them owns", async () => {
    const ran: string[] = [];
    await cluster.host({ agents: { B: (x: string) => (ran.push("host"), `${x}b`) } });
    const owner = cluster.instance({ topology: PIPELINE, agents: { A: (x: string) => (ran.push("owner"), `${x}a`) } });
    const result = await cluster.until(owner.execute({ task: "t", sessionId: "s" }));
    expect([result.finalResponse, ran]).toEqual(["tab", ["owner", "host"]]);
  });

  it("have conditions judged on their values, however large", async () => {
    await cluster.host({ agents: { A: () => "x".repeat(300_000) } });
    const owner = cluster.instance({
      topology: {
        nodes: ["A", "B", "C"],
        edges: [
          { from: "A", to: "B", condition: "long" },
          { from: "A", to: "C", else: true },
        ],
      },
      agents: { B: (x: string) => x.length, C: () => "short" },
      conditions: { long: ({ output }) => String(output).length > 100_000 },
    });
    expect((await cluster.until(owner.execute("t"))).orThrow().finalResponse).toBe(300_000);
  });

  it("keep what ctx.once recorded with the owner, and have their chunks seen there", async () => {
    let called = 0;
    await cluster.host({
      agents: {
        B: async (_input, ctx) => {
          const value = await ctx.once("k", () => ++called);
          ctx.emit("chunk from afar");
          if (ctx.attempt === 1) throw Object.assign(new Error("again"), { retryable: true });
          return `${ctx.attempt}:${value}`;
        },
      },
    });
    const owner = cluster.instance({ topology: PIPELINE, agents: { A: () => "a" } });
    const stream = owner.stream({ task: "t", sessionId: "s" });
    const chunks: unknown[] = [];
    const watching = (async () => {
      for await (const event of stream) if (event.type === "step.chunk") chunks.push(event.chunk);
    })();
    expect((await cluster.until(stream.result)).finalResponse).toBe("2:1");
    await cluster.until(watching);
    expect(chunks).toEqual(["chunk from afar", "chunk from afar"]);
  });

  it("have their own bound on each host, and the host one in all", async () => {
    let now = 0;
    let most = 0;
    const mostOf: Record<string, number> = {};
    const at: Record<string, number> = {};
    const agent = (name: string) => async () => {
      most = Math.max(most, ++now);
      mostOf[name] = Math.max(mostOf[name] ?? 0, (at[name] = (at[name] ?? 0) + 1));
      await new Promise<void>((resolve) => cluster.clock.setTimer(100, () => resolve()));
      now--;
      at[name] = (at[name] ?? 1) - 1;
      return name;
    };
    const names = ["P", "Q", "R"];
    await cluster.host({ agents: Object.fromEntries(names.map((n) => [n, agent(n)])), slots: 4, perAgent: { P: 1 } });
    const runs = names.flatMap((name) =>
      Array.from({ length: 6 }, () =>
        cluster.instance({ topology: { nodes: [name], edges: [] } }).execute({ task: "t" }),
      ),
    );
    const results = await cluster.until(Promise.all(runs));
    expect(results.every(({ success }) => success)).toBe(true);
    expect(most).toBe(4);
    expect(mostOf["P"]).toBe(1);
  });

  it("are stopped by a cancel of the owner's", async () => {
    const aborted = deferred();
    const began = deferred();
    await cluster.host({
      agents: {
        B: (_input, ctx) =>
          new Promise(() => {
            began.resolve();
            ctx.signal.addEventListener("abort", () => aborted.resolve());
          }),
      },
    });
    const owner = cluster.instance({ topology: PIPELINE, agents: { A: () => "a" } });
    const run = owner.execute({ task: "t", sessionId: "s" });
    await cluster.until(began.promise);
    await cluster.until(owner.cancelSession("s"));
    expect((await cluster.until(run)).status).toBe("cancelled");
    await cluster.until(aborted.promise);
  });
});

describe("a step that nobody serves", () => {
  it("is told of, by event and by why, and waits until a host is there", async () => {
    const owner = cluster.instance({ topology: PIPELINE, agents: { A: () => "a" }, unserved: "wait" });
    const stream = owner.stream({ task: "t", sessionId: "s" });
    const seen: RunEvent[] = [];
    const watching = (async () => {
      for await (const event of stream) seen.push(event);
    })();
    await cluster.untilTrue("it is told", () => seen.some(({ type }) => type === "step.unserved"));
    expect(seen.find(({ type }) => type === "step.unserved")).toMatchObject({ node: "B", agent: "B" });
    expect((await owner.why("s")).cluster?.unserved).toEqual([{ stepId: expect.any(String), agent: "B" }]);
    await cluster.host({ agents: { B: (x: string) => `${x}b` } });
    expect((await cluster.until(stream.result)).finalResponse).toBe("ab");
    await cluster.until(watching);
    expect(seen.filter(({ type }) => type === "step.unserved").length).toBe(1);
  });

  it("fails after a time where that is asked for, and the run goes by its error policy", async () => {
    const owner = cluster.instance({
      topology: { nodes: ["A", "B", "H"], edges: ["A -> B", { from: "B", to: "H", on: "error" }] },
      agents: { A: () => "a", H: (_input, ctx) => ctx.error?.code },
      unserved: "fail",
      unservedAfterMs: 5_000,
    });
    const result = await cluster.until(owner.execute({ task: "t", sessionId: "s" }));
    expect(result.finalResponse).toBe("ORCH_STEP_UNSERVED");
  });
});

describe("an answer that comes while a session is about to go on here", () => {
  it("is followed too", async () => {
    const announced = deferred();
    let held = false;
    const liveness: Liveness = {
      alive: () => cluster.bus.liveness.alive(),
      watch: (onChange) => cluster.bus.liveness.watch(onChange),
      announce: async (info) => {
        if (held) await announced.promise;
        return cluster.bus.liveness.announce(info);
      },
    };
    const nodes = ["S", { name: "Left", kind: "user" }, { name: "Right", kind: "user" }, "Join"] as const;
    const edges = ["S -> Left", "S -> Right", "Left -> Join", "Right -> Join"];
    const agents = {
      S: (x: string) => x,
      Join: (arrived: readonly { readonly value: string }[]) => arrived.map(({ value }) => value).join(),
    };
    const instance = cluster.instance({ topology: { nodes, edges }, agents, liveness });
    expect((await cluster.until(instance.execute({ task: "t", sessionId: "s" }))).status).toBe("awaiting_user");
    // The presence of a host without live sessions ends.
    await cluster.untilTrue("it is gone", async () => (await cluster.bus.liveness.alive()).length === 0);
    const [left, right] = await instance.communication.pending({ sessionId: "s" });
    held = true;
    const first = instance.communication.submitResponse(left!.questionId, "l");
    await cluster.clock.advance(100);
    const second = instance.communication.submitResponse(right!.questionId, "r");
    await cluster.clock.advance(100);
    announced.resolve();
    await cluster.until(Promise.all([first, second]));
    await cluster.untilTrue("it ends", async () => (await instance.getSession("s"))?.status === "completed");
    expect((await instance.getResult("s"))?.finalResponse).toBe("l,r");
  });
});
