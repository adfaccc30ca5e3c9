// Tool terms: under which conditions a tool is run, which its user may change without changing the tool.

import { assertOptions, check, durationMs, flag, object } from "../../runtime/option-schema.ts";
import { madeBy } from "../agent-options.ts";
import type { Tool, ToolPolicy } from "./tool.ts";

export type ToolTerms = Partial<
  Pick<Tool, "description" | "policy" | "idempotent" | "timeoutMs" | "approvalTimeoutMs">
>;

const POLICIES: readonly unknown[] = ["allow", "approve", "block"] satisfies ToolPolicy[];

/** What each must be. */
export const TERMS = {
  description: check((value) => typeof value === "string", "a text"),
  policy: check((value) => POLICIES.includes(value), `one of ${POLICIES.join(", ")}`),
  idempotent: flag,
  timeoutMs: durationMs,
  approvalTimeoutMs: durationMs,
};
const SCHEMA = object(TERMS);

/** The same tool on other terms. @throws {OrchestraError} `ORCH_BAD_OPTION` */
export function withTerms(tool: Tool, terms: ToolTerms): Tool {
  assertOptions(SCHEMA, terms, madeBy("withTerms", tool));
  // What is undefined is not given: it must not take a policy away.
  const given = Object.fromEntries(Object.entries(terms).filter(([, term]) => term !== undefined));
  return Object.freeze({ ...tool, ...given });
}
