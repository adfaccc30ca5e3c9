// Action input: the fields of an action, read leniently where what is meant is certain.

import type { Action, Invocation } from "./action.ts";

export type Reading<T> =
  | { readonly type: "read"; readonly action: T }
  | { readonly type: "misfit"; readonly reason: string };

const AGENT_KEYS = ["agent", "agent_name", "name"];
const INPUT_KEYS = ["input", "request", "task", "message"];
const TOOL_KEYS = ["tool", "tool_name", "name"];
const ARGUMENT_KEYS = ["input", "arguments", "args"];

/** `{ agent, input }`, or the name alone. */
export function readInvocation(value: unknown): Reading<Invocation> {
  if (typeof value === "string" && value !== "") return read({ agent: value, input: null });
  const agent = fieldOf(value, AGENT_KEYS);
  if (typeof agent !== "string" || agent === "")
    return misfit('expected {"agent": "<name>", "input": …} with the name of an agent');
  return read({ agent, input: fieldOf(value, INPUT_KEYS) ?? null });
}

export function readInvocations(value: unknown): Reading<Action> {
  const given: unknown[] = Array.isArray(value) ? value : [value];
  if (given.length === 0) return misfit('expected [{"agent": "<name>", "input": …}, …] with at least one agent');
  const items: Invocation[] = [];
  for (const one of given) {
    const item = readInvocation(one);
    if (item.type === "misfit") return item;
    items.push(item.action);
  }
  return read({ type: "invoke", items });
}

export function readToolCall(value: unknown): Reading<Action> {
  const name = fieldOf(value, TOOL_KEYS);
  if (typeof name !== "string" || name === "")
    return misfit('expected {"tool": "<name>", "input": {…}} with the name of a tool');
  return read({ type: "tool", name, input: fieldOf(value, ARGUMENT_KEYS) ?? {} });
}

/** `{ action: "retry" | "skip" | "abort", input? }`, or the word alone. */
export function readRecovery(value: unknown): Reading<Action> {
  const how = typeof value === "string" ? value : fieldOf(value, ["action"]);
  if (how !== "retry" && how !== "skip" && how !== "abort")
    return misfit('expected {"action": "retry" | "skip" | "abort"}');
  return read({ type: "recover", how, value: fieldOf(value, ["input", "value"]) });
}

/** The one field of a native call, or the whole where a model left the field out. */
export function readAgentInput(value: unknown, field: string): unknown {
  const found = fieldOf(value, [field]);
  return found === undefined ? (value ?? null) : found;
}

/** The first of `keys` that `value` has of its own. */
function fieldOf(value: unknown, keys: readonly string[]): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const found = keys.find((key) => Object.hasOwn(value, key));
  return found === undefined ? undefined : (value as Record<string, unknown>)[found];
}

function read<T>(action: T): Reading<T> {
  return { type: "read", action };
}

function misfit(reason: string): { readonly type: "misfit"; readonly reason: string } {
  return { type: "misfit", reason };
}
