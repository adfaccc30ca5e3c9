// Plain JSON
//
// A topology is stored in the log and hashed, so whatever a user attaches to it must survive JSON
// unchanged, and two writings of the same data must hash alike.

import { createHash } from "node:crypto";

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Where in `value` something stands that JSON would lose or change, as `path: what`; undefined when it is plain. */
export function findNotPlain(
  value: unknown,
  path: string,
  above: readonly unknown[] = [],
): { path: string; found: string } | undefined {
  switch (typeof value) {
    case "string":
    case "boolean":
      return undefined;
    case "number":
      return Number.isFinite(value) ? undefined : { path, found: String(value) };
    case "object":
      break;
    default:
      return { path, found: typeof value };
  }
  if (value === null) return undefined;
  if (above.includes(value)) return { path, found: "a cycle" };
  if (above.length > 100) return { path, found: "more than 100 levels" };
  const prototype: unknown = Object.getPrototypeOf(value);
  if (!Array.isArray(value) && prototype !== Object.prototype && prototype !== null) {
    return { path, found: `an instance of ${value.constructor?.name ?? "a class"}` };
  }
  const inside = [...above, value];
  for (const [key, item] of Object.entries(value)) {
    if (item === undefined && !Array.isArray(value)) continue;
    const wrong = findNotPlain(item, Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`, inside);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

/** A frozen copy of plain data, without undefined properties. */
export function frozenCopy<T>(value: T): T {
  return deepFreeze(JSON.parse(JSON.stringify(value)) as T);
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    for (const item of Object.values(value)) deepFreeze(item);
    Object.freeze(value);
  }
  return value;
}

/** JSON with the keys of every object in code-unit order (as in RFC 8785): equal data gives equal text. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (!isRecord(value)) return JSON.stringify(value) ?? "null";
  const entries = Object.keys(value)
    .filter((key) => value[key] !== undefined)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key])}`);
  return `{${entries.join(",")}}`;
}

export function sha256Hex(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
