// Agent options: what those must be that agents of every kind take alike, and how their makers refuse them.

import { agentRetry } from "../runtime/agent-policies.ts";
import { check, count, durationMs, list, required, text } from "../runtime/option-schema.ts";
import { standardSchema } from "./standard-schema.ts";

export const AGENT_OPTIONS = {
  name: required((value) => typeof value === "string" && value !== "", "a non-empty string"),
  description: check((value) => typeof value === "string", "a text"),
  input: standardSchema,
  output: standardSchema,
  retry: agentRetry,
  timeoutMs: durationMs,
  concurrency: count,
  allowedPeers: list(text),
};

/** How messages name what `maker` was to make: `modelAgent("Writer")`. */
export function madeBy(maker: string, options: unknown): string {
  const name: unknown = (options as { readonly name?: unknown } | null | undefined)?.name;
  return typeof name === "string" && name !== "" ? `${maker}(${JSON.stringify(name)})` : maker;
}
