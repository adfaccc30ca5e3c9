// Metrics collector: counts what runs do, as an observer of their events. Prometheus text and console lines on demand.

import { systemClock, type Clock } from "../base/clock.ts";
import { OrchestraError } from "../base/errors.ts";
import type { CallReport } from "../base/call-report.ts";
import type { HostStatus, RunEvent } from "../runtime/engine-api.ts";
import { hostFamilies } from "./host-metrics.ts";
import { prometheusText } from "./prometheus.ts";

export type Exporter = "prometheus" | "console";

export interface MetricsCollectorOptions {
  /** Off: nothing is counted. Default true. */
  readonly enabled?: boolean;
  /** How often the console exporter writes, in milliseconds; `false` only at `close()`. Default 60_000. */
  readonly exportIntervalMs?: number | false;
  readonly exporters?: readonly Exporter[];
  /** Where the console exporter writes. Default: standard error. */
  readonly output?: { write(text: string): unknown };
  readonly clock?: Clock;
}

const HELP = {
  runs: "Runs started",
  runs_completed: "Runs that completed",
  runs_failed: "Runs that failed",
  runs_cancelled: "Runs that were cancelled",
  runs_paused: "Times a run paused or waited for people",
  steps: "Steps that ended, well or not",
  steps_succeeded: "Steps that succeeded",
  steps_failed: "Steps that failed for good",
  step_duration_ms: "Time spent in steps that ended, in milliseconds",
  retries: "Attempts after the first",
  branches: "Branches started",
  barriers: "Joins decided",
  questions: "Questions asked to people",
  questions_timed_out: "Questions that nobody answered in time",
  checkpoints: "Checkpoints made",
  api_calls: "Model calls reported by agents",
  input_tokens: "Tokens sent to models",
  output_tokens: "Tokens received from models",
  total_tokens: "Tokens sent and received",
  cost_usd: "Cost reported by agents, in US dollars",
  model_calls: "Requests to models, by the model that was asked for",
  model_calls_failed: "Requests to models that failed",
  model_call_duration_ms: "Time spent in requests to models, in milliseconds",
  tool_calls: "Calls of tools, by tool",
  tool_calls_failed: "Calls of tools that failed",
  tool_call_duration_ms: "Time spent in calls of tools, in milliseconds",
} as const;

export type MetricName = keyof typeof HELP;
const METRIC_NAMES = Object.keys(HELP) as readonly MetricName[];

/** The metrics that are also kept per node, model or tool. */
const LABELS = {
  node: ["steps", "steps_succeeded", "steps_failed", "step_duration_ms", "retries"],
  model: ["model_calls", "model_calls_failed", "model_call_duration_ms"],
  tool: ["tool_calls", "tool_calls_failed", "tool_call_duration_ms"],
} as const satisfies Record<string, readonly MetricName[]>;
type Label = keyof typeof LABELS;
const LABEL_NAMES = Object.keys(LABELS) as readonly Label[];
/** More nodes, models or tools than this share the label "other", so that labels stay bounded. */
const LABELLED_MAX = 1000;

export class MetricsCollector {
  readonly enabled: boolean;
  readonly #exporters: ReadonlySet<Exporter>;
  readonly #output: { write(text: string): unknown };
  readonly #totals = new Map<MetricName, number>();
  readonly #labelled = new Map(LABEL_NAMES.map((label) => [label, new Map<string, Map<MetricName, number>>()]));
  readonly #stopExport: () => void;
  #closed = false;

  /** @throws {OrchestraError} `ORCH_BAD_OPTION` */
  constructor({
    enabled = true,
    exportIntervalMs = 60_000,
    exporters = [],
    output = process.stderr,
    clock = systemClock({ unref: true }),
  }: MetricsCollectorOptions = {}) {
    if (exportIntervalMs !== false && !(exportIntervalMs > 0))
      throw new OrchestraError(
        "ORCH_BAD_OPTION",
        `MetricsCollector: exportIntervalMs: expected milliseconds above 0, or false, got ${exportIntervalMs}`,
      );
    const unknown = exporters.find((exporter) => exporter !== "prometheus" && exporter !== "console");
    if (unknown !== undefined)
      throw new OrchestraError(
        "ORCH_BAD_OPTION",
        `MetricsCollector: exporters: expected "prometheus" or "console", got ${JSON.stringify(unknown)}`,
      );
    this.enabled = enabled;
    this.#exporters = new Set(exporters);
    this.#output = output;
    const prints = enabled && this.#exporters.has("console") && exportIntervalMs !== false;
    this.#stopExport = prints ? repeat(clock, exportIntervalMs, () => this.#print()) : () => undefined;
  }

  observe(event: RunEvent): void {
    if (!this.enabled) return;
    switch (event.type) {
      case "run.started":
        return this.#count("runs");
      case "run.completed":
        return this.#count("runs_completed");
      case "run.failed":
        return this.#count("runs_failed");
      case "run.cancelled":
        return this.#count("runs_cancelled");
      case "run.paused":
      case "run.awaiting_user":
        return this.#count("runs_paused");
      case "branch.started":
        return this.#count("branches");
      case "barrier.fired":
        return event.decision === "cancelled" ? undefined : this.#count("barriers");
      case "user.asked":
        return this.#count("questions");
      case "user.timed_out":
        return this.#count("questions_timed_out");
      case "checkpoint.created":
        return this.#count("checkpoints");
      case "step.retrying":
        return this.#countAt("node", event.node, "retries");
      case "step.called":
        return this.#countCall(event.call);
      case "step.succeeded":
        this.#countAt("node", event.node, "steps_succeeded");
        this.#countStep(event.node, event.tookMs);
        return this.#countUsage(event.usage);
      case "step.failed":
        this.#countAt("node", event.node, "steps_failed");
        return this.#countStep(event.node, event.tookMs);
      default:
        return;
    }
  }

  /**
   * The sum since the collector was made; of one node, model or tool where that is given.
   *
   * @throws {OrchestraError} `ORCH_BAD_OPTION` for a metric that does not exist, or is not kept by that label.
   */
  getMetric(name: MetricName, of: { readonly [L in Label]?: string } = {}): number {
    if (!METRIC_NAMES.includes(name))
      throw new OrchestraError(
        "ORCH_BAD_OPTION",
        `getMetric: unknown metric ${JSON.stringify(name)}; known are ${METRIC_NAMES.join(", ")}`,
      );
    const label = LABEL_NAMES.find((one) => of[one] !== undefined);
    if (label === undefined) return this.#totals.get(name) ?? 0;
    if (labelOf(name) !== label)
      throw new OrchestraError(
        "ORCH_BAD_OPTION",
        `getMetric: "${name}" is not kept per ${label}; those that are: ${LABELS[label].join(", ")}`,
      );
    return (
      this.#labelled
        .get(label)
        ?.get(of[label] ?? "")
        ?.get(name) ?? 0
    );
  }

  getMetrics(): Record<MetricName, number> {
    return Object.fromEntries(METRIC_NAMES.map((name) => [name, this.#totals.get(name) ?? 0])) as Record<
      MetricName,
      number
    >;
  }

  /**
   * Prometheus text format, by prom-client, which is installed beside Orchestra. `host`: with what a host says of itself
   * (`OrchestraHost.status()`). Uses a registry of its own.
   *
   * @throws {OrchestraError} `ORCH_PACKAGE_MISSING` when prom-client is not installed.
   */
  prometheus({ host }: { host?: HostStatus } = {}): Promise<string> {
    const families = METRIC_NAMES.map((name) => {
      const label = labelOf(name);
      const samples =
        label === undefined
          ? [{ value: this.#totals.get(name) ?? 0 }]
          : [...(this.#labelled.get(label) ?? [])].map(([of, counts]) => ({
              labels: { [label]: of },
              value: counts.get(name) ?? 0,
            }));
      return { name: `orchestra_${name}_total`, help: HELP[name], type: "counter" as const, samples };
    });
    return prometheusText([...families, ...(host === undefined ? [] : hostFamilies(host))]);
  }

  /** Writes a last console line where that exporter is on, and stops the timer. Idempotent; counting goes on. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopExport();
    if (this.enabled && this.#exporters.has("console")) this.#print();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #count(name: MetricName, by = 1): void {
    this.#totals.set(name, (this.#totals.get(name) ?? 0) + by);
  }

  #countAt(label: Label, of: string, name: MetricName, by = 1): void {
    this.#count(name, by);
    const labelled = this.#labelled.get(label) ?? new Map<string, Map<MetricName, number>>();
    const bounded = labelled.has(of) || labelled.size < LABELLED_MAX ? of : "other";
    const counts = labelled.get(bounded) ?? new Map<MetricName, number>();
    counts.set(name, (counts.get(name) ?? 0) + by);
    labelled.set(bounded, counts);
  }

  #countStep(node: string, tookMs: number): void {
    this.#countAt("node", node, "steps");
    this.#countAt("node", node, "step_duration_ms", tookMs);
  }

  #countCall(call: CallReport): void {
    const [label, of, kind] =
      call.type === "model.called" ? (["model", call.model, "model"] as const) : (["tool", call.tool, "tool"] as const);
    this.#countAt(label, of, `${kind}_calls`);
    this.#countAt(label, of, `${kind}_call_duration_ms`, call.tookMs);
    if (call.error !== undefined) this.#countAt(label, of, `${kind}_calls_failed`);
  }

  #countUsage(usage: unknown): void {
    if (typeof usage !== "object" || usage === null) return;
    const { inputTokens = 0, outputTokens = 0, costUsd = 0, apiCalls = 0 } = usage as Partial<Record<string, number>>;
    this.#count("input_tokens", inputTokens);
    this.#count("output_tokens", outputTokens);
    this.#count("total_tokens", inputTokens + outputTokens);
    this.#count("cost_usd", costUsd);
    this.#count("api_calls", apiCalls);
  }

  #print(): void {
    const figures = METRIC_NAMES.filter((name) => (this.#totals.get(name) ?? 0) !== 0).map(
      (name) => `${name}=${String(this.#totals.get(name))}`,
    );
    this.#output.write(`metrics ${figures.join(" ") || "(nothing yet)"}\n`);
  }
}

function labelOf(name: MetricName): Label | undefined {
  return LABEL_NAMES.find((label) => (LABELS[label] as readonly MetricName[]).includes(name));
}

function repeat(clock: Clock, everyMs: number, act: () => void): () => void {
  let cancel = (): void => undefined;
  const arm = (): void => {
    cancel = clock.setTimer(everyMs, () => {
      act();
      arm();
    });
  };
  arm();
  return () => cancel();
}
