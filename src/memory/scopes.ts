// Scopes: what belongs where.

import { OrchestraError } from "../base/errors.ts";
import type { MemoryProvenance, MemoryScope } from "./ports.ts";

/** From narrow to wide. */
const KINDS = ["runId", "sessionId", "project"] as const;
type Kind = (typeof KINDS)[number];

export const NAME_CHARS_MAX = 500;
const HALF_A_CHARACTER = /\p{Surrogate}/u;

export const SCOPE_EXPECTED = `"global" or one of { runId }, { sessionId } and { project } with a text of 1 to ${NAME_CHARS_MAX} characters`;

/** @throws {OrchestraError} `ORCH_BAD_OPTION` */
export function parseScope(scope: unknown): MemoryScope {
  if (isScope(scope)) return scope;
  throw new OrchestraError("ORCH_BAD_OPTION", `scope: expected ${SCOPE_EXPECTED}, got ${JSON.stringify(scope)}`);
}

export function isScope(scope: unknown): scope is MemoryScope {
  if (scope === "global") return true;
  if (typeof scope !== "object" || scope === null) return false;
  const fields = Object.entries(scope);
  const [kind, name] = fields[0] ?? [];
  return fields.length === 1 && KINDS.includes(kind as Kind) && isName(name);
}

/** One text per scope, e.g. `runId:r1`. */
export function scopeKey(scope: MemoryScope): string {
  if (scope === "global") return "global";
  const [kind, name] = Object.entries(scope)[0] as [string, string];
  return `${kind}:${name}`;
}

/** Every scope whose search finds an entry that is kept in `scope` and comes from there: the scope itself, and narrower ones. */
export function scopesOf(scope: MemoryScope, provenance: MemoryProvenance): MemoryScope[] {
  const kept = scope === "global" ? KINDS.length : KINDS.indexOf(Object.keys(scope)[0] as Kind);
  const narrower = KINDS.slice(0, kept)
    .filter((kind) => isName(provenance[kind]))
    .map((kind) => ({ [kind]: provenance[kind] }) as MemoryScope);
  return [scope, ...narrower];
}

/** Of a scope, key, namespace or tag: short, and not ending in half a character. */
export function isName(name: unknown): name is string {
  return typeof name === "string" && name !== "" && name.length <= NAME_CHARS_MAX && !HALF_A_CHARACTER.test(name);
}
