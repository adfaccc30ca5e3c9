// Expressions
//
// CEL over `output`, `input`, `context` and `task`, with numbers as in JavaScript: CEL keeps integers and
// floats apart, JavaScript does not, and an agent's `score: 1` must compare and add like its `score: 0.5`.
//
// E1  Integers and floats mix in arithmetic and comparison by the overloads below.
// E2  `/` divides as in JavaScript, also between two integers: its left operand is made a float.
// E3  A missing field or index makes the whole expression false, not an error.

import type { ASTNode, Environment } from "@marcbachmann/cel-js";
import { loadedOnFirstUse, onFirstUse } from "../base/on-first-use.ts";
import { suggest } from "./suggestion.ts";

/** What a condition may look at. On an error edge `output` is the error. */
export interface ConditionInput {
  readonly output: unknown;
  readonly input: unknown;
  readonly context: Readonly<Record<string, unknown>>;
  readonly task: unknown;
}

/** Why a text is no condition: the place in it, from 0, where known. */
export interface ConditionProblem {
  readonly message: string;
  readonly position?: number;
  readonly hint?: string;
}

/** Judges its parsed text. @throws what the expression throws, or a TypeError when it gives no boolean. */
export type Expression = (input: ConditionInput) => boolean;

const VARIABLES = ["output", "input", "context", "task"];
const LENGTH_MAX = 10_000;
const MISSING = new Set(["no_such_key", "index_out_of_bounds"]);

type Numeric = number | bigint;

const cel = loadedOnFirstUse<typeof import("@marcbachmann/cel-js")>("@marcbachmann/cel-js");
const environment = onFirstUse(createEnvironment);

function createEnvironment(): Environment {
  const created = new (cel().Environment)({ homogeneousAggregateLiterals: false });
  for (const name of VARIABLES) created.registerVariable(name, "dyn");
  const operators: Readonly<Record<string, (a: Numeric, b: Numeric) => number>> = {
    "+": (a, b) => Number(a) + Number(b),
    "-": (a, b) => Number(a) - Number(b),
    "*": (a, b) => Number(a) * Number(b),
    "/": (a, b) => Number(a) / Number(b),
    "%": (a, b) => Number(a) % Number(b),
  };
  for (const [sign, handler] of Object.entries(operators)) {
    created.registerOperator(`int ${sign} double: double`, handler);
    created.registerOperator(`double ${sign} int: double`, handler);
  }
  created.registerOperator("double % double: double", (a: number, b: number) => a % b);
  created.registerOperator("int == double: bool", (a: Numeric, b: Numeric) => Number(a) === Number(b));
  return created;
}

export function parseExpression(
  text: string,
): { ok: true; expression: Expression } | { ok: false; problem: ConditionProblem } {
  if (text.length > LENGTH_MAX) return refuse({ message: `longer than ${LENGTH_MAX} characters` });
  try {
    const asWritten = environment().parse(text);
    const checked = asWritten.check();
    if (!checked.valid) return refuse(problemOf(checked.error));
    if (checked.type !== "bool" && checked.type !== "dyn") {
      return refuse({ message: `gives ${checked.type ?? "no value"}, expected true or false`, position: 0 });
    }
    const divisions: ASTNode[] = [];
    collectDivisions(asWritten.ast, divisions);
    const parsed = divisions.length === 0 ? asWritten : environment().parse(withFloatDivision(text, divisions));
    return { ok: true, expression: (input) => evaluate(parsed, input) };
  } catch (error) {
    return refuse(problemOf(error));
  }
}

function evaluate(parsed: (context: Record<string, unknown>) => unknown, input: ConditionInput): boolean {
  let value: unknown;
  try {
    const { output, input: given, context, task } = input;
    value = parsed({ output: output ?? null, input: given ?? null, context, task: task ?? null });
  } catch (error) {
    if (error instanceof cel().EvaluationError) {
      if (MISSING.has(error.code)) return false;
      throw new TypeError(error.summary, { cause: error });
    }
    throw error;
  }
  // `output.approved` of null says no more than a missing one.
  if (value === null || value === undefined) return false;
  if (typeof value === "boolean") return value;
  throw new TypeError(
    `it gave ${typeof value === "bigint" ? "a number" : `a ${typeof value}`}, expected true or false`,
  );
}

function collectDivisions(node: unknown, found: ASTNode[]): void {
  if (Array.isArray(node)) {
    for (const item of node) collectDivisions(item, found);
  } else if (isNode(node)) {
    if (node.op === "/") found.push(node);
    collectDivisions(node.args, found);
  }
}

function isNode(value: unknown): value is ASTNode {
  return typeof value === "object" && value !== null && "op" in value && "args" in value;
}

// E2: `a / b` becomes `1.0*(a) / b`, from the text's end so that earlier places stay right.
function withFloatDivision(text: string, divisions: readonly ASTNode[]): string {
  const insertions = divisions.flatMap((node) => {
    const left = node.op === "/" ? node.args[0] : node;
    return [
      { at: left.start, text: "1.0*(" },
      { at: left.end, text: ")" },
    ];
  });
  let result = text;
  for (const { at, text: inserted } of insertions.sort((a, b) => b.at - a.at)) {
    result = result.slice(0, at) + inserted + result.slice(at);
  }
  return result;
}

function refuse(problem: ConditionProblem): { ok: false; problem: ConditionProblem } {
  return { ok: false, problem };
}

function problemOf(error: unknown): ConditionProblem {
  const { EvaluationError, ParseError, TypeError: CelTypeError } = cel();
  if (!(error instanceof ParseError || error instanceof CelTypeError || error instanceof EvaluationError)) {
    return { message: error instanceof Error ? error.message : String(error) };
  }
  const unknown = /^Unknown variable: (\w+)/.exec(error.summary)?.[1];
  const hint =
    unknown === undefined ? undefined : (suggest(unknown, VARIABLES) ?? `an expression sees ${VARIABLES.join(", ")}`);
  const position = error.range?.start;
  return {
    message: error.summary,
    ...(position === undefined ? {} : { position }),
    ...(hint === undefined ? {} : { hint }),
  };
}
