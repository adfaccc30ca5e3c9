// Agents that stand in for one another, and breakers that keep from asking what fails anyway.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Orchestra, type AgentFunction } from "orchestra";
import { CircuitBreaker, fallbackChain, type FallbackChainOptions } from "orchestra/orchestrator";

function failing(error: string, asked: string[]): AgentFunction {
  return () => {
    asked.push(error);
    throw new Error(error);
  };
}

const ask = (options: FallbackChainOptions) => {
  const chain = fallbackChain(options);
  return () => Orchestra.run({ task: "t", topology: { nodes: ["Chain"], edges: [] }, agents: { Chain: chain } });
};

describe("a fallback chain", () => {
  it("gives what the first gives that does not fail, each with a journal of its own", async () => {
    const asked: string[] = [];
    const run = ask({
      agents: {
        First: async (input, ctx) => {
          await ctx.once("call", () => "first");
          return failing("first", asked)(input, ctx) as unknown;
        },
        Second: (_input, ctx) => ctx.once("call", () => "second"),
        Third: failing("third", asked),
      },
    });
    expect((await run()).orThrow().finalResponse).toBe("second");
    expect(asked).toEqual(["first"]);
  });

  it("fails with the error of the last when all fail", async () => {
    const asked: string[] = [];
    const result = await ask({ agents: { A: failing("a", asked), B: failing("b", asked) } })();
    expect(result).toMatchObject({ status: "failed", error: { message: "b" } });
    expect(asked).toEqual(["a", "b"]);
  });

  it("does not ask one that failed three times in a row until its time is over, and then once", async () => {
    const asked: string[] = [];
    let nowMs = 0;
    const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs, setTimer: () => () => undefined };
    const run = ask({ agents: { A: failing("a", asked), B: () => "b" }, breaker: { cooldownMs: 1_000 }, clock });
    for (let i = 0; i < 5; i++) expect((await run()).finalResponse).toBe("b");
    expect(asked).toHaveLength(3);
    nowMs = 1_000;
    await run();
    await run();
    expect(asked).toHaveLength(4);
  });

  it("is refused when wrong", () => {
    expect(() => fallbackChain({ agents: {} })).toThrow(/agents by name, at least one/);
    expect(() => fallbackChain({ agents: { A: () => 1 }, breaker: { cooldownMs: 0 } })).toThrow(/breaker.cooldownMs/);
  });
});

describe("a circuit breaker", () => {
  const step = fc.record({ after: fc.nat(40), ok: fc.boolean() });

  it("asks nothing while it is open, and one at a time when that is over", () => {
    fc.assert(
      fc.property(fc.array(step), fc.integer({ min: 1, max: 4 }), (steps, failureThreshold) => {
        const breaker = new CircuitBreaker({ failureThreshold, cooldownMs: 50 });
        let nowMs = 0;
        let row = 0;
        let openedAtMs: number | undefined;
        for (const { after, ok } of steps) {
          nowMs += after;
          const isOpen = openedAtMs !== undefined && nowMs - openedAtMs < 50;
          const admitted = breaker.admit(nowMs);
          expect(admitted).toBe(!isOpen);
          if (!admitted) continue;
          if (openedAtMs !== undefined) expect(breaker.admit(nowMs)).toBe(false);
          if (ok) {
            breaker.succeeded();
            [row, openedAtMs] = [0, undefined];
          } else {
            breaker.failed(nowMs);
            row += 1;
            if (openedAtMs !== undefined || row >= failureThreshold) openedAtMs = nowMs;
          }
        }
      }),
    );
  });
});
