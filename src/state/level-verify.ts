// Walks a whole store: every checksum, every number, every reference.

import { isOrchestraError } from "../base/errors.ts";
import { decodeCommit } from "./commit-format.ts";
import { messageOf } from "./file-damage.ts";
import type { KeyValue } from "./key-value.ts";
import { keys, partsOf, rangeOf } from "./level-keys.ts";
import { decodeBlob, decodeCheckpoint, decodeEntry, decodeHead, decodeSnapshot } from "./level-records.ts";
import { readCommits } from "./level-reads.ts";
import type { Commit, StoreStats, VerifyReport } from "./ports.ts";

/** Of keys whose first part is a session; of those the ones with more than one part. */
const PARTED = ["c", "s", "k", "q"] as const;
const LETTERS = ["h", "e", ...PARTED] as const;

type Problem = VerifyReport["problems"][number];

/** Reports the first bad commit of each session, and every other record that is bad. Appends may go on meanwhile. */
export async function verifyStore(kv: KeyValue): Promise<VerifyReport> {
  const problems: Problem[] = [];
  const check = async (key: string, sessionId: string | null, read: () => unknown): Promise<void> => {
    try {
      await read();
    } catch (error) {
      problems.push({ sessionId, key, message: (error as Error).message, lastGoodN: null });
    }
  };
  // Damage that LevelDB itself trips over ends one walk, not all of them.
  const walk = (letter: string, body: () => Promise<void>): Promise<void> => check(rangeOf(letter)[0], null, body);
  const damage = (await kv.damage?.()) ?? null;
  if (damage !== null)
    problems.push({ sessionId: null, key: damage.file, message: messageOf(damage), lastGoodN: null });
  let sessions = 0;
  let commits = 0;
  await walk("h", async () => {
    for (const sessionId of await sessionIds(kv)) {
      sessions += 1;
      commits += await verifyLog(kv, sessionId, problems);
    }
  });
  for (const [letter, decode] of [
    ["e", decodeEntry],
    ["s", decodeSnapshot],
    ["k", decodeCheckpoint],
  ] as const) {
    await walk(letter, async () => {
      for await (const [key, record] of all(kv, letter))
        await check(key, partsOf(key)[0] ?? null, () => decode(record, key));
    });
  }
  let blobs = 0;
  await walk("b", async () => {
    for await (const [key, record] of all(kv, "b")) {
      blobs += 1;
      await check(key, null, () => decodeBlob(partsOf(key)[0] ?? "", record));
    }
  });
  await walk("q", async () => {
    for (const key of await kv.keys(...rangeOf("q"))) {
      const [sessionId = "", ref = ""] = partsOf(key);
      await check(keys.blob(ref), sessionId, async () => {
        if ((await kv.get(keys.blob(ref))) === undefined) await decodeBlob(ref, undefined);
      });
    }
  });
  return { ok: problems.length === 0, sessions, commits, blobs, problems };
}

export async function countStore(kv: KeyValue, batches: number): Promise<StoreStats> {
  const count = async (letter: string): Promise<number> => (await kv.keys(...rangeOf(letter))).length;
  return {
    sessions: await count("h"),
    commits: await count("c"),
    snapshots: await count("s"),
    checkpoints: await count("k"),
    blobs: await count("b"),
    bytes: await kv.size(),
    batches,
  };
}

/** Commits found good. */
async function verifyLog(kv: KeyValue, sessionId: string, problems: Problem[]): Promise<number> {
  let good = 0;
  let lastGoodN: number | null = null;
  let lastGoodAtMs: number | undefined;
  try {
    const head = await kv.get(keys.head(sessionId));
    if (head === undefined && (await isGone(kv, sessionId))) return 0;
    if (head === undefined)
      throw new Error(`record ${keys.head(sessionId)}: it is missing, but the session has other records`);
    let last = decodeHead(head, keys.head(sessionId)).first - 1;
    for await (const commit of readCommits(kv, sessionId)) {
      good += 1;
      last = commit.n;
      lastGoodN = last;
      lastGoodAtMs = commit.atMs;
    }
    const beyond = (await kv.keys(keys.commit(sessionId, last + 1), rangeOf("c", sessionId)[1])).length;
    const now = decodeHead((await kv.get(keys.head(sessionId))) ?? head, keys.head(sessionId));
    if (beyond > now.n - last)
      throw new Error(`record ${keys.head(sessionId)}: commits stand beyond the last one it knows`);
  } catch (error) {
    const key = (error as { details?: { key?: string } }).details?.key ?? keys.head(sessionId);
    const lastN = await lastKnown(kv, sessionId);
    if (lastGoodN === null) {
      // Without a good head nothing was walked: the commits may be there all the same.
      const commits = await wholeFrom(kv, sessionId);
      good = commits.length;
      lastGoodN = commits.at(-1)?.n ?? null;
      lastGoodAtMs = commits.at(-1)?.atMs;
    }
    problems.push({
      sessionId,
      key,
      message: (error as Error).message,
      lastGoodN,
      ...(lastGoodAtMs === undefined ? {} : { lastGoodAtMs }),
      ...(lastN === null ? {} : { lastN }),
    });
  }
  return good;
}

/** The good commits without a gap from the first one on. */
async function wholeFrom(kv: KeyValue, sessionId: string): Promise<readonly Commit[]> {
  const commits: Commit[] = [];
  try {
    for (const [key, record] of await kv.range(...rangeOf("c", sessionId), { limit: Infinity })) {
      if (key !== keys.commit(sessionId, commits.length + 1)) break;
      commits.push(decodeCommit(record, key));
    }
  } catch (error) {
    if (!isOrchestraError(error, "ORCH_STORE_CORRUPT")) throw error;
  }
  return commits;
}

/** The last commit a session had, by its head or by what is left of its log. */
export async function lastKnown(kv: KeyValue, sessionId: string): Promise<number | null> {
  const [last] = await kv.range(...rangeOf("c", sessionId), { limit: 1, reverse: true });
  const stored = last === undefined ? 0 : Number(partsOf(last[0])[1]);
  const headKey = keys.head(sessionId);
  try {
    const head = await kv.get(headKey);
    return Math.max(stored, head === undefined ? 0 : decodeHead(head, headKey).n) || null;
  } catch {
    return stored || null;
  }
}

// Deleted since the walk began: all of it goes at once.
async function isGone(kv: KeyValue, sessionId: string): Promise<boolean> {
  const [entry] = await kv.getMany([keys.entry(sessionId)]);
  if (entry !== undefined) return false;
  for (const letter of PARTED)
    if ((await kv.range(...rangeOf(letter, sessionId), { limit: 1 })).length > 0) return false;
  return true;
}

/** A session whose head was lost is found by whatever else is left of it. */
export async function sessionIds(kv: KeyValue): Promise<readonly string[]> {
  const found = new Set<string>();
  for (const letter of LETTERS) for (const key of await kv.keys(...rangeOf(letter))) found.add(partsOf(key)[0] ?? "");
  return [...found].sort();
}

async function* all(kv: KeyValue, letter: string): AsyncIterable<readonly [string, Uint8Array]> {
  const [first, to] = rangeOf(letter);
  for (let from = first; ;) {
    const page = await kv.range(from, to, { limit: 64 });
    yield* page;
    const last = page.at(-1);
    if (last === undefined) return;
    from = `${last[0]}\0`;
  }
}
