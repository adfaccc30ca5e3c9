// Rules
//
// `max_steps(5)` and its kin: read from text or objects into one closed union, then written into the
// nodes, edges and limits they speak of. The engine knows those only.
//
// Durations in rules are seconds, in text and in objects, as the rules' names have always had it.

import type { TopologyDraft } from "./draft.ts";
import { Fields, shown } from "./fields.ts";
import { parseNotation } from "./notation.ts";
import { isRecord } from "./plain-json.ts";
import type { ProblemList } from "./problems.ts";
import { parseRuleText, RULE_TYPES } from "./rule-text.ts";
import { suggest } from "./suggestion.ts";

export type RuleValue =
  | { readonly type: "timeout"; readonly value: number }
  | { readonly type: "max_agents"; readonly value: number }
  | { readonly type: "max_steps"; readonly value: number }
  | { readonly type: "parallel"; readonly agents: readonly string[] }
  | { readonly type: "convergence_point"; readonly node: string }
  | { readonly type: "max_turns"; readonly edge: string; readonly value: number }
  | { readonly type: "agent_timeout"; readonly agents?: Readonly<Record<string, number>>; readonly default?: number };

/** Writes the effect of `rules` into the draft. A rule that cannot be read or followed is a problem and has none. */
export function applyRules(rules: readonly unknown[], draft: TopologyDraft): void {
  const seen = new Map<string, string>();
  for (const [i, item] of rules.entries()) {
    const path = `rules[${i}]`;
    const rule = readRule(item, path, draft.problems);
    if (rule === undefined) continue;
    const first = seen.get(subject(rule));
    if (first !== undefined) {
      draft.problems.error("rule_conflict", path, `${rule.type} is already said at ${first}`);
      continue;
    }
    seen.set(subject(rule), path);
    apply(rule, path, draft);
  }
}

// Rules with the same subject would overrule one another.
function subject(rule: RuleValue): string {
  switch (rule.type) {
    case "parallel":
      return JSON.stringify([rule.type, ...[...rule.agents].sort()]);
    case "convergence_point":
      return JSON.stringify([rule.type, rule.node]);
    case "max_turns":
      return JSON.stringify([rule.type, rule.edge]);
    default:
      return rule.type;
  }
}

function readRule(item: unknown, path: string, problems: ProblemList): RuleValue | undefined {
  if (typeof item === "string") {
    const parsed = parseRuleText(item);
    if (parsed.ok) return fromFields(parsed.rule, path, problems);
    problems.error(parsed.code, path, parsed.message, parsed.hint);
    return undefined;
  }
  if (isRecord(item)) return fromFields(item, path, problems);
  problems.error("bad_rule", path, `expected text like "max_steps(5)" or an object with a type, got ${shown(item)}`);
  return undefined;
}

function fromFields(
  record: Readonly<Record<string, unknown>>,
  path: string,
  problems: ProblemList,
): RuleValue | undefined {
  const before = problems.items.length;
  const fields = new Fields(record, path, problems);
  const type = fields.raw("type");
  const rule = readKind(type, fields, path, problems);
  if (rule !== undefined) fields.refuseOthers();
  return problems.items.length > before ? undefined : rule;
}

function readKind(type: unknown, fields: Fields, path: string, problems: ProblemList): RuleValue | undefined {
  switch (type) {
    case "timeout":
      return { type, value: needed(seconds(fields, "value", problems), "value", fields, problems) ?? 0 };
    case "max_agents":
    case "max_steps":
      return { type, value: needed(fields.count("value", 1), "value", fields, problems) ?? 0 };
    case "parallel":
      return { type, agents: names(fields, "agents", problems) };
    case "convergence_point":
      return { type, node: needed(fields.string("node"), "node", fields, problems) ?? "" };
    case "max_turns": {
      const edge = needed(fields.string("edge"), "edge", fields, problems) ?? "";
      return { type, edge, value: needed(fields.count("value", 1), "value", fields, problems) ?? 0 };
    }
    case "agent_timeout":
      return readAgentTimeout(fields, problems);
    default:
      unknownRule(type, path, problems);
      return undefined;
  }
}

function readAgentTimeout(fields: Fields, problems: ProblemList): RuleValue {
  const record = fields.record("agents");
  const byAgent = record === undefined ? undefined : new Fields(record, fields.at("agents"), problems);
  const agents = Object.keys(record ?? {}).map(
    (name) => [name, byAgent === undefined ? 0 : (seconds(byAgent, name, problems) ?? 0)] as const,
  );
  const fallback = seconds(fields, "default", problems);
  if (record === undefined && fallback === undefined) {
    problems.error(
      "bad_rule",
      fields.at("agents"),
      'agent_timeout needs an agent or a default, like "agent_timeout(A:120, default:90)"',
    );
  }
  return {
    type: "agent_timeout",
    agents: Object.fromEntries(agents),
    ...(fallback === undefined ? {} : { default: fallback }),
  };
}

function unknownRule(type: unknown, path: string, problems: ProblemList): void {
  const hint = typeof type === "string" ? suggest(type, RULE_TYPES) : undefined;
  problems.error("unknown_rule", path, `unknown rule ${shown(type)}`, hint ?? `known: ${RULE_TYPES.join(", ")}`);
}

function seconds(fields: Fields, key: string, problems: ProblemList): number | undefined {
  const value = fields.raw(key);
  if (value === undefined) return undefined;
  if (typeof value === "number" && value > 0 && value <= 3_155_760_000) return value;
  problems.error("bad_value", fields.at(key), `${key}: expected seconds above 0, got ${shown(value)}`);
  return undefined;
}

function names(fields: Fields, key: string, problems: ProblemList): string[] {
  const items = fields.array(key) ?? [];
  if (items.length >= 2 && items.every((item) => typeof item === "string")) return [...items];
  problems.error("bad_rule", fields.at(key), "expected the names of at least two agents");
  return [];
}

function needed<T>(value: T | undefined, key: string, fields: Fields, problems: ProblemList): T | undefined {
  if (value === undefined && !fields.has(key)) problems.error("bad_rule", fields.at(key), `the rule needs "${key}"`);
  return value;
}

function apply(rule: RuleValue, path: string, draft: TopologyDraft): void {
  switch (rule.type) {
    case "timeout":
      return setLimit(draft, "durationMs", milliseconds(rule.value), path);
    case "max_agents":
      return setLimit(draft, "maxAgents", rule.value, path);
    case "max_steps":
      return setLimit(draft, "maxSteps", rule.value, path);
    case "parallel":
      return applyParallel(rule.agents, path, draft);
    case "convergence_point":
      return applyConvergencePoint(rule.node, path, draft);
    case "max_turns":
      return applyMaxTurns(rule.edge, rule.value, path, draft);
    case "agent_timeout":
      return applyAgentTimeout(rule, path, draft);
  }
}

function setLimit(
  draft: TopologyDraft,
  key: "maxSteps" | "durationMs" | "maxAgents" | "agentTimeoutMs",
  value: number,
  path: string,
): void {
  const present = draft.limits[key];
  if (present !== undefined && present !== value) {
    draft.problems.error("rule_conflict", path, `limits.${key} is ${present} already, the rule says ${value}`);
    return;
  }
  draft.limits[key] = value;
}

// Flow successors run side by side anyway; what a rule can change is the order of calls.
function applyParallel(agents: readonly string[], path: string, draft: TopologyDraft): void {
  const wanted = agents.map((name) => draft.known(name, path)?.name);
  if (wanted.includes(undefined)) return;
  const reachesAll = (from: string, calls: boolean): boolean =>
    wanted.every((to) => draft.edges.some((edge) => edge.from === from && edge.to === to && isCall(edge) === calls));
  const callers = draft.nodes.filter((node) => reachesAll(node.name, true));
  for (const caller of callers) {
    if (caller.parallelCalls === false) {
      draft.problems.error("rule_conflict", path, `${JSON.stringify(caller.name)} says parallelCalls: false`);
    } else caller.parallelCalls = true;
  }
  if (callers.length > 0 || draft.nodes.some((node) => reachesAll(node.name, false))) return;
  draft.problems.warning("rule_without_effect", path, `no node leads to all of ${agents.join(", ")}`);
}

function isCall(edge: { readonly pattern: string; readonly type: string }): boolean {
  return edge.pattern === "call" || edge.pattern === "reflexive" || edge.type === "query";
}

function applyConvergencePoint(name: string, path: string, draft: TopologyDraft): void {
  const node = draft.known(name, path);
  if (node === undefined) return;
  if (node.convergence === false || node.merge === true) {
    draft.problems.error("rule_conflict", path, `${JSON.stringify(name)} says that it never joins`);
  } else node.convergence = true;
}

function applyMaxTurns(text: string, turns: number, path: string, draft: TopologyDraft): void {
  const notation = parseNotation(text);
  const noted = notation.ok && notation.edges.length === 1 ? notation.edges[0] : undefined;
  if (noted === undefined || noted.pattern !== "conversation") {
    draft.problems.error("bad_rule", path, `max_turns: expected a conversation like "A <~> B", got ${shown(text)}`);
    return;
  }
  const ends = [draft.known(noted.from, path)?.name, draft.known(noted.to, path)?.name];
  if (ends.includes(undefined)) return;
  const found = draft.edges.find(
    (edge) => edge.pattern === "conversation" && ends.includes(edge.from) && ends.includes(edge.to),
  );
  if (found === undefined) {
    draft.problems.error(
      "bad_rule",
      path,
      `max_turns: there is no conversation ${shown(text)}`,
      `add the edge ${shown(text)}`,
    );
  } else if (found.maxTurns !== undefined && found.maxTurns !== turns) {
    draft.problems.error("rule_conflict", path, `${text} says maxTurns ${found.maxTurns}, the rule says ${turns}`);
  } else found.maxTurns = turns;
}

function applyAgentTimeout(rule: RuleValue & { type: "agent_timeout" }, path: string, draft: TopologyDraft): void {
  if (rule.default !== undefined) setLimit(draft, "agentTimeoutMs", milliseconds(rule.default), path);
  for (const [name, value] of Object.entries(rule.agents ?? {})) {
    const node = draft.known(name, path);
    if (node === undefined) continue;
    if (node.timeoutMs !== undefined && node.timeoutMs !== milliseconds(value)) {
      draft.problems.error(
        "rule_conflict",
        path,
        `${JSON.stringify(name)} says timeoutMs ${node.timeoutMs}, the rule says ${milliseconds(value)}`,
      );
    } else node.timeoutMs = milliseconds(value);
  }
}

function milliseconds(inSeconds: number): number {
  return Math.max(1, Math.round(inSeconds * 1000));
}
