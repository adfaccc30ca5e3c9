import { describe, expect, it } from "vitest";

import type { RunEvent } from "../../src/runtime/engine-api.ts";
import { MetricsCollector } from "../../src/telemetry/metrics-collector.ts";

const at = { seq: 1, at: 0, sessionId: "s", runId: "r" };
const step = { stepId: "1.0.1", branchId: "b0", node: "Writer", attempt: 1, tookMs: 20 };
const events: RunEvent[] = [
  { ...at, type: "run.started", task: "t", topologyHash: "h", nodes: 1, edges: 0 },
  { ...at, type: "branch.started", branchId: "b0", parentId: null, node: "Writer", input: "t" },
  { ...at, ...step, type: "step.retrying", error: { code: "X", message: "x" }, retryAtMs: 1 },
  {
    ...at,
    ...step,
    type: "step.succeeded",
    outcome: "done",
    usage: { inputTokens: 10, outputTokens: 5, costUsd: 0.5, apiCalls: 2, nestedSteps: 0 },
  },
  { ...at, type: "run.completed", value: "done" },
];

function watched(options: ConstructorParameters<typeof MetricsCollector>[0] = {}): MetricsCollector {
  const metrics = new MetricsCollector(options);
  for (const event of events) metrics.observe(event);
  return metrics;
}

describe("MetricsCollector", () => {
  it("counts runs, steps, retries, branches and what models cost", () => {
    const metrics = watched();
    expect(metrics.getMetrics()).toMatchObject({
      runs: 1,
      runs_completed: 1,
      steps: 1,
      retries: 1,
      branches: 1,
      api_calls: 2,
      total_tokens: 15,
      cost_usd: 0.5,
    });
    expect(metrics.getMetric("api_calls")).toBe(2);
    expect(metrics.getMetric("step_duration_ms", { node: "Writer" })).toBe(20);
    expect(metrics.getMetric("steps", { node: "Nobody" })).toBe(0);
  });

  it("counts calls by model and by tool, failed ones too", async () => {
    const metrics = new MetricsCollector();
    const called = { ...at, stepId: "1.0.1", branchId: "b0", node: "Writer", attempt: 1, type: "step.called" } as const;
    const error = { code: "ORCH_MODEL_FAILED", message: "busy" };
    metrics.observe({ ...called, call: { type: "model.called", model: "small", tookMs: 30 } });
    metrics.observe({ ...called, call: { type: "model.called", model: "large", tookMs: 70, error } });
    metrics.observe({ ...called, call: { type: "tool.called", tool: "search", toolCallId: "1", tookMs: 5 } });
    expect(metrics.getMetrics()).toMatchObject({ model_calls: 2, model_calls_failed: 1, model_call_duration_ms: 100 });
    expect(metrics.getMetric("model_call_duration_ms", { model: "small" })).toBe(30);
    expect(metrics.getMetric("tool_calls", { tool: "search" })).toBe(1);
    expect(() => metrics.getMetric("tool_calls", { node: "Writer" })).toThrow(/not kept per node/);
    expect(await metrics.prometheus()).toContain('orchestra_model_calls_failed_total{model="large"} 1');
  });

  it("counts nothing when it is switched off", () => {
    expect(watched({ enabled: false }).getMetric("runs")).toBe(0);
  });

  it("gives Prometheus text of its own, twice the same, without touching the default registry", async () => {
    const metrics = watched({ exporters: ["prometheus"] });
    const text = await metrics.prometheus();
    expect(text).toContain('orchestra_steps_total{node="Writer"} 1');
    expect(text).toContain("orchestra_total_tokens_total 15");
    expect(await metrics.prometheus()).toBe(text);
    const { register } = await import("prom-client");
    expect(await register.metrics()).not.toContain("orchestra_");
  });

  it("writes a line to the console exporter at every interval, and a last one when closed", () => {
    const lines: string[] = [];
    let tick: (() => void) | undefined;
    const clock = {
      nowMs: () => 0,
      monotonicMs: () => 0,
      setTimer: (_ms: number, fire: () => void) => ((tick = fire), () => (tick = undefined)),
    };
    const metrics = watched({
      exporters: ["console"],
      exportIntervalMs: 10,
      output: { write: (line) => lines.push(line) },
      clock,
    });
    tick?.();
    tick?.();
    metrics.close();
    metrics.close();
    expect(lines).toHaveLength(3);
    expect(lines[0]).toContain("steps=1");
    expect(tick).toBeUndefined();
  });

  it("refuses an unknown metric, exporter or interval", () => {
    const bad = expect.objectContaining({ code: "ORCH_BAD_OPTION" });
    expect(() => watched().getMetric("speed" as never)).toThrowError(bad);
    expect(() => watched().getMetric("runs", { node: "Writer" })).toThrowError(bad);
    expect(() => new MetricsCollector({ exporters: ["graphite" as never] })).toThrowError(bad);
    expect(() => new MetricsCollector({ exportIntervalMs: 0 })).toThrowError(bad);
  });
});
