// Conditions
//
// When an edge is taken (architecture, 5.3). Resolved in this order: a function registered under the
// text, a label the output is compared with, an expression in CEL.
//
// D1  Judging is a pure function of its arguments; expressions have no clock, no chance and no I/O.
// D2  Parsed conditions are kept per plan, by edge, and go with the plan.

import { OrchestraError } from "../base/errors.ts";
import { parseExpression, type ConditionInput, type ConditionProblem, type Expression } from "./expression.ts";
import type { Plan, PlanEdge } from "./plan.ts";
import { isRecord } from "./plain-json.ts";

export type { ConditionInput, ConditionProblem };

export type ConditionFunction = (input: ConditionInput) => boolean;
export type ConditionFunctions = Readonly<Record<string, ConditionFunction>>;

export type ParsedCondition =
  | { readonly kind: "label"; readonly label: string }
  | { readonly kind: "expression"; readonly text: string; readonly expression: Expression };

const LABEL = /^[A-Za-z_][\w-]*$/;
const NO_LABELS = new Set(["true", "false", "null", "output", "input", "context", "task"]);
const LABEL_PROPERTIES = ["route", "decision", "status"];

/** Reads a condition that is not the name of a registered function. */
export function parseCondition(
  text: string,
): { ok: true; condition: ParsedCondition } | { ok: false; problem: ConditionProblem } {
  const trimmed = text.trim();
  if (LABEL.test(trimmed) && !NO_LABELS.has(trimmed)) return { ok: true, condition: { kind: "label", label: trimmed } };
  const parsed = parseExpression(text);
  return parsed.ok ? { ok: true, condition: { kind: "expression", text, expression: parsed.expression } } : parsed;
}

/**
 * The edges among `edges` (numbers in `plan`) whose condition holds, in the same order. An edge without a condition
 * holds; an `else` edge is left out, since whether it is taken follows from its siblings.
 *
 * @throws {OrchestraError} `ORCH_CONDITION`, naming the condition and its edge, when one throws, does not parse,
 *   or gives no boolean.
 */
export function judge(
  plan: Plan,
  edges: readonly number[],
  input: ConditionInput,
  functions: ConditionFunctions = {},
): number[] {
  return edges.filter((id) => {
    const edge = plan.edges[id];
    if (edge === undefined || edge.isElse) return false;
    const text = edge.data.condition;
    if (text === undefined) return true;
    const named = Object.hasOwn(functions, text) ? functions[text] : undefined;
    try {
      return named === undefined ? holds(parsedOf(plan, edge, text), input) : askFunction(named, input);
    } catch (cause) {
      throw failed(plan, edge, text, cause);
    }
  });
}

function holds(condition: ParsedCondition, input: ConditionInput): boolean {
  return condition.kind === "label" ? hasLabel(input.output, condition.label) : condition.expression(input);
}

function hasLabel(output: unknown, label: string): boolean {
  if (output === label) return true;
  if (!isRecord(output)) return false;
  if (LABEL_PROPERTIES.some((key) => Object.hasOwn(output, key) && output[key] === label)) return true;
  return Object.hasOwn(output, label) && output[label] === true;
}

function askFunction(fn: ConditionFunction, input: ConditionInput): boolean {
  const verdict: unknown = fn(input);
  if (typeof verdict === "boolean") return verdict;
  // A promise would always count as true, a forgotten return as false: neither is what its author meant.
  throw new TypeError(
    `it returned ${verdict instanceof Promise ? "a promise" : typeof verdict}, expected true or false`,
  );
}

const parsedByPlan = new WeakMap<Plan, Map<number, ParsedCondition>>();

function parsedOf(plan: Plan, edge: PlanEdge, text: string): ParsedCondition {
  const known = parsedByPlan.get(plan) ?? new Map<number, ParsedCondition>();
  parsedByPlan.set(plan, known);
  const present = known.get(edge.id);
  if (present !== undefined) return present;
  const parsed = parseCondition(text);
  if (!parsed.ok) throw new TypeError(parsed.problem.message);
  known.set(edge.id, parsed.condition);
  return parsed.condition;
}

function failed(plan: Plan, edge: PlanEdge, text: string, cause: unknown): OrchestraError {
  const from = plan.nodes[edge.from]?.name ?? "?";
  const to = plan.nodes[edge.to]?.name ?? "the exit";
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new OrchestraError(
    "ORCH_CONDITION",
    `condition ${JSON.stringify(text)} on the edge from ${from} to ${to} failed: ${reason}`,
    {
      cause,
      details: { condition: text, from, to },
    },
  );
}
