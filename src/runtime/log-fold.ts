// Log fold: the states a session's log goes through, from a snapshot or from its beginning.

import { initialState, reduceAll } from "../actors/reduce.ts";
import type { CommitReduction } from "../actors/reduction.ts";
import { decodeState } from "../actors/view.ts";
import type { SessionState } from "../actors/session-state.ts";
import { OrchestraError } from "../base/errors.ts";
import type { Commit, SessionEntry, SessionStore, Snapshot } from "../state/ports.ts";
import type { LogPosition } from "./committer.ts";

export interface Folded {
  readonly commit: Commit;
  readonly reduction: CommitReduction;
}

export interface FoldStart {
  readonly n: number;
  readonly state: SessionState;
}

/** Where a fold that needs every commit after `afterN` starts: the newest snapshot at or before it, else the beginning. */
export async function foldStart(store: SessionStore, sessionId: string, afterN: number): Promise<FoldStart> {
  const snapshot = afterN > 0 ? await store.latestSnapshot(sessionId, afterN) : null;
  return snapshot === null ? { n: 0, state: initialState(sessionId) } : startOf(snapshot);
}

/** @throws {OrchestraError} `ORCH_STORE_CORRUPT` when a commit is missing or bad. */
export async function* foldLog(store: SessionStore, sessionId: string, start: FoldStart): AsyncIterable<Folded> {
  let { n, state } = start;
  for await (const commit of store.read(sessionId, n + 1)) {
    if (commit.n !== n + 1) {
      // The log was compacted, before or while it is read: what is left starts after a snapshot.
      const snapshot = (await isFirst(store, sessionId, commit.n))
        ? await store.latestSnapshot(sessionId, commit.n - 1)
        : null;
      if (snapshot === null || snapshot.n !== commit.n - 1) {
        throw new OrchestraError(
          "ORCH_STORE_CORRUPT",
          `session "${sessionId}": commit ${n + 1} is missing (the log goes on at ${commit.n})`,
          {
            details: { sessionId, n: n + 1 },
          },
        );
      }
      ({ n, state } = startOf(snapshot));
    }
    const reduction = reduceAll(state, commit.facts, commit.atMs);
    state = reduction.state;
    n = commit.n;
    yield { commit, reduction };
  }
}

/** Nothing before the commit is kept. */
async function isFirst(store: SessionStore, sessionId: string, n: number): Promise<boolean> {
  for await (const commit of store.read(sessionId)) return commit.n >= n;
  return false;
}

/** Where a session that nobody has written to stands. `idIsNew`: nobody else can know its id. */
export function newPosition(sessionId: string, idIsNew = false): LogPosition {
  return { state: initialState(sessionId), n: 0, epoch: 1, lastAtMs: 0, entry: null, inbox: 0, idIsNew };
}

export interface LoadedSession {
  readonly position: LogPosition;
  readonly entry: SessionEntry;
  /** Commits and time it took to replay, for the snapshot policy. */
  readonly replayed: number;
}

/** The state at the end of the log; null for an unknown session. */
export async function loadSession(store: SessionStore, sessionId: string): Promise<LoadedSession | null> {
  const entry = await store.getSession(sessionId);
  if (entry === null) return null;
  const start = await foldStart(store, sessionId, Number.MAX_SAFE_INTEGER);
  let { n, state } = start;
  let replayed = 0;
  let last: Commit | null = null;
  for await (const { commit, reduction } of foldLog(store, sessionId, start)) {
    n = commit.n;
    state = reduction.state;
    last = commit;
    replayed++;
  }
  if (last === null) for await (const commit of store.read(sessionId, n)) last = commit;
  const end = await store.last(sessionId);
  return {
    position: { state, n, epoch: end?.epoch ?? 1, lastAtMs: last?.atMs ?? state.atMs, entry, inbox: last?.inbox ?? 0 },
    entry,
    replayed,
  };
}

function startOf(snapshot: Snapshot): FoldStart {
  return { n: snapshot.n, state: decodeState(snapshot.state, snapshot.reducer) };
}
