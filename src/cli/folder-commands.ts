// `verify` and `repair`: the folder of a store that nobody has open.

import { resolve } from "node:path";

import { repairFolder, verifyFolder, type FolderDamage, type FolderReport, type RepairReport } from "../index.ts";
import { EXIT } from "./exit-code.ts";
import type { Io } from "./io.ts";
import { assertStoreExists } from "./session-options.ts";

interface FolderFlags {
  readonly json?: boolean;
}

export async function verifyCommand(dir: string, flags: FolderFlags, io: Io): Promise<number> {
  const folder = resolve(io.cwd, dir);
  assertStoreExists(folder);
  const report = await verifyFolder(folder);
  io.out(flags.json ? JSON.stringify(report, null, 2) : linesOfReport(report, dir).join("\n"));
  return report.ok ? EXIT.ok : EXIT.store;
}

export async function repairCommand(dir: string, flags: FolderFlags & { copy: string }, io: Io): Promise<number> {
  const folder = resolve(io.cwd, dir);
  assertStoreExists(folder);
  const report = await repairFolder(folder, resolve(io.cwd, flags.copy));
  io.out(flags.json ? JSON.stringify(report, null, 2) : linesOfRepair(report).join("\n"));
  return report.whole ? EXIT.ok : EXIT.store;
}

function linesOfReport({ folder, ok, sessions, commits, blobs, files, problems }: FolderReport, dir: string): string[] {
  const lines = [`${folder}: ${count(sessions, "session")}, ${count(commits, "good commit")}, ${count(blobs, "blob")}`];
  lines.push(...files.map(lineOfFile));
  for (const { sessionId, key, message, lastGoodN, lastGoodAtMs, lastN } of problems) {
    const where = sessionId === null ? "record" : `session ${sessionId}, record`;
    lines.push(
      `damaged  ${where} ${message.includes(key) ? message.replace(/^(record|commit) /, "") : `${key}: ${message}`}`,
    );
    if (lastN === undefined) continue;
    const first = (lastGoodN ?? 0) + 1;
    lines.push(
      first > lastN
        ? `         all ${count(lastN, "commit")} are there`
        : `         lost: ${commitRange(first, lastN)}${lastGoodAtMs === undefined ? "" : `; good up to ${instant(lastGoodAtMs)}`}`,
    );
  }
  lines.push(
    ok ? "good" : `not good: "orchestra repair ${dir} --copy NEW" saves into a new folder what can be proved good`,
  );
  return lines;
}

function linesOfRepair({ from, to, whole, files, sessions }: RepairReport): string[] {
  const lines = [`${from} -> ${to}`, ...files.map(lineOfFile)];
  for (const { sessionId, lastN, lastAtMs, status, commits, lostCommits, lostRecords, mayHaveHadMore } of sessions) {
    lines.push(
      lastN === null
        ? `lost     session ${sessionId}: nothing of it can be proved good`
        : `saved    session ${sessionId}: ${count(commits, "commit")} up to ${lastN}, ${status}, ${instant(lastAtMs ?? 0)}`,
    );
    for (const { from: first, to: last } of lostCommits) lines.push(`         lost: ${commitRange(first, last)}`);
    for (const key of lostRecords) lines.push(`         lost: ${key}`);
    if (mayHaveHadMore && lastN !== null)
      lines.push(`         perhaps lost: commits behind ${lastN}, if there were any`);
  }
  lines.push(
    whole ? "nothing was lost" : "the copy is good; what is listed as lost is not in it. The original is as it was",
  );
  return lines;
}

function lineOfFile({ file, offset, message, losesData, held, sessions, between }: FolderDamage): string {
  const others = sessions.filter((sessionId) => held.every((range) => range.sessionId !== sessionId));
  const holding = [
    ...held.map(({ sessionId, from, to }) => `${commitRange(from, to)} of session ${sessionId}`),
    ...others.map((sessionId) => `records of session ${sessionId}`),
    ...(between === undefined ? [] : [betweenKeys(between)]),
  ];
  const what = losesData ? (holding.length === 0 ? "" : ` (held ${holding.join(", ")})`) : " (loses nothing by itself)";
  return `damaged  ${file}${offset === null ? "" : ` at byte ${offset}`}: ${message}${what}`;
}

function betweenKeys([before, behind]: readonly [string, string]): string {
  if (before === "" && behind === "") return "records of unknown keys";
  if (before === "") return `records up to "${behind}"`;
  return behind === "" ? `records behind "${before}"` : `records between "${before}" and "${behind}"`;
}

function commitRange(from: number, to: number): string {
  return from === to ? `commit ${from}` : `commits ${from} to ${to}`;
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}

function instant(atMs: number): string {
  return new Date(atMs).toISOString();
}
