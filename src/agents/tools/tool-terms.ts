// Tool terms: under which conditions a tool is run, which its user may change without changing the tool.

import { OrchestraError } from "../../base/errors.ts";
import type { Tool, ToolPolicy } from "./tool.ts";

export type ToolTerms = Partial<
  Pick<Tool, "description" | "policy" | "idempotent" | "timeoutMs" | "approvalTimeoutMs">
>;

export const TERMS = ["description", "policy", "idempotent", "timeoutMs", "approvalTimeoutMs"] as const;
export const TOOL_NAME = /^[\w-]{1,64}$/;
const POLICIES: readonly unknown[] = ["allow", "approve", "block"] satisfies ToolPolicy[];

/** The same tool on other terms. @throws {OrchestraError} `ORCH_BAD_OPTION` */
export function withTerms(tool: Tool, terms: ToolTerms): Tool {
  for (const key of Object.keys(terms))
    if (!TERMS.some((term) => term === key))
      throw badTool("withTerms", `tool "${tool.name}": ${key}`, `one of ${TERMS.join(", ")}`, key);
  assertTerms("withTerms", tool.name, terms);
  // What is undefined is not given: it must not take a policy away.
  const given = Object.fromEntries(Object.entries(terms).filter(([, term]) => term !== undefined));
  return Object.freeze({ ...tool, ...given });
}

/** @throws {OrchestraError} `ORCH_BAD_OPTION` */
export function assertTerms(maker: string, name: string, terms: ToolTerms): void {
  const { description, policy, idempotent } = terms;
  const refuse = (field: string, expected: string, found: unknown): never => {
    throw badTool(maker, `tool "${name}": ${field}`, expected, found);
  };
  if (description !== undefined && typeof description !== "string") refuse("description", "a text", description);
  if (policy !== undefined && !POLICIES.includes(policy)) refuse("policy", `one of ${POLICIES.join(", ")}`, policy);
  if (idempotent !== undefined && typeof idempotent !== "boolean") refuse("idempotent", "true or false", idempotent);
  for (const field of ["timeoutMs", "approvalTimeoutMs"] as const) {
    const limitMs = terms[field];
    if (limitMs !== undefined && limitMs !== false && !(limitMs > 0 && Number.isFinite(limitMs)))
      refuse(field, "milliseconds above 0, or false", limitMs);
  }
}

export function badTool(maker: string, what: string, expected: string, found: unknown): OrchestraError {
  const got = typeof found === "object" ? "an object" : JSON.stringify(found);
  return new OrchestraError("ORCH_BAD_OPTION", `${maker}: ${what}: expected ${expected}, got ${got}`);
}
