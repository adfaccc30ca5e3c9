// Moving a session from one store to another, with what is nested in it.
//
// It is in the other store whole before it goes here, what is nested before what holds it: cut short at any point, the
// move is ended by doing it again.

import { OrchestraError } from "../base/errors.ts";
import { allNestedIn } from "./nested-sessions.ts";
import { isSameCommit } from "./commit-format.ts";
import type { Commit, SessionEntry, SessionStore } from "./ports.ts";
import { exportSession, importSession } from "./transfer.ts";

/**
 * Resolves with the number of sessions moved. At most 64 MiB in one piece, as exports.
 * @throws {OrchestraError} `ORCH_SESSION_UNKNOWN`; `ORCH_SESSION_STATE` while a run in it moves, for a session that is
 *   nested in another, and when the other store has another session of that id; `ORCH_STORE_CORRUPT` when a part cannot be read.
 */
export async function moveSession(from: SessionStore, to: SessionStore, sessionId: string): Promise<number> {
  const top = await from.getSession(sessionId);
  if (top === null)
    throw new OrchestraError("ORCH_SESSION_UNKNOWN", `session ${sessionId} is not in the store ${from.name}`, {
      details: { sessionId },
    });
  if (top.parentSessionId !== undefined)
    throw refused(sessionId, `it is nested in "${top.parentSessionId}", and moves with that`);
  const all = [top, ...(await allNestedIn(from, sessionId))];
  const moving = all.find(({ status }) => status === "running");
  if (moving !== undefined) throw refused(moving.sessionId, "it is running: pause it, and move it then");
  if (!(await isSame(from, to, top))) {
    if (await isBehind(from, to, top)) for (const entry of all) await dropBehind(from, to, entry);
    await importSession(to, await exportSession(from, sessionId));
  }
  for (const entry of all)
    if (!(await isSame(from, to, entry)))
      throw refused(entry.sessionId, "it went on while it was copied; both stores have it now");
  for (const entry of all.toReversed()) await from.deleteSession(entry.sessionId);
  return all.length;
}

async function isSame(from: SessionStore, to: SessionStore, { sessionId }: SessionEntry): Promise<boolean> {
  const [here, there] = await Promise.all([from.last(sessionId), to.last(sessionId)]);
  return here !== null && here.n === there?.n && here.id === there.id && here.epoch === there.epoch;
}

/** What the other store has of it, if anything, is the beginning of what is here: a move was cut short. */
async function isBehind(from: SessionStore, to: SessionStore, { sessionId }: SessionEntry): Promise<boolean> {
  const there = await to.last(sessionId);
  if (there === null) return true;
  const [a, b] = await Promise.all([from, to].map((store) => commitAt(store, sessionId, there.n)));
  return a !== undefined && b !== undefined && isSameCommit(a, b);
}

async function dropBehind(from: SessionStore, to: SessionStore, entry: SessionEntry): Promise<void> {
  if (await isBehind(from, to, entry)) await to.deleteSession(entry.sessionId);
}

async function commitAt(store: SessionStore, sessionId: string, n: number): Promise<Commit | undefined> {
  for await (const commit of store.read(sessionId, n)) return commit.n === n ? commit : undefined;
  return undefined;
}

function refused(sessionId: string, why: string): OrchestraError {
  return new OrchestraError("ORCH_SESSION_STATE", `session ${sessionId} cannot be moved: ${why}`, {
    details: { sessionId },
  });
}
