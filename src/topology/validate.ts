// Validation
//
// Everything that is wrong with a topology, in one list: what reading found, what the compiled graph
// shows, conditions that do not parse, agents nobody provides. Only an `error` keeps a run from starting.

import { parseCondition, type ConditionProblem } from "./conditions.ts";
import { findPlanProblems } from "./plan-problems.ts";
import { ProblemList, type ReadProblemCode, type ReadTopology } from "./problems.ts";
import { readTopology } from "./read.ts";
import { isOneSlipApart, suggest } from "./suggestion.ts";
import type { NodeKind, TopologyProblem } from "./types.ts";

export interface ValidateOptions {
  /** Registered condition functions, by name: a condition of that name is not parsed. */
  readonly functions?: Readonly<Record<string, unknown>>;
  /** Names of the agents, tools and system functions that can run. Absent: they are not checked. */
  readonly agents?: Iterable<string>;
  /** As the run will have it. Default true. */
  readonly errorRouting?: boolean;
}

/** Where something could not be read, the graph lacks a part, and every word about the graph would be about the gap. */
const LEAVES_A_GAP: ReadonlySet<string> = new Set<ReadProblemCode>([
  "bad_arrow",
  "bad_edge",
  "bad_name",
  "bad_node",
  "bad_pattern",
  "bad_topology",
  "empty_topology",
  "unknown_node",
]);

const RUN_BY_NAME: ReadonlySet<NodeKind> = new Set<NodeKind>(["agent", "tool", "system"]);

/** All problems of any topology input, data of our own included. Never throws. */
export function validateTopology(input: unknown, options: ValidateOptions = {}): TopologyProblem[] {
  return validateRead(readTopology(input), options);
}

/** The same for a topology that was read before. */
export function validateRead(read: ReadTopology, options: ValidateOptions = {}): TopologyProblem[] {
  const found = new ProblemList();
  checkKinds(read, found);
  checkConditions(read, options.functions ?? {}, found);
  if (options.agents !== undefined) checkAgents(read, new Set(options.agents), found);
  const whole = read.data.nodes.length > 0 && !read.problems.some((problem) => LEAVES_A_GAP.has(problem.code));
  const { nodePaths, edgePaths } = read;
  const { errorRouting = true } = options;
  const ofPlan = whole ? findPlanProblems(read.data, { errorRouting, nodePaths, edgePaths }) : [];
  return [...read.problems, ...found.items, ...ofPlan];
}

function checkKinds({ data, nodePaths, edgePaths }: ReadTopology, found: ProblemList): void {
  for (const [i, { name, kind, role, onTimeout }] of data.nodes.entries()) {
    if (kind === "user") continue;
    const refuse = (key: string): void =>
      found.error("conflicting_options", `${nodePaths[i] ?? `nodes[${i}]`}.${key}`, `${name} is no user node: ${key}`);
    if (role === "error-recovery") refuse("role");
    if (onTimeout !== undefined) refuse("onTimeout");
  }
  const kinds = new Map(data.nodes.map((node) => [node.name, node.kind]));
  for (const [i, { from, to, pattern, recovery }] of data.edges.entries()) {
    const path = edgePaths[i] ?? `edges[${i}]`;
    if (recovery === true && kinds.get(to) !== "user")
      found.error(
        "conflicting_options",
        path,
        `a recovery edge leads to a user node, and ${JSON.stringify(to)} is none`,
      );
    const leads =
      pattern === "flow"
        ? [[from, to]]
        : [
            [from, to],
            [to, from],
          ];
    for (const [source = "", target = ""] of leads) {
      if (kinds.get(source) === "end")
        found.error("edge_from_end", path, `nothing leads on from ${JSON.stringify(source)}, where a run ends`);
      if (kinds.get(target) === "start")
        found.error("edge_into_start", path, `nothing leads into ${JSON.stringify(target)}, where a run begins`);
    }
  }
}

function checkConditions(
  { data, edgePaths }: ReadTopology,
  functions: Readonly<Record<string, unknown>>,
  found: ProblemList,
): void {
  for (const [i, { condition }] of data.edges.entries()) {
    if (condition === undefined || Object.hasOwn(functions, condition)) continue;
    const parsed = parseCondition(condition);
    const path = `${edgePaths[i] ?? `edges[${i}]`}.condition`;
    if (parsed.ok) {
      if (parsed.condition.kind === "label") checkLabel(parsed.condition.label, path, functions, found);
      continue;
    }
    found.error(
      "bad_condition",
      path,
      `condition ${JSON.stringify(condition)}${placed(parsed.problem)}`,
      parsed.problem.hint ?? nearFunction(condition, functions),
    );
  }
}

/** A label is compared with the output; one that nearly names a function was meant to call it. */
function checkLabel(
  label: string,
  path: string,
  functions: Readonly<Record<string, unknown>>,
  found: ProblemList,
): void {
  const near = Object.keys(functions).find((name) => isOneSlipApart(label, name));
  if (near === undefined) return;
  found.warning(
    "condition_near_function",
    path,
    `condition ${JSON.stringify(label)} names no registered function, so it is a label the output is compared with`,
    `did you mean ${JSON.stringify(near)}?`,
  );
}

function placed({ message, position }: ConditionProblem): string {
  return position === undefined ? `: ${message}` : ` at character ${position + 1}: ${message}`;
}

function nearFunction(condition: string, functions: Readonly<Record<string, unknown>>): string | undefined {
  return suggest(condition, Object.keys(functions));
}

function checkAgents({ data, nodePaths }: ReadTopology, known: ReadonlySet<string>, found: ProblemList): void {
  for (const [i, node] of data.nodes.entries()) {
    const name = node.uses ?? node.name;
    if (!RUN_BY_NAME.has(node.kind) || known.has(name)) continue;
    const hint =
      suggest(name, known) ??
      (known.size === 0 ? "no agents were given" : `known: ${[...known].slice(0, 10).join(", ")}`);
    found.error(
      "unknown_agent",
      nodePaths[i] ?? `nodes[${i}]`,
      `no ${node.kind} is called ${JSON.stringify(name)}`,
      hint,
    );
  }
}
