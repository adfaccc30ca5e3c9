// Verifies the folder of a store that nobody has open, also one that cannot be opened any more. Changes nothing.

import { resolve } from "node:path";
import { OrchestraError, isOrchestraError } from "../base/errors.ts";
import { holderOf, storeLocked } from "./folder-holder.ts";
import { readFolder, type FolderReader } from "./folder-reader.ts";
import type { KeyValue } from "./key-value.ts";
import { keys } from "./level-keys.ts";
import { lastKnown, verifyStore } from "./level-verify.ts";
import type { FileDamage } from "./leveldb-files.ts";
import type { VerifyReport } from "./ports.ts";

/** What `verifyFolder` found: damaged files, and what that did to sessions. */
export interface FolderReport extends VerifyReport {
  readonly folder: string;
  readonly files: readonly FolderDamage[];
}

export interface FolderDamage {
  readonly file: string;
  /** Byte at which it begins; null for a file that is missing or of the wrong length. */
  readonly offset: number | null;
  readonly message: string;
  /** False when all that stood there is known from elsewhere. */
  readonly losesData: boolean;
  /** Commits that can be made out in the damaged bytes and are lost; there may have been others. */
  readonly held: readonly { readonly sessionId: string; readonly from: number; readonly to: number }[];
  /** Keys between which the damaged part stood, where that is known. */
  readonly between?: readonly [string, string];
}

const COMMIT_KEY = /c\/([\p{L}\p{N}_.:@+-]{1,200})\/(\d{12})/gu;

/**
 * Walks every file, checksum and number.
 * @throws {OrchestraError} `ORCH_STORE_LOCKED` while a process has the folder open; `ORCH_STORE_FAILED` when there is no
 *   store, or it cannot be read; `ORCH_STORE_VERSION` when a newer program wrote it.
 */
export async function verifyFolder(folder: string): Promise<FolderReport> {
  const reader = await readClosedFolder(folder);
  const report = await verifyStore(reader.kv);
  const files = reader.damages.map(asFolderDamage);
  const problems = [...report.problems, ...(await lostBehindEnds(reader.kv, files))];
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

/** The last commit of each session that can be made out in damaged bytes. */
export function heldEnds(files: readonly FolderDamage[]): ReadonlyMap<string, number> {
  const ends = new Map<string, number>();
  for (const { sessionId, to } of files.flatMap(({ held }) => held))
    ends.set(sessionId, Math.max(to, ends.get(sessionId) ?? 0));
  return ends;
}

/** @throws {OrchestraError} as `verifyFolder` */
export async function readClosedFolder(path: string): Promise<FolderReader> {
  const folder = resolve(path);
  const holder = await holderOf(folder);
  if (holder !== null) throw storeLocked(folder, holder);
  try {
    const reader = await readFolder(folder);
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

export function asFolderDamage({ bytes, rescued = [], between, ...damage }: FileDamage): FolderDamage {
  const held = new Map<string, { from: number; to: number }>();
  for (const [key, sessionId = "", digits] of bytes?.toString("utf8").matchAll(COMMIT_KEY) ?? []) {
    if (rescued.includes(key)) continue;
    const n = Number(digits);
    const range = held.get(sessionId);
    held.set(
      sessionId,
      range === undefined ? { from: n, to: n } : { from: Math.min(range.from, n), to: Math.max(range.to, n) },
    );
  }
  return {
    ...damage,
    held: [...held].map(([sessionId, range]) => ({ sessionId, ...range })),
    ...(between === undefined ? {} : { between: [between[0]?.toString() ?? "", between[1].toString()] as const }),
  };
}
