// Nested sessions: which sessions of a store are nested in another.

import { nestedPrefix } from "../base/nested-ids.ts";
import type { SessionEntry, SessionStore } from "./ports.ts";

const PAGE = 200;

/** Those whose step ran in the session itself, ordered by id. */
export async function nestedIn(store: Pick<SessionStore, "listSessions">, sessionId: string): Promise<SessionEntry[]> {
  const prefix = nestedPrefix(sessionId);
  const found: SessionEntry[] = [];
  for (let cursor = prefix; ;) {
    const page = await store.listSessions({ limit: PAGE, cursor });
    for (const entry of page) {
      if (!entry.sessionId.startsWith(prefix)) return found;
      if (entry.parentSessionId === sessionId) found.push(entry);
    }
    const last = page.at(-1);
    if (page.length < PAGE || last === undefined) return found;
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
