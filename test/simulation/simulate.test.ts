// What users point at their own topology and agents.

import { describe, expect, it } from "vitest";
import { next } from "../../src/runtime/agent.ts";
import { simulate, type SimulateOptions } from "../../src/testing/simulation/simulate.ts";

const PAYROLL = {
  topology: { nodes: ["Clerk", "Payer"], edges: ["Clerk -> Payer"] },
  seeds: 40,
} as const;

function payingBy(keyOf: (ctx: { idempotencyKey: string; attempt: number }, calls: number) => string): SimulateOptions {
  return {
    ...PAYROLL,
    agents: ({ outside, sleep }) => ({
      Clerk: (task: unknown) => ({ pay: task }),
      Payer: async (_order: unknown, ctx) => {
        const calls = (outside.get("calls") ?? 0) + 1;
        outside.set("calls", calls);
        outside.set(`paid ${ctx.sessionId} ${keyOf(ctx, calls)}`, true);
        await sleep(50);
        return "paid";
      },
    }),
    check(result, { outside, sessionId }) {
      if (!result.success) return;
      const payments = [...outside.keys()].filter((key) => key.startsWith(`paid ${sessionId} `));
      expect(payments).toHaveLength(1);
    },
  };
}

describe("simulate", () => {
  it("finds nothing wrong with a team that can be run again", async () => {
    const report = await simulate(payingBy((ctx) => ctx.idempotencyKey));
    expect(report.findings).toEqual([]);
    expect(report).toMatchObject({ seeds: 40 });
    expect(report.runs).toBeGreaterThanOrEqual(40);
    expect(report.crashes).toBeGreaterThan(10);
    expect(report.endings["completed"]).toBeGreaterThan(30);
  });

  it("finds an agent that does its work twice, and says with which fault", async () => {
    const options = payingBy((_ctx, calls) => String(calls));
    const whole = await simulate({ ...options, failingSeedsMax: 1, shrink: false });
    const { findings } = await simulate({ ...options, failingSeedsMax: 1 });
    const [failing] = findings;
    expect(failing?.findings[0]).toMatchObject({ check: "user", message: expect.stringContaining("length of 1") });
    expect(failing?.faults.length).toBeGreaterThan(0);
    expect(failing?.faults.length).toBeLessThan(whole.findings[0]?.faults.length ?? 0);
    expect(failing?.replay).toBe(
      `simulate({ …, seeds: [${failing?.seed}], faults: ${JSON.stringify(failing?.faults)}${failing?.without.length ? `, without: ${JSON.stringify(failing.without)}` : ""} })`,
    );
    const { seed = 0, faults = [], without = [] } = failing ?? {};
    const again = await simulate({ ...options, seeds: [seed], faults, without });
    expect(again.findings[0]?.findings[0]?.check).toBe("user");
    expect((await simulate({ ...options, seeds: [seed], faults: [], without })).findings).toEqual([]);
    await expect(simulate({ ...options, seeds: [seed], faults, without, orThrow: true })).rejects.toThrow(
      `seed ${seed}\n  user (the check that was handed in holds)`,
    );
  });

  it("brings questions to a person, who answers", async () => {
    const report = await simulate({
      topology: { nodes: ["Writer", "Editor"], edges: ["Writer -> Editor"] },
      agents: {
        Writer: (input: unknown, ctx) =>
          ctx.question === undefined ? next.ask("which title?") : `on ${String(input)}`,
        Editor: (text: unknown) => `${String(text)}, edited`,
      },
      tasks: ["write"],
      answer: ({ prompt }) => (prompt === "which title?" ? "otters" : "what?"),
      faults: { "process-crash": 0.01, "lost-acknowledgement": 0.1 },
      seeds: 20,
      check: (result) =>
        result.finalResponse === "on otters, edited" ? "" : `it said ${String(result.finalResponse)}`,
    });
    expect(report.findings).toEqual([]);
    expect(Object.keys(report.faults).sort()).toEqual(["lost-acknowledgement", "process-crash"]);
  });

  it("lets an agent that hangs for ever meet its time limit, and its session an end", async () => {
    const report = await simulate({
      topology: { nodes: ["A", "B"], edges: ["A -> B"] },
      agents: { A: () => new Promise(() => undefined), B: (x: unknown) => x },
      faults: {},
      seeds: 2,
      successShareMin: false,
    });
    expect(report.findings).toEqual([]);
    expect(report.endings).toEqual({ failed: report.runs });
    expect(report.failures).toEqual([
      expect.objectContaining({ status: "failed", code: "ORCH_TIMEOUT", node: "A", runs: report.runs, share: 1 }),
    ]);
  });

  describe("when runs fail", () => {
    const team = (fails: (task: unknown) => boolean): SimulateOptions => ({
      topology: { nodes: ["A"] },
      agents: {
        A(task: unknown) {
          if (fails(task)) throw new TypeError("model is not a function");
          return task;
        },
      },
      tasks: ["one", "two"],
      faults: {},
      seeds: 10,
    });

    it("finds that every one does, and says what they failed of", async () => {
      const { findings, runs, failures } = await simulate(team(() => true));
      expect(findings).toHaveLength(1);
      expect(findings[0]?.findings).toMatchObject([
        {
          check: "success",
          message: `0 of ${runs} runs completed, expected at least one (successShareMin); 100 % failed at A: ORCH_AGENT_FAILED: model is not a function`,
        },
      ]);
      expect(failures).toMatchObject([{ runs, share: 1, node: "A" }]);
      await expect(simulate({ ...team(() => true), orThrow: true })).rejects.toThrow("0 of");
      const { seed = 0, faults = [], without = [] } = findings[0] ?? {};
      const again = await simulate({ ...team(() => true), seeds: [seed], faults, without });
      expect(again.findings[0]?.findings[0]?.check).toBe("success");
    });

    it("tells the share of those that do, and finds fault with it only where more was demanded", async () => {
      const options = team((task) => task === "two");
      const { findings, failures, runs, endings } = await simulate(options);
      expect(findings).toEqual([]);
      expect(failures).toMatchObject([{ runs: endings["failed"], share: Number(endings["failed"]) / runs }]);
      expect((await simulate({ ...options, successShareMin: 1 })).findings[0]?.findings[0]).toMatchObject({
        check: "success",
        message: expect.stringContaining("expected at least 100 %"),
      });
    });
  });

  it("finds the same agent out on several hosts, and says how many", async () => {
    const well = await simulate({ ...payingBy((ctx) => ctx.idempotencyKey), hosts: 3 });
    expect(well.findings).toEqual([]);
    expect(well.repeatedAttempts).toBeGreaterThan(0);
    expect(well.attempts).toBeGreaterThan(well.repeatedAttempts);
    const twice = payingBy((_ctx, calls) => String(calls));
    const { findings } = await simulate({ ...twice, hosts: 3, failingSeedsMax: 1 });
    const [failing] = findings;
    expect(failing?.findings[0]?.check).toBe("user");
    expect(failing?.replay).toContain(`seeds: [${failing?.seed}], hosts: 3, faults: [`);
    const { seed = 0, faults = [], without = [] } = failing ?? {};
    const again = await simulate({ ...twice, hosts: 3, seeds: [seed], faults, without });
    expect(again.findings[0]?.findings[0]?.check).toBe("user");
  });

  it("does the same for the same seeds", async () => {
    const options = { ...payingBy((ctx) => ctx.idempotencyKey), seeds: [5, 6, 7] };
    expect(await simulate(options)).toEqual(await simulate(options));
  });

  it.each([
    [{ seeds: 0 }, "ORCH_BAD_OPTION"],
    [{ seeds: [1.5] }, "ORCH_BAD_OPTION"],
    [{ faults: ["process-crash"] }, "ORCH_BAD_OPTION"],
    [{ hosts: 0 }, "ORCH_BAD_OPTION"],
    [{ successShareMin: 90 }, "ORCH_BAD_OPTION"],
    [{ executionConfig: { stepTimeoutMS: 5 } }, "ORCH_BAD_OPTION"],
    [{ topology: { nodes: ["A"], edges: ["A -> A -> Clerk -> A"] } }, "ORCH_TOPOLOGY_INVALID"],
    [{ agents: {} }, "ORCH_AGENT_UNKNOWN"],
  ])("refuses %j", async (wrong, code) => {
    await expect(simulate({ ...payingBy(() => ""), ...(wrong as Partial<SimulateOptions>) })).rejects.toMatchObject({
      code,
    });
  });

  it("names the option that an unknown one may be meant for", async () => {
    const wrong = { ...payingBy(() => ""), seed: 5 } as SimulateOptions;
    await expect(simulate(wrong)).rejects.toMatchObject({
      code: "ORCH_BAD_OPTION",
      message: 'seed: unknown option; did you mean "seeds"?',
    });
  });
});
