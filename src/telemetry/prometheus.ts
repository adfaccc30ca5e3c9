// Prometheus text, by prom-client, which is installed by those who use it.

import { optionalPackage } from "../base/optional-package.ts";

export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge";
  readonly samples: readonly { readonly labels?: Readonly<Record<string, string>>; readonly value: number }[];
}

/** @throws {OrchestraError} `ORCH_PACKAGE_MISSING` when prom-client is not installed. */
export async function prometheusText(families: readonly MetricFamily[]): Promise<string> {
  const { Counter, Gauge, Registry } = await optionalPackage("prom-client", () => import("prom-client"));
  const registry = new Registry();
  for (const { name, help, type, samples } of families) {
    const labelNames = [...new Set(samples.flatMap(({ labels = {} }) => Object.keys(labels)))];
    const Metric = type === "counter" ? Counter : Gauge;
    const metric = new Metric({ name, help, labelNames, registers: [registry] });
    for (const { labels = {}, value } of samples) metric.inc(labels, value);
  }
  return registry.metrics();
}
