// Live owners
//
// Which sessions of a store are live in this process, so that two engines on one store object do not take sessions from
// each other. Keyed by the store that was handed in: engines meet here only where they share one. Safety does not
// rest on this (the append itself proves ownership); it spares pointless fights.

import type { Inbox } from "../bus/ports.ts";
import type { SessionStore } from "../state/ports.ts";

/** Where what others ask of the sessions of an engine is to be put: engines that share a store need not share a bus. */
export interface LiveOwner {
  readonly inbox: Inbox;
}

const owners = new WeakMap<SessionStore, Map<string, LiveOwner>>();

/** False when another engine on this store has the session live. */
export function takeLive(store: SessionStore, sessionId: string, engine: LiveOwner): boolean {
  let sessions = owners.get(store);
  if (sessions === undefined) owners.set(store, (sessions = new Map()));
  const owner = sessions.get(sessionId);
  if (owner !== undefined && owner !== engine) return false;
  sessions.set(sessionId, engine);
  return true;
}

export function dropLive(store: SessionStore, sessionId: string, engine: object): void {
  const sessions = owners.get(store);
  if (sessions?.get(sessionId) === engine) sessions.delete(sessionId);
}

/** The other engine on this store that has the session live. */
export function liveElsewhere(store: SessionStore, sessionId: string, engine: LiveOwner): LiveOwner | undefined {
  const owner = owners.get(store)?.get(sessionId);
  return owner === engine ? undefined : owner;
}
