import { describe, expect, it } from "vitest";

import { mergeExecutionConfig, resolveLimits, type ExecutionConfig } from "../../../src/runtime/execution-config.ts";
import { resolveRetry } from "../../../src/runtime/retry-option.ts";
import {
  assertInstanceOptions,
  assertRunOptions,
  assertTaskOptions,
  sessionIdOf,
  type RunOptions,
} from "../../../src/runtime/run-options.ts";

const good: RunOptions = { task: "t", topology: { nodes: ["A"] }, agents: { A: () => 1 } };

function refusal(options: object): string {
  try {
    assertRunOptions({ ...good, ...options } as RunOptions);
  } catch (error) {
    expect(error).toMatchObject({ code: "ORCH_BAD_OPTION" });
    return (error as Error).message;
  }
  return "accepted";
}
const inConfig = (executionConfig: object): string => refusal({ executionConfig });

describe("run options", () => {
  it("are accepted when they are right, undefined ones included", () => {
    expect(refusal({})).toBe("accepted");
    expect(refusal({ context: undefined, maxSteps: undefined, budget: undefined, task: { any: "object" } })).toBe(
      "accepted",
    );
    const executionConfig: ExecutionConfig = {
      convergenceTimeoutMs: 1,
      branchTimeoutMs: 600_000,
      stepTimeoutMs: false,
      dynamicConvergenceEnabled: false,
      convergencePolicy: { quorum: 2 },
      steeringMode: "always",
      maxConcurrency: 1,
      retry: { transient: { maxAttempts: 5, jitter: 0 } },
      autoCheckpoint: { everySteps: 10, keep: 2 },
    };
    expect(inConfig(executionConfig)).toBe("accepted");
  });

  it("name an unknown option and the one that was probably meant", () => {
    expect(refusal({ tasks: "x" })).toBe('tasks: unknown option; did you mean "task"?');
    expect(inConfig({ stepTimoutMs: 5 })).toBe(
      'executionConfig.stepTimoutMs: unknown option; did you mean "stepTimeoutMs"?',
    );
    expect(inConfig({ retry: { transient: { maxAttemps: 5 } } })).toBe(
      'executionConfig.retry.transient.maxAttemps: unknown option; did you mean "maxAttempts"?',
    );
    expect(refusal({ budget: { euros: 5 } })).toBe(
      "budget.euros: unknown option; known are tokens, costUsd, durationMs",
    );
  });

  it.each([
    [
      { convergenceTimeoutMs: 0 },
      "executionConfig.convergenceTimeoutMs: expected milliseconds above 0, or false to switch the bound off, got 0",
    ],
    [{ branchTimeoutMs: -1 }, "branchTimeoutMs"],
    [{ stepTimeoutMs: "1s" }, "stepTimeoutMs"],
    [{ stepTimeoutMs: Infinity }, "got Infinity"],
    [{ maxConcurrency: 0 }, "maxConcurrency: expected a whole number from 1"],
    [{ steeringMode: "often" }, "steeringMode"],
    [{ convergencePolicy: "most" }, "convergencePolicy"],
    [{ convergencePolicy: { minRatio: 2 } }, "convergencePolicy"],
    [{ convergencePolicy: { quorum: 1, minRatio: 0.5 } }, "convergencePolicy"],
    [{ dynamicConvergenceEnabled: 1 }, "dynamicConvergenceEnabled: expected true or false"],
    [{ retry: { permanent: { maxAttempts: 0 } } }, "retry.permanent.maxAttempts"],
    [{ retry: { transient: { factor: 0.5 } } }, "retry.transient.factor"],
    [{ autoCheckpoint: { everySteps: 0 } }, "autoCheckpoint.everySteps"],
    [{ status: 1 }, "status: expected StatusConfig"],
  ])("refuse executionConfig %j", (config, message) => {
    expect(inConfig(config)).toContain(message);
  });

  it.each([
    [{ task: 5 }, "task: expected a string or a plain object, got 5"],
    [{ task: undefined }, "task"],
    [{ topology: undefined }, "topology"],
    [{ agents: [] }, "agents"],
    [{ agentRegistry: {} }, "agentRegistry"],
    [{ agentRegistry: { get: () => undefined, names: () => [] } }, "either agents or agentRegistry"],
    [{ context: [] }, "context: expected an object, got an array"],
    [{ conditions: { valid: true } }, "conditions"],
    [{ maxSteps: 0 }, "maxSteps"],
    [{ maxSteps: 1.5 }, "maxSteps"],
    [{ budget: { tokens: 0 } }, "budget.tokens"],
    [{ budget: { costUsd: "1" } }, "budget.costUsd"],
    [{ budget: { durationMs: 0 } }, "budget.durationMs"],
    [{ followUpTimeoutMs: 0 }, "followUpTimeoutMs"],
    [{ verbosity: 3 }, "verbosity: expected 0, 1 or 2, got 3"],
    [{ signal: {} }, "signal: expected an AbortSignal"],
    [{ stateManager: "./state" }, "stateManager"],
    [{ bus: {} }, "bus"],
    [
      { communicationConfig: { channel: "phone" } },
      'communicationConfig.channel: expected "terminal", "none" or a channel with ask(), got "phone"',
    ],
    [{ errorConfig: { enableErrorRouting: "yes" } }, "errorConfig.enableErrorRouting"],
    [{ metricsCollector: {} }, "metricsCollector"],
    [{ sessionId: "a b" }, "sessionId"],
    [{ sessionId: "a", context: { session_id: "b" } }, "two different sessions"],
    [{ idempotencyKey: "" }, "idempotencyKey"],
  ])("refuse %j", (options, message) => {
    expect(refusal(options)).toContain(message);
  });

  it("report everything that is wrong at once", () => {
    expect(refusal({ maxSteps: 0, verbosity: 9 })).toMatch(/maxSteps.*; verbosity|verbosity.*; maxSteps/);
  });

  it("refuse what is no object at all", () => {
    expect(() => assertRunOptions("task" as never)).toThrowError(expect.objectContaining({ code: "ORCH_BAD_OPTION" }));
  });

  it("take the session from the context, under either name", () => {
    expect(sessionIdOf({ context: { sessionId: "a" } })).toBe("a");
    expect(sessionIdOf({ context: { session_id: "a" }, sessionId: "a" })).toBe("a");
    expect(sessionIdOf({})).toBeUndefined();
  });

  it("differ between an instance and a task", () => {
    const bad = expect.objectContaining({ code: "ORCH_BAD_OPTION" });
    expect(() => assertInstanceOptions({ task: "x" } as never)).toThrowError(bad);
    expect(() => assertInstanceOptions({ initialConfig: { stepTimeoutMs: 0 } } as never)).toThrowError(bad);
    expect(() => assertTaskOptions({ task: "x", topology: {} } as never)).toThrowError(bad);
    assertInstanceOptions({ initialConfig: { maxConcurrency: 2 } });
  });
});

describe("limits", () => {
  const limits = (options: Partial<Parameters<typeof resolveLimits>[0]> = {}) =>
    resolveLimits({ execution: {}, maxSteps: undefined, budget: {}, errorRouting: true, rules: undefined, ...options });

  it("are the defaults when nothing is said", () => {
    expect(limits()).toEqual({
      maxSteps: 100,
      tokens: false,
      costUsd: false,
      durationMs: false,
      maxAgents: false,
      branchTimeoutMs: false,
      convergenceTimeoutMs: 300_000,
      stepTimeoutMs: 120_000,
      convergencePolicy: { minRatio: 1, onInsufficient: "fail" },
      convergence: true,
      errorRouting: true,
    });
  });

  it("are the smaller of option and rule; a default gives way to a rule", () => {
    const rules = { maxSteps: 200, durationMs: 50, maxAgents: 3, agentTimeoutMs: 10 };
    expect(limits({ rules })).toMatchObject({ maxSteps: 200, durationMs: 50, maxAgents: 3, stepTimeoutMs: 10 });
    expect(limits({ rules, maxSteps: 20, budget: { durationMs: 10 } })).toMatchObject({ maxSteps: 20, durationMs: 10 });
    expect(limits({ rules, maxSteps: 500, execution: { stepTimeoutMs: 99 } })).toMatchObject({
      maxSteps: 200,
      stepTimeoutMs: 10,
    });
    expect(limits({ rules, maxSteps: false })).toMatchObject({ maxSteps: 200 });
  });

  it("are switched off by false", () => {
    expect(limits({ maxSteps: false, execution: { stepTimeoutMs: false, convergenceTimeoutMs: false } })).toMatchObject(
      { maxSteps: Number.MAX_SAFE_INTEGER, stepTimeoutMs: false, convergenceTimeoutMs: false },
    );
  });

  it.each([
    ["all", { minRatio: 1, onInsufficient: "fail" }],
    ["any", { quorum: 1, onInsufficient: "fail" }],
    [{ quorum: 2 }, { quorum: 2, onInsufficient: "fail" }],
    [
      { minRatio: 0.5, onInsufficient: "proceed" },
      { minRatio: 0.5, onInsufficient: "proceed" },
    ],
    [{ onInsufficient: "user" }, { minRatio: 1, onInsufficient: "user" }],
  ] as const)("read the convergence policy %j", (convergencePolicy, policy) => {
    expect(limits({ execution: { convergencePolicy } }).convergencePolicy).toEqual(policy);
  });
});

describe("retry", () => {
  it("tries transient failures three times and all others once, unless told otherwise", () => {
    expect(Object.entries(resolveRetry()).map(([name, policy]) => [name, policy.maxAttempts])).toEqual([
      ["transient", 3],
      ["timeout", 1],
      ["invalid_output", 1],
      ["permanent", 1],
    ]);
    expect(resolveRetry({ timeout: { maxAttempts: 2 } }).timeout).toEqual({
      ...resolveRetry().transient,
      maxAttempts: 2,
    });
  });

  it("is merged class by class when a run overrides its instance", () => {
    const merged = mergeExecutionConfig(
      { stepTimeoutMs: 5, retry: { timeout: { maxAttempts: 2 } } },
      { retry: { transient: { maxAttempts: 1 } }, maxConcurrency: 3 },
    );
    expect(merged).toEqual({
      stepTimeoutMs: 5,
      maxConcurrency: 3,
      retry: { timeout: { maxAttempts: 2 }, transient: { maxAttempts: 1 } },
    });
  });
});
