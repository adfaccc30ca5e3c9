// Nested sessions: which sessions of a store are nested in another.

import { nestedPrefix } from "../base/nested-ids.ts";
import type { SessionEntry, SessionStore } from "./ports.ts";

/** Nearly always nothing is nested, and on a bus each session of a page that runs is a question to its log. */
const FIRST_PAGE = 1;
const PAGE = 200;

/** Those whose step ran in the session itself, ordered by id. */
export async function nestedIn(store: Pick<SessionStore, "listSessions">, sessionId: string): Promise<SessionEntry[]> {
  const prefix = nestedPrefix(sessionId);
  const found: SessionEntry[] = [];
  for (let cursor = prefix, limit = FIRST_PAGE; ; limit = PAGE) {
    const page = await store.listSessions({ limit, cursor });
    for (const entry of page) {
      if (!entry.sessionId.startsWith(prefix)) return found;
      if (entry.parentSessionId === sessionId) found.push(entry);
    }
    const last = page.at(-1);
    if (page.length < limit || last === undefined) return found;
    cursor = last.sessionId;
  }
}

/** However deep, those that hold others before what is nested in them. */
export async function allNestedIn(
  store: Pick<SessionStore, "listSessions">,
  sessionId: string,
): Promise<SessionEntry[]> {
  const found: SessionEntry[] = [];
  for (const entry of await nestedIn(store, sessionId))
    found.push(entry, ...(await allNestedIn(store, entry.sessionId)));
  return found;
}
