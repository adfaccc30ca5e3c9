// Repair: a new folder with everything of a damaged one that can be proved good.
//
// R1  The damaged folder is only read.
// R2  Of each session its longest provable history is taken over (state/salvage.ts); the index entry is what that history
//     adds up to, so a session that was further than what is left of it is found again as it stood then.
// R3  What is not taken over is listed. The copy is verified before it is said to be there.

import { mkdir, readdir, realpath, rm } from "node:fs/promises";
import { dirname, resolve, sep } from "node:path";

import { initialState, reduceAll } from "../actors/reduce.ts";
import { decodeState, firstDueAtMs } from "../actors/view.ts";
import { OrchestraError } from "../base/errors.ts";
import { asFolderDamage, lostOf, mayHoldCommit, type FileDamage, type FolderDamage } from "../state/file-damage.ts";
import { heldEnds, readClosedFolder } from "../state/folder-verify.ts";
import { LevelStorage } from "../state/level-store.ts";
import { sessionIds } from "../state/level-verify.ts";
import type { SessionEntry } from "../state/ports.ts";
import { salvageSession, type Salvage } from "../state/salvage.ts";
import { putContent } from "../state/transfer.ts";

export interface RepairReport {
  readonly from: string;
  readonly to: string;
  /** Nothing was lost. */
  readonly whole: boolean;
  readonly files: readonly FolderDamage[];
  readonly sessions: readonly RepairedSession[];
}

export interface RepairedSession {
  readonly sessionId: string;
  /** The last commit taken over; null when nothing of the session can be proved good, and it is not in the copy. */
  readonly lastN: number | null;
  readonly lastAtMs: number | null;
  readonly status: SessionEntry["status"] | null;
  readonly commits: number;
  readonly lostCommits: Salvage["lostCommits"];
  /** Its newest commits may have stood in a damaged part too, and nothing that is left says so. */
  readonly mayHaveHadMore: boolean;
  /** Keys of snapshots, checkpoints and blobs that were not taken over. */
  readonly lostRecords: readonly string[];
}

/**
 * Makes the folder `to`, which must be new or empty, out of what is good in `from`.
 * @throws {OrchestraError} `ORCH_BAD_OPTION` for a `to` that holds something, or lies inside `from`; `ORCH_STORE_LOCKED`
 *   while a process has `from` open; `ORCH_STORE_FAILED` when `from` is no store, or one of them cannot be read or
 *   written; `ORCH_STORE_VERSION` for what a newer program wrote. Then `to` is left as it was.
 */
export async function repairFolder(from: string, to: string): Promise<RepairReport> {
  const source = resolve(from);
  const reader = await readClosedFolder(source);
  const target = await emptyFolder(to, source);
  const storage = new LevelStorage(target.path);
  try {
    const files = reader.damages.map(asFolderDamage);
    const ends = heldEnds(files);
    const sessions: RepairedSession[] = [];
    const named = files.flatMap((file) => file.sessions);
    for (const sessionId of new Set([...(await sessionIds(reader.kv)), ...ends.keys(), ...named])) {
      const salvage = await salvageSession(reader.kv, sessionId, ends.get(sessionId));
      sessions.push(await takeOver(storage, sessionId, salvage, reader.damages));
    }
    const { ok, problems } = await storage.verify();
    if (!ok)
      throw new OrchestraError("ORCH_STORE_FAILED", `the copy ${target.path} is not good: ${problems[0]?.message}`);
    await storage.close();
    const whole =
      files.every(({ losesData }) => !losesData) &&
      sessions.every(({ lostCommits, lostRecords }) => lostCommits.length + lostRecords.length === 0);
    return { from: source, to: target.path, whole, files, sessions };
  } catch (error) {
    await storage.close().catch(() => undefined);
    await target.remove();
    throw error;
  }
}

async function takeOver(
  storage: LevelStorage,
  sessionId: string,
  salvage: Salvage,
  damages: readonly FileDamage[],
): Promise<RepairedSession> {
  const { commits, snapshots, lostCommits } = salvage;
  const last = commits.at(-1);
  const lost = {
    sessionId,
    lostCommits,
    lostRecords: [...new Set([...salvage.lostRecords, ...lostOf(sessionId, damages)])],
    mayHaveHadMore: lostCommits.length === 0 && mayHoldCommit(damages, sessionId, (last?.n ?? 0) + 1),
  };
  if (last === undefined) return { ...lost, lastN: null, lastAtMs: null, status: null, commits: 0 };
  const entry = entryOf(sessionId, salvage);
  await putContent(storage, { ...salvage, snapshots, entry });
  return { ...lost, lastN: last.n, lastAtMs: last.atMs, status: entry.status, commits: commits.length };
}

/** R2 */
function entryOf(sessionId: string, { commits, snapshots, entry }: Salvage): SessionEntry {
  const [first, last] = [commits[0], commits.at(-1)];
  const start = snapshots.find(({ n }) => n === (first?.n ?? 0) - 1);
  let state = start === undefined ? initialState(sessionId) : decodeState(start.state, start.reducer);
  for (const { facts, atMs } of commits) ({ state } = reduceAll(state, facts, atMs));
  const { run } = state;
  const parent = run?.parent?.sessionId ?? entry?.parentSessionId;
  const dueAtMs = firstDueAtMs(state);
  return {
    sessionId,
    status: state.status,
    runId: run?.runId ?? null,
    topologyHash: run?.topologyHash ?? null,
    createdAtMs: entry?.createdAtMs ?? first?.atMs ?? 0,
    updatedAtMs: last?.atMs ?? 0,
    host: last?.host ?? "",
    n: last?.n ?? 0,
    ...(parent === undefined ? {} : { parentSessionId: parent }),
    ...(dueAtMs === undefined ? {} : { dueAtMs }),
  };
}

interface Target {
  readonly path: string;
  /** Takes back what was put there. */
  remove(): Promise<void>;
}

async function emptyFolder(to: string, source: string): Promise<Target> {
  const path = resolve(to);
  const refuse = (why: string): OrchestraError =>
    new OrchestraError("ORCH_BAD_OPTION", `repair: the copy ${path} ${why}`, { details: { path } });
  const parent = await realpath(dirname(path)).catch(() => dirname(path));
  const original = await realpath(source);
  if (path === source || `${parent}${sep}`.startsWith(`${original}${sep}`)) throw refuse("lies inside the original");
  const names = await readdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw refuse(`cannot be read: ${error.message}`);
  });
  if (names !== null && names.length > 0) throw refuse("is not empty; name a new folder");
  return {
    path,
    async remove() {
      await rm(path, { recursive: true, force: true });
      if (names !== null) await mkdir(path, { recursive: true });
    },
  };
}
