// What hostile use once broke. Each test opens with the root cause.

import { describe, expect, it } from "vitest";
import { memoryStorage, next, Orchestra, OrchestraInstance, StateManager } from "orchestra";

const one = (run: (input: any, ctx: any) => unknown) => ({
  task: "t",
  topology: { nodes: ["A"], edges: [] },
  agents: { A: run },
});

describe("an instance without a store", () => {
  // A reader of events that was nudged between looking and waiting slept through it, and the caller with it.
  it("refuses to resume what is not there, every time", async () => {
    await using instance = new OrchestraInstance({ topology: { nodes: ["A"], edges: [] }, agents: { A: () => 1 } });
    for (let i = 0; i < 20; i++) {
      await instance.execute({ task: `${i}`, sessionId: `s${i}` });
      await expect(instance.resumeSession("typo")).rejects.toMatchObject({ code: "ORCH_SESSION_UNKNOWN" });
      await expect(instance.resumeSession(`s${i}`)).rejects.toMatchObject({ code: "ORCH_SESSION_STATE" });
    }
  });

  // A session could be opened on an engine that had closed meanwhile; nobody worked on it any more.
  it("settles a run that was begun just before it closed", async () => {
    for (let ticks = 0; ticks < 6; ticks++) {
      const instance = new OrchestraInstance({ topology: { nodes: ["A"], edges: [] }, agents: { A: () => 1 } });
      const running = instance.execute({ task: "x" }).then(
        (result) => result.status,
        (error: { code: string }) => error.code,
      );
      for (let i = 0; i < ticks; i++) await Promise.resolve();
      await instance.close();
      expect(["completed", "paused", "ORCH_CLOSED"]).toContain(await running);
    }
  });
});

describe("what an agent throws", () => {
  const revoked = (): object => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  };
  const trapped = (): object =>
    new Proxy(new Error("x"), {
      getPrototypeOf() {
        throw new Error("no prototype for you");
      },
    });

  // `instanceof` asks a proxy for its prototype, and the question itself may throw.
  it.each([
    ["a revoked proxy", revoked],
    ["a proxy whose traps throw", trapped],
    ["an error whose list of errors is a revoked proxy", () => Object.assign(new Error("x"), { errors: revoked() })],
  ])("may be %s: the step fails with a code and the process lives", async (_, make) => {
    for (const throwing of [
      () => {
        throw make();
      },
      async () => {
        throw make();
      },
    ]) {
      const result = await Orchestra.run(one(throwing));
      expect(result).toMatchObject({ status: "failed", error: { code: "ORCH_AGENT_FAILED" } });
    }
  });
});

describe("names that every object knows", () => {
  // Records keyed by the user's names were read with `[]`, so `constructor` was found on the prototype.
  it.each(["constructor", "toString", "__proto__", "hasOwnProperty"])(
    "%s is a key of ctx.once like any other",
    async (key) => {
      let calls = 0;
      const result = await Orchestra.run({
        ...one(async (_, ctx) => {
          const value = await ctx.once(key, () => ++calls);
          if (ctx.attempt === 1) throw Object.assign(new Error("again"), { retryable: true });
          return value;
        }),
        executionConfig: { retry: { transient: { initialDelayMs: 1 } } },
      });
      expect([result.finalResponse, calls]).toEqual([1, 1]);
    },
  );

  it.each(["constructor", "toString", "valueOf"])(
    "%s is a name of a node and a key of ctx.state like any other",
    async (name) => {
      const result = await Orchestra.run({
        task: "t",
        topology: { nodes: [name], edges: [] },
        agents: {
          [name]: (input: unknown, ctx: any) => {
            if (ctx.question === undefined) {
              expect(ctx.state.get("toString")).toBeUndefined();
              ctx.state.set(name, "kept");
              return next.final({ was: ctx.state.get(name), input });
            }
            return null;
          },
        },
      });
      expect(result.finalResponse).toEqual({ was: "kept", input: "t" });
      expect(result.getAgentInvocationCount(name)).toBe(1);
      expect(result.getAgentInvocationCount("hasOwnProperty")).toBe(0);
    },
  );

  it("__proto__ is refused as a name of a node and as a key of ctx.state", async () => {
    await expect(
      Orchestra.run({ task: "t", topology: { nodes: ["__proto__"], edges: [] }, agents: {} }),
    ).rejects.toMatchObject({ code: "ORCH_TOPOLOGY_INVALID" });
    const result = await Orchestra.run(one((_, ctx) => ctx.state.set("__proto__", 1)));
    expect(result.error).toMatchObject({ code: "ORCH_BAD_OPTION" });
  });
});

it("a step may record thousands of results, and a re-run finds them all", async () => {
  // Each record copied all those before it.
  let calls = 0;
  const store = memoryStorage();
  const result = await Orchestra.run({
    ...one(async (_, ctx) => {
      let sum = 0;
      for (let i = 0; i < 3_000; i++) sum += await ctx.once(`key ${i}`, () => (calls++, i));
      if (ctx.attempt === 1) throw Object.assign(new Error("again"), { retryable: true });
      return sum;
    }),
    stateManager: new StateManager({ storage: store }),
    executionConfig: { retry: { transient: { initialDelayMs: 1 } } },
  });
  expect([result.finalResponse, calls]).toEqual([(2_999 * 3_000) / 2, 3_000]);
});
