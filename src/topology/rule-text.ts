// Rules as text: `name(argument, …)`. Gives the object form, which is then checked like one written by hand.

import { suggest } from "./suggestion.ts";

export const RULE_TYPES = [
  "timeout",
  "max_agents",
  "max_steps",
  "parallel",
  "convergence_point",
  "max_turns",
  "agent_timeout",
] as const;

export type RuleText =
  | { readonly ok: true; readonly rule: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly code: "bad_rule" | "unknown_rule"; readonly message: string; readonly hint: string };

const CALL = /^\s*([A-Za-z_][\w-]*)\s*\(([^()]*)\)\s*$/;

export function parseRuleText(text: string): RuleText {
  const match = CALL.exec(text);
  const type = match?.[1];
  if (match === null || type === undefined) {
    return {
      ok: false,
      code: "bad_rule",
      message: `cannot read the rule ${JSON.stringify(text)}`,
      hint: 'write it like "max_steps(5)"',
    };
  }
  const given = (match[2] ?? "").split(",").map((part) => part.trim());
  const args = given.length === 1 && given[0] === "" ? [] : given;
  switch (type) {
    case "timeout":
    case "max_agents":
    case "max_steps":
      return args.length === 1 ? made({ type, value: numberOr(args[0]) }) : wrongCount(type, "one number", args);
    case "parallel":
      return made({ type, agents: args });
    case "convergence_point":
      return args.length === 1 ? made({ type, node: args[0] }) : wrongCount(type, "one node", args);
    case "max_turns":
      return args.length === 2
        ? made({ type, edge: args[0], value: numberOr(args[1]) })
        : wrongCount(type, "a conversation and a number", args);
    case "agent_timeout":
      return agentTimeout(args);
    default:
      return {
        ok: false,
        code: "unknown_rule",
        message: `unknown rule ${JSON.stringify(type)}`,
        hint: suggest(type, RULE_TYPES) ?? `known: ${RULE_TYPES.join(", ")}`,
      };
  }
}

function agentTimeout(args: readonly string[]): RuleText {
  const pairs = args.map((part) => {
    const colon = part.lastIndexOf(":");
    return [part.slice(0, Math.max(colon, 0)).trim(), numberOr(part.slice(colon + 1).trim())] as const;
  });
  const names = pairs.map(([name]) => name);
  if (pairs.length === 0 || names.includes("") || new Set(names).size < names.length) {
    return wrongCount("agent_timeout", 'different names with seconds, like "A:120, default:90"', args);
  }
  const agents = pairs.filter(([name]) => name !== "default");
  const fallback = pairs.find(([name]) => name === "default");
  return made({
    type: "agent_timeout",
    ...(agents.length === 0 ? {} : { agents: Object.fromEntries(agents) }),
    ...(fallback === undefined ? {} : { default: fallback[1] }),
  });
}

function made(rule: Readonly<Record<string, unknown>>): RuleText {
  return { ok: true, rule };
}

function wrongCount(type: string, expected: string, args: readonly string[]): RuleText {
  return {
    ok: false,
    code: "bad_rule",
    message: `${type}: expected ${expected}, got "${args.join(", ")}"`,
    hint: `${type}(…) takes ${expected}`,
  };
}

/** The number `text` writes in decimals, else the text itself, which the check that follows refuses by name. */
function numberOr(text: string | undefined): unknown {
  return text !== undefined && /^[+-]?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
}
