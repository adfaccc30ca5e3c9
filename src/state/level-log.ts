// Level log
//
// Owns:      the writes to one folder, for all stores that share it.
// Does not:  open the folder (level-folder.ts).
//
// W1  The expected position is checked when the job is prepared, under the queue of group commit: of two racing
//     appends the second sees the first.
// W2  `#heads` runs ahead of the disk while a batch is under way, and forgets everything when one fails.
// W3  Commit, head, blobs, their users and the index entry of an append stand in one batch.
// W4  Deleting and compacting look at what is stored, so they have a batch of their own.

import { OrchestraError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { recordSum } from "../base/record.ts";
import { blobRefs } from "./blob-refs.ts";
import { decodeCommit, encodeCommit, isSameCommit } from "./commit-format.ts";
import { GroupCommit } from "./group-commit.ts";
import type { KeyValue, WriteOp } from "./key-value.ts";
import { keys, partsOf, rangeOf } from "./level-keys.ts";
import { readHead } from "./level-reads.ts";
import { decodeEntry, decodeSnapshot, encodeBlob, encodeHead, encodePlain, type Head } from "./level-records.ts";
import type { AppendRequest, AppendResult, Checkpoint, Commit, SessionEntry, Snapshot } from "./ports.ts";
import { decideCut, decideStaleSnapshots, SNAPSHOTS_KEPT } from "./retention.ts";

const HEADS_MAX = 10_000;
const NO_BYTES = new Uint8Array(0);
const ACCEPTED: AppendResult = Object.freeze({ ok: true });

interface Known {
  readonly head: Head;
  /** Checksum of the last commit's record; null when it was not written here. */
  readonly sum: number | null;
  readonly entry: SessionEntry | null;
}

/** Hash, and the record to be. */
type Blob = readonly [string, Uint8Array | Promise<Uint8Array>];

const NO_BLOBS: readonly Blob[] = [];

function encodeBlobs(blobs: NonNullable<AppendRequest["blobs"]>, compression: boolean): readonly Blob[] {
  return [...blobs].map(([ref, bytes]) => [ref, encodeBlob(ref, bytes, compression)]);
}

export interface WriteOptions {
  readonly sync: boolean;
  readonly compression: boolean;
}

export class LevelLog {
  readonly kv: KeyValue;
  readonly #writer: GroupCommit;
  readonly #logger: Logger;
  /** Least recently written first. A session that does not exist has no place here. */
  readonly #heads = new Map<string, Known>();

  constructor(name: string, kv: KeyValue, logger: Logger) {
    this.kv = kv;
    this.#logger = logger;
    this.#writer = new GroupCommit({
      name,
      write: (ops, sync) => kv.write(ops, sync),
      reopen: () => kv.reopen(),
      onFailure: () => this.#heads.clear(),
    });
  }

  get batches(): number {
    return this.#writer.batches;
  }

  async close(): Promise<void> {
    await this.#writer.close();
    await this.kv.close();
  }

  /** Throws at once what cannot be encoded. */
  append(request: AppendRequest, options: WriteOptions): Promise<AppendResult> {
    const { sessionId, commit } = request;
    const key = keys.commit(sessionId, commit.n);
    const record = encodeCommit(commit, key);
    const blobs = request.blobs === undefined ? NO_BLOBS : encodeBlobs(request.blobs, options.compression);
    // Whatever takes time is awaited in `prepare`: appends are submitted in the order of their calls.
    return this.#writer.submit<AppendResult>({
      sync: options.sync,
      prepare: (ops) => {
        const known = this.#heads.get(sessionId) ?? (request.idIsNew === true ? null : undefined);
        return known === undefined
          ? this.#load(sessionId).then((loaded) => this.#prepare(request, key, record, blobs, loaded, ops))
          : this.#prepare(request, key, record, blobs, known, ops);
      },
    });
  }

  async saveSnapshot(sessionId: string, snapshot: Snapshot, options: WriteOptions): Promise<void> {
    const key = keys.snapshot(sessionId, snapshot.n);
    await this.#put(sessionId, [{ type: "put", key, value: encodePlain("snapshot", snapshot, key) }], options);
    await this.#dropStaleSnapshots(sessionId);
  }

  async saveCheckpoint(checkpoint: Checkpoint, options: WriteOptions): Promise<void> {
    const { checkpointId, sessionId } = checkpoint;
    const key = keys.checkpoint(sessionId, checkpointId);
    const idKey = keys.checkpointSession(checkpointId);
    const ops: WriteOp[] = [
      { type: "put", key, value: encodePlain("checkpoint", checkpoint, key) },
      { type: "put", key: idKey, value: encodePlain("reference", sessionId, idKey) },
    ];
    await this.#put(sessionId, ops, options);
  }

  async deleteCheckpoint(sessionId: string, checkpointId: string, options: WriteOptions): Promise<void> {
    await this.#writer.submit({
      sync: options.sync,
      prepare: (ops) => {
        ops.push(
          { type: "del", key: keys.checkpoint(sessionId, checkpointId) },
          { type: "del", key: keys.checkpointSession(checkpointId) },
        );
      },
    });
  }

  async compact(sessionId: string, belowN: number, options: WriteOptions): Promise<void> {
    await this.#writer.submit({
      sync: options.sync,
      exclusive: true,
      prepare: async (ops) => {
        const known = await this.#load(sessionId);
        if (known === null) return;
        const cut = decideCut(belowN, await this.#goodSnapshots(sessionId), known.head.n);
        if (cut === null || cut.firstCommit <= known.head.first) return;
        const stale = [
          ...(await this.kv.keys(keys.commit(sessionId, 0), keys.commit(sessionId, cut.firstCommit))),
          ...(await this.kv.keys(keys.snapshot(sessionId, 0), keys.snapshot(sessionId, cut.firstSnapshot))),
        ];
        for (const key of stale) ops.push({ type: "del", key });
        const head: Head = { ...known.head, first: cut.firstCommit };
        ops.push({ type: "put", key: keys.head(sessionId), value: encodeHead(head, keys.head(sessionId)) });
        this.#remember(sessionId, { ...known, head });
      },
    });
  }

  deleteSession(sessionId: string, options: WriteOptions): Promise<boolean> {
    return this.#writer.submit({
      sync: options.sync,
      exclusive: true,
      prepare: async (ops) => {
        // Existence is asked of the key alone: a session whose head is damaged can still be removed.
        if ((await this.kv.get(keys.head(sessionId))) === undefined) return false;
        this.#heads.delete(sessionId);
        const owned = (
          await Promise.all(["c", "s", "k", "q"].map((letter) => this.kv.keys(...rangeOf(letter, sessionId))))
        ).flat();
        for (const key of [keys.head(sessionId), keys.entry(sessionId), ...owned]) ops.push({ type: "del", key });
        for (const key of owned) {
          const [, last = ""] = partsOf(key);
          if (key.startsWith("k/")) ops.push({ type: "del", key: keys.checkpointSession(decodeURIComponent(last)) });
          if (key.startsWith("q/")) ops.push(...(await this.#releaseBlob(last, sessionId)));
        }
        return true;
      },
    });
  }

  /** W1: runs under the queue. */
  #prepare(
    request: AppendRequest,
    key: string,
    record: Uint8Array,
    blobs: readonly Blob[],
    known: Known | null,
    ops: WriteOp[],
  ): AppendResult | Promise<AppendResult> {
    const { sessionId, expected, commit, entry } = request;
    const last = known?.head.n ?? (request.begins ? expected : 0);
    if (last !== expected || commit.n !== expected + 1 || (request.begins && known !== null))
      return this.#refuse(sessionId, commit, record, known);
    const { n, epoch, id, atMs } = commit;
    const head: Head = { n, epoch, id, atMs, first: known?.head.first ?? n };
    const headKey = keys.head(sessionId);
    ops.push(
      // Of a session that has a head, what stands behind it is not read.
      { type: "put", key: key, value: record, apart: known !== null },
      { type: "put", key: headKey, value: encodeHead(head, headKey) },
    );
    const newEntry = entry !== undefined && (known?.entry == null || differs(entry, known.entry)) ? entry : null;
    if (newEntry !== null)
      ops.push({
        type: "put",
        key: keys.entry(sessionId),
        value: encodePlain("entry", newEntry, keys.entry(sessionId)),
      });
    const written: Known = { head, sum: recordSum(record), entry: newEntry ?? known?.entry ?? null };
    const refs = blobRefs(commit.facts);
    if (blobs.length > 0 || refs.size > 0)
      return this.#useBlobs(sessionId, blobs, refs, ops).then(() => this.#accept(sessionId, written));
    return this.#accept(sessionId, written);
  }

  #accept(sessionId: string, written: Known): AppendResult {
    this.#remember(sessionId, written);
    return ACCEPTED;
  }

  /** L3: a repeat of what is stored there is fine. */
  async #refuse(sessionId: string, commit: Commit, record: Uint8Array, known: Known | null): Promise<AppendResult> {
    if (known === null) return { ok: false, last: null };
    const { n, epoch, id } = known.head;
    if (commit.n <= n && (await this.#isStored(sessionId, commit, record, known))) return ACCEPTED;
    return { ok: false, last: { n, epoch, id } };
  }

  async #isStored(sessionId: string, commit: Commit, record: Uint8Array, { head, sum }: Known): Promise<boolean> {
    // It may be in the batch that is being put together, where nothing can be read yet.
    if (commit.n === head.n && sum !== null) return commit.id === head.id && recordSum(record) === sum;
    const key = keys.commit(sessionId, commit.n);
    const stored = await this.kv.get(key);
    return stored !== undefined && isSameCommit(decodeCommit(stored, key), commit);
  }

  async #useBlobs(sessionId: string, blobs: readonly Blob[], refs: ReadonlySet<string>, ops: WriteOp[]): Promise<void> {
    const handedIn = new Map(blobs);
    const all = [...new Set([...handedIn.keys(), ...refs])];
    const used = await this.kv.getMany(all.map((ref) => keys.usedBlob(sessionId, ref)));
    const stored = await this.kv.getMany(all.map((ref) => keys.blob(ref)));
    for (const [i, ref] of all.entries()) {
      const record = await handedIn.get(ref);
      // A reference to what is in no store is the writer's affair; reading it says so.
      if (
        used[i] !== undefined ||
        (stored[i] === undefined && record === undefined && !ops.some((op) => op.key === keys.blob(ref)))
      )
        continue;
      ops.push(
        { type: "put", key: keys.usedBlob(sessionId, ref), value: NO_BYTES },
        { type: "put", key: keys.blobUser(ref, sessionId), value: NO_BYTES },
      );
      if (record !== undefined && stored[i] === undefined)
        ops.push({ type: "put", key: keys.blob(ref), value: record, apart: true });
    }
  }

  async #releaseBlob(ref: string, sessionId: string): Promise<WriteOp[]> {
    const users = await this.kv.range(...rangeOf("r", ref), { limit: 2 });
    const own = keys.blobUser(ref, sessionId);
    const ops: WriteOp[] = [{ type: "del", key: own }];
    if (users.every(([key]) => key === own)) ops.push({ type: "del", key: keys.blob(ref) });
    return ops;
  }

  /** By their keys alone, of those that are on disk: at worst one stays until the next is saved. */
  async #dropStaleSnapshots(sessionId: string): Promise<void> {
    const known = await this.kv.keys(...rangeOf("s", sessionId));
    if (known.length <= SNAPSHOTS_KEPT) return;
    await this.#writer.submit({
      sync: false,
      exclusive: true,
      prepare: async (ops) => {
        const stored = await this.kv.keys(...rangeOf("s", sessionId));
        const positions = stored.map((key) => Number(partsOf(key)[1]));
        const head = (await this.#load(sessionId))?.head;
        if (head === undefined) return;
        const stale = new Set(decideStaleSnapshots(positions, head.first));
        for (const [i, key] of stored.entries()) if (stale.has(positions[i] ?? 0)) ops.push({ type: "del", key });
      },
    });
  }

  async #put(sessionId: string, puts: readonly WriteOp[], options: WriteOptions): Promise<void> {
    await this.#writer.submit({
      sync: options.sync,
      prepare: async (ops) => {
        if ((this.#heads.get(sessionId) ?? (await this.#load(sessionId))) === null)
          throw new OrchestraError("ORCH_SESSION_UNKNOWN", `session ${sessionId} is not in the store`, {
            details: { sessionId },
          });
        ops.push(...puts);
      },
    });
  }

  async #load(sessionId: string): Promise<Known | null> {
    const cached = this.#heads.get(sessionId);
    if (cached !== undefined) return cached;
    const head = await readHead(this.kv, sessionId);
    if (head === null) return null;
    const entryKey = keys.entry(sessionId);
    const entry = await this.kv.get(entryKey);
    const known: Known = { head, sum: null, entry: entry === undefined ? null : decodeEntry(entry, entryKey) };
    this.#remember(sessionId, known);
    return known;
  }

  #remember(sessionId: string, known: Known): void {
    this.#heads.delete(sessionId);
    this.#heads.set(sessionId, known);
    if (this.#heads.size <= HEADS_MAX) return;
    const [oldest] = this.#heads.keys();
    if (oldest !== undefined) this.#heads.delete(oldest);
  }

  /** Positions of the snapshots that can be read, ascending: a cut must not rest on one that cannot. */
  async #goodSnapshots(sessionId: string): Promise<readonly number[]> {
    const good: number[] = [];
    for (const key of await this.kv.keys(...rangeOf("s", sessionId))) {
      const record = await this.kv.get(key);
      if (record === undefined) continue;
      try {
        good.push(decodeSnapshot(record, key).n);
      } catch (error) {
        this.#logger.warn({ sessionId, key, err: error }, "a snapshot cannot be read; compaction does without it");
      }
    }
    return good;
  }
}

/** In more than position and time. */
function differs(a: SessionEntry, b: SessionEntry): boolean {
  return (
    a.status !== b.status ||
    a.runId !== b.runId ||
    a.topologyHash !== b.topologyHash ||
    a.host !== b.host ||
    a.parentSessionId !== b.parentSessionId ||
    a.dueAtMs !== b.dueAtMs ||
    a.createdAtMs !== b.createdAtMs
  );
}
