import { describe, expect, it } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { OrchestraError } from "../../src/base/errors.ts";
import { createLocalBus } from "../../src/bus/local-bus.ts";
import type { Bus } from "../../src/bus/ports.ts";
import { memoryStorage } from "../../src/state/memory-store.ts";
import type { AppendRequest, SessionStore } from "../../src/state/ports.ts";
import { nestedIn } from "../../src/state/nested-sessions.ts";
import { next } from "../../src/runtime/agent.ts";
import { AROUND_STANDS_STILL } from "../../src/runtime/nested-ends.ts";
import type { NestedHooks } from "../../src/runtime/nested.ts";
import type { TopologyData } from "../../src/topology/types.ts";
import { SimClock } from "../../src/testing/sim-clock.ts";
import { code, deferred, LIMITS, request, topology, world } from "./world.ts";

interface Inner {
  readonly task: unknown;
  readonly topology: TopologyData;
}

/** `ctx.run({ task, topology })` with the agents of the run around it; gives the outcome. */
const hooks: NestedHooks = {
  prepare: (options, parent) => {
    const { task, topology: data } = options as Inner;
    return { task, topology: data, topologyHash: JSON.stringify(data), code: parent, limits: LIMITS };
  },
  result: (outcome) => outcome,
};

const INNER = topology("X -> Y");
const outer = (x: unknown, ctx: { run(options: unknown): Promise<any> }) =>
  ctx
    .run({ task: x, topology: INNER })
    .then((outcome) =>
      outcome.status === "completed" ? outcome.finalResponse : Promise.reject(new Error(outcome.error?.message)),
    );

/** Refuses the first commit of every nested session that is meant. */
function refusing(store: SessionStore, isMeant: (commit: AppendRequest["commit"]) => boolean): SessionStore {
  const refused = new Set<string>();
  return new Proxy(store, {
    get(target, key) {
      if (key === "append")
        return (asked: AppendRequest) =>
          asked.sessionId.includes(".") &&
          isMeant(asked.commit) &&
          !refused.has(asked.sessionId) &&
          refused.add(asked.sessionId)
            ? Promise.reject(new OrchestraError("ORCH_STORE_FAILED", "no space left on device"))
            : target.append(asked);
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

describe("a nested run", () => {
  // It was forgotten when the store failed under it, and said to be running until the next process came.
  it("whose store fails does not stay running when its step is over", async () => {
    const store = refusing(memoryStorage(), ({ n }) => n === 2);
    const { engine } = world({ nested: hooks, store });
    const agents = code({
      A: (x, ctx) => ctx.run({ task: x, topology: INNER }).catch(() => "went on without"),
      X: (x) => x,
      Y: (x) => x,
    });
    const handle = await engine.start(request("t", topology("A"), agents));
    expect((await handle.outcome).finalResponse).toBe("went on without");
    const [nested] = await nestedIn(store, handle.sessionId);
    await expect.poll(async () => (await engine.getSession(nested!.sessionId))?.status).toBe("cancelled");
    await engine.close();
  });

  // It was cancelled once, the store refused that, and it stayed as it was until the next process came.
  it.each(["the run around it", "its step"])("ends with %s although the store fails at that moment", async (what) => {
    let refusals = 0;
    const store = refusing(
      memoryStorage(),
      ({ facts }) => facts.some(({ type }) => type === "cancelled") && ++refusals > 0,
    );
    const { engine } = world({ nested: hooks, store });
    const asks = deferred();
    const agents = code({
      A: async (x, ctx) => {
        const nested = ctx.run({ task: x, topology: INNER });
        if (what === "the run around it") return nested;
        await asks.promise;
        return "went on without";
      },
      X: () => {
        asks.resolve();
        return what === "the run around it" ? next.ask("well?") : new Promise(() => undefined);
      },
      Y: (x) => x,
    });
    const handle = await engine.start(request("t", topology("A"), agents));
    const { status } = await handle.outcome;
    if (status === "awaiting_user") await engine.cancel(handle.sessionId);
    const [nested] = await nestedIn(store, handle.sessionId);
    await expect.poll(async () => (await engine.getSession(nested!.sessionId))?.status).toBe("cancelled");
    expect(refusals).toBeGreaterThan(1);
    await engine.close();
  });

  // The step was claimed, and its worker heard of it only after the run had ended: the nested run then stood alone.
  it("does not begin when the run around it has ended", async () => {
    const bus = createLocalBus({ clock: systemClock() });
    const [claimed, came, over] = [deferred(), deferred(), deferred()];
    const { steps } = bus;
    const far: Bus = {
      ...bus,
      close: () => bus.close(),
      steps: {
        offer: (step) => steps.offer(step),
        withdraw: (...about) => steps.withdraw(...about),
        depth: (agent) => steps.depth(agent),
        serve: ({ run, ...options }) =>
          steps.serve({
            ...options,
            run: async (claim) => {
              claimed.resolve();
              await came.promise;
              await run(claim);
              over.resolve();
            },
          }),
      },
    };
    const { engine, store } = world({ nested: hooks, bus: far });
    const agents = code({ A: outer, X: (x) => x, Y: (x) => x });
    const handle = await engine.start(request("t", topology("A"), agents));
    await claimed.promise;
    await engine.cancel(handle.sessionId);
    await handle.outcome;
    came.resolve();
    await over.promise;
    expect(await nestedIn(store, handle.sessionId)).toEqual([]);
    await engine.close();
  });

  it("is a session of its own whose steps count for its parent", async () => {
    const { engine, store } = world({ nested: hooks });
    const agents = code({
      A: outer,
      B: (x) => `${x}b`,
      X: (x) => `${x}x`,
      Y: (x, ctx) => {
        ctx.usage({ inputTokens: 5 });
        return `${x}y`;
      },
    });
    const handle = await engine.start(request("t", topology("A -> B"), agents));
    const outcome = await handle.outcome;
    expect(outcome.finalResponse).toBe("txyb");
    expect(outcome.state.run?.steps).toBe(4);
    expect(outcome.state.run?.usage).toMatchObject({ inputTokens: 5, nestedSteps: 2 });
    const nestedId = (await nestedIn(store, handle.sessionId))[0]!.sessionId;
    expect(await engine.getSession(nestedId)).toMatchObject({ status: "completed", parentSessionId: handle.sessionId });
    await engine.close();
  });

  it("may take no more steps than its parent has left", async () => {
    const { engine } = world({ nested: hooks });
    const agents = code({ A: outer, X: (x) => x, Y: (x) => x });
    const outcome = await (
      await engine.start(request("t", topology("A"), agents, { limits: { ...LIMITS, maxSteps: 2 } }))
    ).outcome;
    expect(outcome.status).toBe("failed");
    expect(outcome.error?.message).toContain("steps");
    await engine.close();
  });

  it("is cancelled with its parent", async () => {
    const { engine } = world({ nested: hooks });
    const reached = deferred();
    const agents = code({
      A: outer,
      X: () => {
        reached.resolve();
        return new Promise(() => undefined);
      },
      Y: (x) => x,
    });
    const handle = await engine.start(request("t", topology("A"), agents));
    await reached.promise;
    const [nested] = (await engine.listSessions()).filter((entry) => entry.parentSessionId !== undefined);
    await engine.cancel(handle.sessionId);
    expect((await handle.outcome).status).toBe("cancelled");
    for await (const event of engine.events(nested!.sessionId, { untilSettled: true })) void event;
    expect((await engine.getSession(nested!.sessionId))?.status).toBe("cancelled");
    await engine.close();
  });

  it("makes its question the parent's; the answer goes through the parent, and the nested run goes on where it asked", async () => {
    const { engine, again } = world({ nested: hooks });
    const calls: string[] = [];
    const agents = code({
      A: outer,
      X: (x) => {
        calls.push("X");
        return x;
      },
      Y: (x, ctx) => (ctx.question ? `answered ${x}` : ctx.ask("really?")),
    });
    const handle = await engine.start(request("t", topology("A"), agents));
    expect((await handle.outcome).status).toBe("awaiting_user");
    const [question] = await engine.questions(handle.sessionId);
    expect(question).toMatchObject({ kind: "nested", promptValue: "really?", session: handle.sessionId });
    expect(await engine.questions()).toHaveLength(1);
    await engine.close();
    const later = again({ nested: hooks }).engine;
    const outcome = await (await later.resume(handle.sessionId, { code: agents, userResponse: "yes" })).outcome;
    expect(outcome.finalResponse).toBe("answered yes");
    expect(calls).toEqual(["X"]);
    await later.close();
  });

  it("is answered through its parent also when the answer names the nested session", async () => {
    const { engine } = world({ nested: hooks });
    const agents = code({
      A: outer,
      X: (x) => x,
      Y: (x, ctx) => (ctx.question ? `answered ${x}` : ctx.ask("really?")),
    });
    const handle = await engine.start(request("t", topology("A"), agents));
    await handle.outcome;
    const [question] = await engine.questions(handle.sessionId);
    await engine.answer(question!.sessionId as string, question!.questionId, "sure");
    for await (const event of engine.events(handle.sessionId)) if (event.type === "run.completed") break;
    expect((await engine.outcome(handle.sessionId)).finalResponse).toBe("answered sure");
    await engine.close();
  });

  it("is paused with its parent, and both go on after a restart without doing anything twice", async () => {
    const { engine, again } = world({ nested: hooks });
    const gate = deferred();
    const reached = deferred();
    const calls: string[] = [];
    const agents = code({
      A: outer,
      X: async (x) => {
        calls.push("X");
        reached.resolve();
        await gate.promise;
        return `${x}x`;
      },
      Y: (x) => {
        calls.push("Y");
        return `${x}y`;
      },
    });
    const handle = await engine.start(request("t", topology("A"), agents));
    await reached.promise;
    await engine.pause(handle.sessionId);
    gate.resolve();
    expect((await handle.outcome).status).toBe("paused");
    await engine.close();
    const later = again({ nested: hooks }).engine;
    const outcome = await (await later.resume(handle.sessionId, { code: agents })).outcome;
    expect(outcome.finalResponse).toBe("txy");
    expect(calls).toEqual(["X", "Y"]);
    await later.close();
  });

  it.each([
    ["goes on by itself when its parent's pause gets to it after the parent went on", AROUND_STANDS_STILL, true],
    ["stays paused when it alone was paused, until it is resumed", "let me look", false],
  ])("%s", async (_, reason, goesOnByItself) => {
    const { engine } = world({ nested: hooks });
    const gate = deferred();
    const reached = deferred();
    const X = async (x: string) => {
      reached.resolve();
      await gate.promise;
      return `${x}x`;
    };
    const agents = code({ A: outer, X, Y: (x) => `${x}y` });
    const handle = await engine.start(request("t", topology("A"), agents));
    await reached.promise;
    const [nested] = await nestedIn(engine, handle.sessionId);
    await engine.pause(nested!.sessionId, reason);
    gate.resolve();
    if (!goesOnByItself) {
      await expect.poll(async () => (await engine.getSession(nested!.sessionId))?.status).toBe("paused");
      await new Promise((resolve) => setTimeout(resolve, 600));
      expect((await engine.getSession(nested!.sessionId))?.status).toBe("paused");
      await engine.resume(nested!.sessionId, { code: agents });
    }
    expect((await handle.outcome).finalResponse).toBe("txy");
    await engine.close();
  });

  it("is found again after a crash by the step that ran it", async () => {
    const { engine, again } = world({ nested: hooks });
    const reached = deferred();
    const calls: string[] = [];
    const agents = (stuck: boolean) =>
      code({
        A: outer,
        X: (x) => {
          calls.push("X");
          return `${x}x`;
        },
        Y: (x) => {
          if (!stuck) return `${x}y`;
          reached.resolve();
          return new Promise(() => undefined);
        },
      });
    const handle = await engine.start(request("t", topology("A"), agents(true)));
    await reached.promise;
    await engine.close();
    const later = again({ nested: hooks }).engine;
    const recovered = await later.recover({ code: () => agents(false) });
    expect(recovered.map((one) => one.sessionId)).toEqual([handle.sessionId]);
    expect((await recovered[0]!.handle!.outcome).finalResponse).toBe("txy");
    expect(calls).toEqual(["X"]);
    await later.close();
  });

  it("does not count against the time limit of the step that waits for it", async () => {
    const clock = new SimClock();
    const { engine } = world({ nested: hooks, clock });
    const agents = code({
      A: outer,
      X: { name: "X", timeoutMs: false, run: (x) => new Promise((resolve) => clock.setTimer(120, () => resolve(x))) },
      Y: (x) => x,
    });
    const limits = { ...LIMITS, stepTimeoutMs: 40 };
    const { outcome } = await engine.start(request("t", topology("A"), agents, { limits }));
    await clock.advance(120);
    expect((await outcome).finalResponse).toBe("t");
    await engine.close();
  });

  // Recovery passed nested sessions over, so one whose parent was gone stayed "running" with nobody behind it.
  // Recovery tried once, and left what the store refused then to the next process.
  it.each([0, 1])("is cancelled by recovery when the run around it is gone, after %i refusals", async (refusals) => {
    const { engine, store, again } = world({ nested: hooks });
    const reached = deferred();
    const agents = code({
      A: outer,
      X: () => {
        reached.resolve();
        return new Promise(() => undefined);
      },
      Y: (x) => x,
    });
    const handle = await engine.start(request("t", topology("A"), agents));
    await reached.promise;
    await engine.close();
    await store.deleteSession(handle.sessionId);
    const refused = refusing(store, ({ facts }) => refusals > 0 && facts.some(({ type }) => type === "cancelled"));
    const later = again({ nested: hooks, store: refused }).engine;
    expect(await later.recover()).toEqual([]);
    const statuses = async () => (await later.listSessions()).map((entry) => entry.status);
    expect(await statuses()).toEqual([refusals > 0 ? "running" : "cancelled"]);
    await expect.poll(statuses).toEqual(["cancelled"]);
    await later.close();
  });

  // The runs of an attempt that will be repeated were told from those of a step that is over by nothing.
  it("goes on while its step waits for another attempt, and is found by it", async () => {
    const { engine } = world({ nested: hooks });
    const gate = deferred();
    const calls: unknown[] = [];
    const slow = async (ctx: any): Promise<unknown> => (await ctx.run({ task: "slow", topology: INNER })).finalResponse;
    const agents = code({
      A: async (_, ctx) => {
        const slowly = slow(ctx);
        if (ctx.attempt > 1) {
          gate.resolve();
          return slowly;
        }
        while (calls.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
        throw Object.assign(new Error("again"), { code: "ECONNRESET" });
      },
      X: async (x) => {
        calls.push(x);
        await gate.promise;
        return x;
      },
      Y: (x) => `${x} y`,
    });
    const outcome = await (await engine.start(request("t", topology("A"), agents))).outcome;
    expect(outcome.finalResponse).toBe("slow y");
    expect(calls).toEqual(["slow"]);
    await engine.close();
  });

  // Only nested runs that somebody still held were looked for when a run was started over.
  it("is cancelled when its parent, which waits, is started over", async () => {
    const { engine, store } = world({ nested: hooks });
    const agents = code({ A: outer, X: (x) => x, Y: (_, ctx) => ctx.ask("really?") });
    const start = (fresh: boolean) =>
      engine.start(request("t", topology("A"), agents, { sessionId: "s", fresh })).then((handle) => handle.outcome);
    await start(false);
    expect((await start(true)).status).toBe("awaiting_user");
    expect((await nestedIn(store, "s")).map((entry) => entry.status)).toEqual(["cancelled", "awaiting_user"]);
    await engine.close();
  });
});
