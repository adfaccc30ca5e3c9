// Moving a session between stores
//
// An export is one record holding everything a session left behind: commits, blobs, the newest two snapshots,
// checkpoints and the index entry, and the same of every session nested in it. It needs nothing else to be read.
//
// T1  The file is checked as a whole, then each part by its schema, before anything is written.
// T2  An import is visible piece by piece while it runs and is taken back when it fails. What is nested comes first, so
//     that nobody goes on with a session before all of it is there.

import { promisify } from "node:util";
import { deflateRaw, inflateRaw } from "node:zlib";
import { decodeValue, ENCODED_BYTES_MAX, encodeValue } from "../base/codec.ts";
import { hashBytes } from "../base/crc.ts";
import { OrchestraError } from "../base/errors.ts";
import { parseSessionId } from "../base/ids.ts";
import { decodeRecord, encodeRecord, RECORD_VERSION, recordKind } from "../base/record.ts";
import { blobRefs } from "./blob-refs.ts";
import { assertFactsKnown } from "./commit-format.ts";
import { exportSchemas } from "./fact-schema.ts";
import { allNestedIn } from "./nested-sessions.ts";
import type { Checkpoint, Commit, SessionEntry, SessionStore, Snapshot } from "./ports.ts";
import { newNames, renamed } from "./rename-sessions.ts";

/** 2 where sessions are nested in the one exported, 1 without. */
export const EXPORT_FORMAT = 2;
const BINDING = "orchestra/export";

const deflate = promisify(deflateRaw);
const inflate = promisify(inflateRaw);

/** A session in one piece. */
export interface SessionContent {
  readonly entry: SessionEntry;
  readonly commits: readonly Commit[];
  readonly snapshots: readonly Snapshot[];
  readonly checkpoints: readonly Checkpoint[];
  readonly blobs: ReadonlyMap<string, Uint8Array>;
}

interface SessionExport extends SessionContent {
  /** Those that hold others come before what is nested in them. */
  readonly nested?: readonly SessionContent[];
}

/**
 * The session as bytes, at most 64 MiB before compression. What is appended meanwhile may be missing.
 * @throws {OrchestraError} `ORCH_SESSION_UNKNOWN`; `ORCH_STORE_CORRUPT` when a part of it cannot be read.
 */
export async function exportSession(
  store: SessionStore,
  sessionId: string,
  options: { readonly compression?: boolean } = {},
): Promise<Uint8Array> {
  const entry = await store.getSession(sessionId);
  if (entry === null)
    throw new OrchestraError("ORCH_SESSION_UNKNOWN", `session ${sessionId} is not in the store ${store.name}`, {
      details: { sessionId },
    });
  const nested: SessionContent[] = [];
  for (const inner of await allNestedIn(store, sessionId)) nested.push(await contentOf(store, inner));
  const content: SessionExport = { ...(await contentOf(store, entry)), ...(nested.length > 0 && { nested }) };
  const bytes = encodeValue(content);
  const body = options.compression ? await deflate(bytes) : bytes;
  return encodeRecord(
    "export",
    encodeValue({ format: nested.length > 0 ? EXPORT_FORMAT : 1, deflated: options.compression === true, body }),
    BINDING,
  );
}

/**
 * Puts an exported session into a store with what is nested in it, under its own id or `as` another. Resolves to that id.
 * @throws {OrchestraError} `ORCH_SESSION_STATE` when the store has a session of one of those ids; `ORCH_STORE_VERSION` for an
 *   export by a newer program; `ORCH_STORE_CORRUPT` for one that is damaged or not what it says.
 */
export async function importSession(
  store: SessionStore,
  bytes: Uint8Array,
  options: { readonly as?: string } = {},
): Promise<string> {
  const { nested = [], ...content } = await readExport(bytes);
  const top = content.entry.sessionId;
  const sessionId = parseSessionId(options.as ?? top);
  const names = newNames(
    top,
    sessionId,
    nested.map(({ entry }) => entry),
  );
  const contents = [content, ...nested].map((one) => (sessionId === top ? one : renamedContent(one, names)));
  for (const { entry } of contents) {
    if ((await store.last(entry.sessionId)) !== null)
      throw new OrchestraError(
        "ORCH_SESSION_STATE",
        `session ${entry.sessionId} is in the store ${store.name} already; import it \`as\` another id`,
        { details: { sessionId: entry.sessionId } },
      );
  }
  const begun: SessionContent[] = [];
  try {
    // T2
    for (const one of contents.toReversed()) {
      begun.push(one);
      await putContent(store, one, sessionId !== top);
    }
  } catch (error) {
    for (const { entry, commits } of begun) await takeBack(store, entry.sessionId, commits);
    throw error;
  }
  return sessionId;
}

async function contentOf(store: SessionStore, entry: SessionEntry): Promise<SessionContent> {
  const { sessionId } = entry;
  const commits: Commit[] = [];
  for await (const commit of store.read(sessionId)) commits.push(commit);
  const snapshots = await newestTwo(store, sessionId);
  const checkpoints = await store.listCheckpoints(sessionId);
  const blobs = new Map<string, Uint8Array>();
  for (const ref of blobRefs([...commits.flatMap((commit) => commit.facts), ...snapshots, ...checkpoints]))
    blobs.set(ref, await store.getBlob(ref));
  return { entry, commits, snapshots, checkpoints, blobs };
}

function renamedContent(content: SessionContent, names: ReadonlyMap<string, string>): SessionContent {
  return {
    ...content,
    entry: renamed(content.entry, names),
    commits: content.commits.map((commit) => ({ ...commit, facts: renamed(commit.facts, names) })),
    snapshots: renamed(content.snapshots, names),
    checkpoints: renamed(content.checkpoints, names),
  };
}

/** Into a store that does not have the session. */
export async function putContent(store: SessionStore, content: SessionContent, isCopy = false): Promise<void> {
  const { sessionId } = content.entry;
  if (!(await appendAll(store, sessionId, content)))
    throw new OrchestraError(
      "ORCH_SESSION_STATE",
      `session ${sessionId} was begun by somebody else during the import`,
      { details: { sessionId } },
    );
  for (const snapshot of content.snapshots) await store.saveSnapshot(sessionId, snapshot);
  for (const checkpoint of content.checkpoints)
    await store.saveCheckpoint(await ownCheckpoint(store, sessionId, checkpoint, isCopy));
}

/** False when another writer was first. */
async function appendAll(
  store: SessionStore,
  sessionId: string,
  { commits, entry, blobs }: SessionContent,
): Promise<boolean> {
  const results = await Promise.all(
    commits.map((commit, i) =>
      store.append({
        sessionId,
        expected: commit.n - 1,
        commit,
        ...(i === 0 ? { blobs, begins: true as const } : {}),
        ...(i === 0 || i === commits.length - 1 ? { entry: { ...entry, sessionId } } : {}),
      }),
    ),
  );
  return results.every((result) => result.ok);
}

/** Unless the log is somebody else's. */
async function takeBack(store: SessionStore, sessionId: string, commits: readonly Commit[]): Promise<void> {
  const last = await store.last(sessionId);
  if (last !== null && commits.some((commit) => commit.n === last.n && commit.id === last.id))
    await store.deleteSession(sessionId);
}

// Ids of checkpoints are one name space per store: a copy beside the original needs its own.
async function ownCheckpoint(
  store: SessionStore,
  sessionId: string,
  checkpoint: Checkpoint,
  renamed: boolean,
): Promise<Checkpoint> {
  const taken = renamed && (await store.getCheckpoint(checkpoint.checkpointId)) !== null;
  return {
    ...checkpoint,
    sessionId,
    checkpointId: taken ? `${checkpoint.checkpointId}.${sessionId}` : checkpoint.checkpointId,
  };
}

async function newestTwo(store: SessionStore, sessionId: string): Promise<readonly Snapshot[]> {
  const newest = await store.latestSnapshot(sessionId);
  const standIn = newest === null || newest.n === 0 ? null : await store.latestSnapshot(sessionId, newest.n - 1);
  return [standIn, newest].filter((one) => one !== null);
}

async function readExport(bytes: Uint8Array): Promise<SessionExport> {
  if (bytes[0] !== RECORD_VERSION || recordKind(bytes) !== "export")
    throw damaged('the file is no session that "orchestra export" or exportSession wrote');
  const outer = decodeValue(decodeRecord("export", bytes, BINDING)) as {
    format?: unknown;
    deflated?: unknown;
    body?: unknown;
  };
  if (
    typeof outer !== "object" ||
    outer === null ||
    typeof outer.format !== "number" ||
    !(outer.body instanceof Uint8Array)
  )
    throw damaged("it is no export");
  if (outer.format > EXPORT_FORMAT) {
    throw new OrchestraError(
      "ORCH_STORE_VERSION",
      `export has format ${outer.format}; this program reads up to ${EXPORT_FORMAT}`,
      { details: { version: outer.format, supported: EXPORT_FORMAT } },
    );
  }
  const body =
    outer.deflated === true
      ? await inflate(outer.body, { maxOutputLength: ENCODED_BYTES_MAX }).catch((error: Error) =>
          Promise.reject(damaged(error.message)),
        )
      : outer.body;
  const value = decodeValue(body);
  assertVersionsKnown(value);
  const parsed = exportSchemas().whole.safeParse(value);
  if (!parsed.success) throw damaged(exportSchemas().explain(parsed.error).split("\n").slice(0, 4).join(" "));
  // The schema leaves topology, limits and states to those who know them; with that, it is the type.
  const content = parsed.data as SessionExport;
  for (const { commits, blobs } of [content, ...(content.nested ?? [])]) {
    checkNumbers(commits);
    for (const [ref, blob] of blobs) if (hashBytes(blob) !== ref) throw damaged(`blob ${ref} does not match its hash`);
  }
  return content;
}

/** `v` of the commits themselves, which are exported unpacked. */
const COMMIT_VERSION = 1;

// What a newer program wrote does not pass the schema either, and is no damage.
function assertVersionsKnown(value: unknown): void {
  const top = exportSchemas().versioned.safeParse(value);
  if (!top.success) return;
  for (const { commits } of [top.data, ...(top.data.nested ?? [])])
    for (const { v, facts } of commits) {
      if (v > COMMIT_VERSION)
        throw new OrchestraError(
          "ORCH_STORE_VERSION",
          `export: its commits have format ${v}; this program reads up to ${COMMIT_VERSION}`,
          { details: { version: v, supported: COMMIT_VERSION } },
        );
      assertFactsKnown(facts, "of the export");
    }
}

function checkNumbers(commits: readonly Commit[]): void {
  const first = commits[0];
  if (first === undefined) throw damaged("it holds no commit");
  for (const [i, commit] of commits.entries())
    if (commit.n !== first.n + i) throw damaged(`commit ${first.n + i} is missing`);
}

function damaged(message: string): OrchestraError {
  return new OrchestraError("ORCH_STORE_CORRUPT", `export: ${message}`);
}
