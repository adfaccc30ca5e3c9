// Verifies the folder of a store that nobody has open, also one that cannot be opened any more. Changes nothing.

import { resolve } from "node:path";
import { OrchestraError, isOrchestraError } from "../base/errors.ts";
import { asFolderDamage, type FolderDamage } from "./file-damage.ts";
import { holderOf, storeLocked } from "./folder-holder.ts";
import { readFolder, type FolderReader } from "./folder-reader.ts";
import type { KeyValue } from "./key-value.ts";
import { keys } from "./level-keys.ts";
import { lastKnown, sessionIds, verifyStore } from "./level-verify.ts";
import type { VerifyReport } from "./ports.ts";

/** What `verifyFolder` found: damaged files, and what that did to sessions. */
export interface FolderReport extends VerifyReport {
  readonly folder: string;
  readonly files: readonly FolderDamage[];
}

/**
 * Walks every file, checksum and number.
 * @throws {OrchestraError} `ORCH_STORE_LOCKED` while a process has the folder open; `ORCH_STORE_FAILED` when there is no
 *   store, or it cannot be read; `ORCH_STORE_VERSION` when a newer program wrote it.
 */
export async function verifyFolder(folder: string): Promise<FolderReport> {
  const reader = await readClosedFolder(folder);
  const report = await verifyStore(reader.kv);
  const files = reader.damages.map(asFolderDamage);
  const problems = [
    ...report.problems,
    ...(await lostBehindEnds(reader.kv, files)),
    ...(await lostWhole(reader.kv, files)),
  ];
  return { ...report, problems, folder: resolve(folder), files, ok: report.ok && files.length === 0 };
}

/** Commits that only the damaged bytes know of: without them a log is merely shorter. */
async function lostBehindEnds(kv: KeyValue, files: readonly FolderDamage[]): Promise<VerifyReport["problems"]> {
  const problems: VerifyReport["problems"][number][] = [];
  for (const [sessionId, lastN] of heldEnds(files)) {
    const lastGoodN = await lastKnown(kv, sessionId);
    if (lastGoodN !== null && lastGoodN >= lastN) continue;
    const key = keys.commit(sessionId, (lastGoodN ?? 0) + 1);
    problems.push({ sessionId, key, message: `record ${key}: it was in a damaged part of a file`, lastGoodN, lastN });
  }
  return problems;
}

/** Sessions of which nothing is left but a key, with no number of a commit, in damaged bytes. */
async function lostWhole(kv: KeyValue, files: readonly FolderDamage[]): Promise<VerifyReport["problems"]> {
  const left = new Set([...(await sessionIds(kv)), ...heldEnds(files).keys()]);
  const lost = new Set(files.flatMap(({ sessions }) => sessions).filter((sessionId) => !left.has(sessionId)));
  return [...lost].map((sessionId) => {
    const key = keys.head(sessionId);
    return { sessionId, key, message: `record ${key}: nothing is left of the session`, lastGoodN: null };
  });
}

/** The last commit of each session that can be made out in damaged bytes. */
export function heldEnds(files: readonly FolderDamage[]): ReadonlyMap<string, number> {
  const ends = new Map<string, number>();
  for (const { sessionId, to } of files.flatMap(({ held }) => held))
    ends.set(sessionId, Math.max(to, ends.get(sessionId) ?? 0));
  return ends;
}

/** By keys that no store of sessions has: as sessions, all of it would be found damaged, and nothing worth saving. */
async function isMemory(kv: KeyValue): Promise<boolean> {
  const [settings, seq] = await kv.getMany(["!memory", "!seq"]);
  return settings !== undefined || seq !== undefined || (await kv.range("v/", "v0", { limit: 1 })).length > 0;
}

/** @throws {OrchestraError} as `verifyFolder` */
export async function readClosedFolder(path: string): Promise<FolderReader> {
  const folder = resolve(path);
  const holder = await holderOf(folder);
  if (holder !== null) throw storeLocked(folder, holder);
  try {
    const reader = await readFolder(folder);
    if (await isMemory(reader.kv))
      throw new OrchestraError("ORCH_STORE_FAILED", `store ${folder}: it holds a memory, expected sessions`, {
        details: { path: folder },
      });
    if (!reader.empty) return reader;
  } catch (error) {
    if (isOrchestraError(error)) throw error;
    throw new OrchestraError("ORCH_STORE_FAILED", `store ${folder}: cannot be read: ${(error as Error).message}`, {
      cause: error,
      details: { path: folder },
    });
  }
  throw new OrchestraError("ORCH_STORE_FAILED", `${folder}: there is no store`, { details: { path: folder } });
}
