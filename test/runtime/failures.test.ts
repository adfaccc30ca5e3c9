import { describe, expect, it } from "vitest";
import { Orchestra } from "../../src/runtime/orchestra.ts";
import { SimClock } from "../../src/testing/sim-clock.ts";
import { code, deferred, LIMITS, request, RETRY, run, topology, world } from "./world.ts";

describe("a step that goes wrong", () => {
  it("fails the run with the agent's own message, thrown at once or later", async () => {
    const { engine } = world();
    for (const agent of [
      () => {
        throw new Error("no such page");
      },
      async () => {
        throw new Error("no such page");
      },
    ]) {
      const outcome = await run(engine, 1, topology("A -> B"), { A: agent, B: (x) => x });
      expect(outcome.status).toBe("failed");
      expect(outcome.error).toMatchObject({ message: "no such page", node: "A" });
      expect(outcome.finalResponse).toBeNull();
    }
    await engine.close();
  });

  it.each<[unknown[], string]>([
    [[() => 1], "once: key: expected a non-empty string, got a function"],
    [["", () => 1], 'once: key: expected a non-empty string, got ""'],
    [["pay"], "once: fn: expected a function, got undefined"],
    [["pay", Promise.resolve(1)], "once: fn: expected a function, got an instance of Promise"],
  ])("refuses ctx.once with %s, saying what was expected", async (args, message) => {
    const { engine } = world();
    const agents = { A: (_x: unknown, ctx: any) => ctx.once(...args) };
    expect((await run(engine, "t", topology("A"), agents)).error).toMatchObject({ code: "ORCH_BAD_OPTION", message });
    await engine.close();
  });

  it("survives agents that throw what is no error", async () => {
    const { engine } = world();
    for (const thrown of [
      undefined,
      null,
      "text",
      7,
      { message: "plain" },
      Object.create(null),
      new Proxy(
        {},
        {
          get: () => {
            throw new Error("trap");
          },
        },
      ),
    ]) {
      const outcome = await run(engine, 1, topology("A"), {
        A: () => {
          throw thrown;
        },
      });
      expect(outcome.status).toBe("failed");
      expect(typeof outcome.error?.message).toBe("string");
    }
    await engine.close();
  });

  it.each([
    [
      "a cycle",
      () => {
        const ring: Record<string, unknown> = {};
        ring["self"] = ring;
        return ring;
      },
      "ORCH_NOT_SERIALIZABLE",
    ],
    ["a function", () => ({ items: [{ fn: () => 1 }] }), "ORCH_NOT_SERIALIZABLE"],
    ["50 MB", () => "x".repeat(50 * 1024 * 1024), "ORCH_PAYLOAD_TOO_LARGE"],
    [
      "a thenable that throws",
      () =>
        Object.defineProperty({}, "then", {
          enumerable: true,
          get: () => {
            throw new Error("trap");
          },
        }),
      "ORCH_AGENT_FAILED",
    ],
  ])("refuses %s as an output, and the worker stays well", async (_what, agent, expected) => {
    const { engine } = world();
    const outcome = await run(engine, 1, topology("A"), { A: agent });
    expect(outcome.status).toBe("failed");
    expect(outcome.error?.code).toBe(expected);
    expect((await run(engine, 1, topology("A"), { A: () => "fine" })).finalResponse).toBe("fine");
    await engine.close();
  });

  it("tries a transient failure three times and gives each attempt the same idempotency key", async () => {
    const { engine } = world();
    const keys: string[] = [];
    const outcome = await run(engine, 1, topology("A"), {
      A: (_x, ctx) => {
        keys.push(`${ctx.attempt}:${ctx.idempotencyKey}`);
        if (keys.length < 3) throw Object.assign(new Error("reset"), { code: "ECONNRESET" });
        return keys.length;
      },
    });
    expect(outcome.finalResponse).toBe(3);
    expect(keys.map((key) => key.split(":")[0])).toEqual(["1", "2", "3"]);
    expect(new Set(keys.map((key) => key.slice(2))).size).toBe(1);
    expect(outcome.trace.map((step) => [step.attempt, step.error?.message ?? null])).toEqual([
      [1, "reset"],
      [2, "reset"],
      [3, null],
    ]);
    await engine.close();
  });

  it("waits as long as the error asks before the next attempt", async () => {
    const { engine } = world();
    const times: number[] = [];
    await run(engine, 1, topology("A"), {
      A: () => {
        times.push(performance.now());
        if (times.length === 1) throw Object.assign(new Error("slow down"), { status: 429, retryAfterMs: 60 });
        return 1;
      },
    });
    expect((times[1] as number) - (times[0] as number)).toBeGreaterThanOrEqual(55);
    await engine.close();
  });

  it("follows the agent's own retry policy, and never retries next.fail", async () => {
    const { engine } = world();
    let calls = 0;
    const agent = {
      name: "A",
      retry: { maxAttempts: 4 },
      run: () => {
        calls++;
        throw new Error("always");
      },
    };
    expect((await run(engine, 1, topology("A"), { A: agent })).status).toBe("failed");
    expect(calls).toBe(4);
    calls = 0;
    const { next } = await import("../../src/runtime/agent.ts");
    const failing = {
      name: "A",
      retry: { maxAttempts: 4 },
      run: () => {
        calls++;
        return next.fail("no");
      },
    };
    expect((await run(engine, 1, topology("A"), { A: failing })).error?.message).toBe("no");
    expect(calls).toBe(1);
    await engine.close();
  });

  it("ends an agent that never returns at its time limit, aborts its signal and goes on without it", async () => {
    const { engine } = world();
    let reason: unknown;
    const outcome = await run(
      engine,
      1,
      topology("A"),
      {
        A: (_x, ctx) => {
          ctx.signal.addEventListener("abort", () => {
            reason = ctx.signal.reason;
          });
          return new Promise(() => undefined);
        },
      },
      { limits: { ...LIMITS, stepTimeoutMs: 30 } },
    );
    expect(outcome.error?.code).toBe("ORCH_TIMEOUT");
    expect(reason).toMatchObject({ code: "ORCH_TIMEOUT" });
    await engine.close();
  });

  it("keeps a slow step alive while it sends heartbeats", async () => {
    const clock = new SimClock();
    const { engine } = world({ clock });
    const running = run(
      engine,
      1,
      topology("A"),
      {
        A: async (_x, ctx) => {
          for (let i = 0; i < 6; i++) {
            await new Promise<void>((resolve) => clock.setTimer(75, resolve));
            ctx.heartbeat();
          }
          return "alive";
        },
      },
      { limits: { ...LIMITS, stepTimeoutMs: 100 } },
    );
    await clock.advance(6 * 75);
    expect((await running).finalResponse).toBe("alive");
    await engine.close();
  });

  it("drops what an agent does after its attempt has ended, its rejection included", async () => {
    const { engine } = world();
    const gate = deferred();
    const unhandled: unknown[] = [];
    const note = (error: unknown) => unhandled.push(error);
    process.on("unhandledRejection", note);
    const handle = await engine.start(
      request(1, topology("A"), {
        A: async () => {
          await gate.promise;
          throw new Error("too late");
        },
      }),
    );
    expect(await engine.cancel(handle.sessionId, "enough")).toBe(true);
    const outcome = await handle.outcome;
    expect(outcome.status).toBe("cancelled");
    gate.resolve();
    await new Promise((resolve) => setImmediate(resolve));
    expect((await engine.outcome(handle.sessionId)).trace).toEqual([]);
    process.off("unhandledRejection", note);
    expect(unhandled).toEqual([]);
    await engine.close();
  });

  it("fails a step for good when a condition throws, naming the condition", async () => {
    const { engine } = world();
    const conditions = {
      broken: () => {
        throw new Error("oops");
      },
    };
    const outcome = await run(
      engine,
      1,
      topology({ edge: "A -> B", condition: "broken" }),
      code(
        { A: (x) => x, B: (x) => x },
        { conditions, retry: { ...RETRY, permanent: { ...RETRY.permanent, maxAttempts: 3 } } },
      ),
    );
    expect(outcome.error?.code).toBe("ORCH_CONDITION");
    expect(outcome.error?.message).toContain("broken");
    expect(outcome.trace).toHaveLength(1);
    await engine.close();
  });

  it("refuses an input or output that its agent's own check refuses", async () => {
    const { OrchestraError } = await import("../../src/base/errors.ts");
    const { engine } = world();
    const strict = {
      name: "A",
      parseOutput: () => {
        throw new OrchestraError("ORCH_INVALID_OUTPUT", "not a number");
      },
      run: () => "x",
    };
    const invalid = await run(
      engine,
      1,
      topology("A"),
      code({ A: strict }, { retry: { ...RETRY, invalid_output: { ...RETRY.invalid_output, maxAttempts: 2 } } }),
    );
    expect(invalid.error?.code).toBe("ORCH_INVALID_OUTPUT");
    expect(invalid.trace).toHaveLength(2);
    await engine.close();
  });
});

describe("a condition on an error edge", () => {
  it.each([
    ["the caller of the agent that failed", { from: "A", to: "B", type: "query" as const }],
    ["who opened the conversation with it", { from: "A", to: "B", pattern: "conversation" as const }],
  ])("is judged on the error for %s", async (_, edge) => {
    for (const [condition, status] of [
      ["output.message == 'boom'", "completed"],
      ["output.message == 'other'", "failed"],
    ] as const) {
      const result = await Orchestra.run({
        task: "x",
        topology: { nodes: ["A", "B", "Fix"], edges: [edge, { from: "A", to: "Fix", on: "error", condition }] },
        agents: {
          A: (value) => value,
          B: () => {
            throw new Error("boom");
          },
          Fix: (_input, ctx) => `fixed ${ctx.error?.message}`,
        },
      });
      expect(result.status).toBe(status);
      if (status === "completed") expect(result.finalResponse).toBe("fixed boom");
    }
  });
});
