// Rename sessions: what was recorded of a session and of those nested in it, as if they had had other names from the start.

import { nestedPrefix } from "../base/nested-ids.ts";
import type { SessionEntry } from "./ports.ts";

/** New names by old ones. `nested` are all sessions nested in `top`, those that hold others before what is nested in them. */
export function newNames(top: string, as: string, nested: readonly SessionEntry[]): ReadonlyMap<string, string> {
  const names = new Map([[top, as]]);
  for (const { sessionId, parentSessionId = top } of nested) {
    const parent = names.get(parentSessionId) ?? parentSessionId;
    const before = nestedPrefix(parentSessionId);
    names.set(
      sessionId,
      sessionId.startsWith(before) ? nestedPrefix(parent) + sessionId.slice(before.length) : sessionId,
    );
  }
  return names;
}

const NAMING = new Set(["sessionId", "parentSessionId", "questionId"]);

/** A copy of facts, a state or an entry with sessions and questions under their new names. Does not look inside users' values. */
export function renamed<T>(record: T, names: ReadonlyMap<string, string>): T {
  return walk(record, (id) => nameOf(id, names)) as T;
}

function walk(value: unknown, rename: (id: string) => string): unknown {
  if (Array.isArray(value)) return value.map((item) => walk(item, rename));
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      // `v` holds a user's value; topologies and errors name no session of ours.
      if (key === "v" || key === "topology" || key === "error") return [key, item];
      if (NAMING.has(key) && typeof item === "string") return [key, rename(item)];
      if (key !== "answers" || typeof item !== "object" || item === null) return [key, walk(item, rename)];
      return [key, Object.fromEntries(Object.entries(item).map(([id, answer]) => [rename(id), answer]))];
    }),
  );
}

/** A question's id begins with the session that asks it. */
function nameOf(id: string, names: ReadonlyMap<string, string>): string {
  const end = id.indexOf("/");
  const sessionId = end === -1 ? id : id.slice(0, end);
  const name = names.get(sessionId);
  return name === undefined ? id : name + id.slice(sessionId.length);
}
