// Metrics collector: counts what runs do, as an observer of their events. Prometheus text and console lines on demand.

import { systemClock, type Clock } from "../base/clock.ts";
import { OrchestraError } from "../base/errors.ts";
import { optionalPackage } from "../base/optional-package.ts";
import type { RunEvent } from "../runtime/engine-api.ts";

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
  checkpoints: "Checkpoints made",
  api_calls: "Model calls reported by agents",
  input_tokens: "Tokens sent to models",
  output_tokens: "Tokens received from models",
  total_tokens: "Tokens sent and received",
  cost_usd: "Cost reported by agents, in US dollars",
} as const;

export type MetricName = keyof typeof HELP;
const METRIC_NAMES = Object.keys(HELP) as readonly MetricName[];

/** The metrics that are also kept per node. */
const BY_NODE = [
  "steps",
  "steps_succeeded",
  "steps_failed",
  "step_duration_ms",
  "retries",
] as const satisfies readonly MetricName[];
type NodeMetric = (typeof BY_NODE)[number];
/** More nodes than this share the label "other", so that labels stay bounded. */
const NODES_MAX = 1000;

export class MetricsCollector {
  readonly enabled: boolean;
  readonly #exporters: ReadonlySet<Exporter>;
  readonly #output: { write(text: string): unknown };
  readonly #totals = new Map<MetricName, number>();
  readonly #perNode = new Map<string, Map<NodeMetric, number>>();
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
      case "checkpoint.created":
        return this.#count("checkpoints");
      case "step.retrying":
        return this.#countAt(event.node, "retries");
      case "step.succeeded":
        this.#countAt(event.node, "steps_succeeded");
        this.#countStep(event.node, event.tookMs);
        return this.#countUsage(event.usage);
      case "step.failed":
        this.#countAt(event.node, "steps_failed");
        return this.#countStep(event.node, event.tookMs);
      default:
        return;
    }
  }

  /**
   * The sum since the collector was made; of one node where `node` is given.
   *
   * @throws {OrchestraError} `ORCH_BAD_OPTION` for a metric that does not exist, or is not kept per node.
   */
  getMetric(name: MetricName, { node }: { node?: string } = {}): number {
    if (!METRIC_NAMES.includes(name))
      throw new OrchestraError(
        "ORCH_BAD_OPTION",
        `getMetric: unknown metric ${JSON.stringify(name)}; known are ${METRIC_NAMES.join(", ")}`,
      );
    if (node === undefined) return this.#totals.get(name) ?? 0;
    if (!isNodeMetric(name))
      throw new OrchestraError(
        "ORCH_BAD_OPTION",
        `getMetric: "${name}" is not kept per node; those that are: ${BY_NODE.join(", ")}`,
      );
    return this.#perNode.get(node)?.get(name) ?? 0;
  }

  getMetrics(): Record<MetricName, number> {
    return Object.fromEntries(METRIC_NAMES.map((name) => [name, this.#totals.get(name) ?? 0])) as Record<
      MetricName,
      number
    >;
  }

  /**
   * Prometheus text format, by prom-client, which is installed beside Orchestra. Uses a registry of its own.
   *
   * @throws {OrchestraError} `ORCH_PACKAGE_MISSING` when prom-client is not installed.
   */
  async prometheus(): Promise<string> {
    const { Counter, Registry } = await optionalPackage("prom-client", () => import("prom-client"));
    const registry = new Registry();
    for (const name of METRIC_NAMES) {
      const labelled = isNodeMetric(name);
      const counter = new Counter({
        name: `orchestra_${name}_total`,
        help: HELP[name],
        registers: [registry],
        labelNames: labelled ? ["node"] : [],
      });
      if (!labelled) counter.inc(this.#totals.get(name) ?? 0);
      else for (const [node, counts] of this.#perNode) counter.inc({ node }, counts.get(name) ?? 0);
    }
    return registry.metrics();
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

  #countAt(node: string, name: NodeMetric, by = 1): void {
    this.#count(name, by);
    const label = this.#perNode.has(node) || this.#perNode.size < NODES_MAX ? node : "other";
    const counts = this.#perNode.get(label) ?? new Map<NodeMetric, number>();
    counts.set(name, (counts.get(name) ?? 0) + by);
    this.#perNode.set(label, counts);
  }

  #countStep(node: string, tookMs: number): void {
    this.#countAt(node, "steps");
    this.#countAt(node, "step_duration_ms", tookMs);
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

function isNodeMetric(name: MetricName): name is NodeMetric {
  return (BY_NODE as readonly MetricName[]).includes(name);
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
