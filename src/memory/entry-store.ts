// Entry store
//
// Owns:      the entries of a memory, their vectors and who finds them, in a key-value database.
// Does not:  know text from value, search, or make vectors.
//
// E1  Writes follow one another; each is one batch, on disk before it resolves.
// E2  A number (`seq`) is given once, also when its entry is gone: a cache that knows it never takes another entry for it.
// E3  An entry, its vector, its id and all scopes it is found in appear and go together.
// E4  What is deleted is deleted from disk. LevelDB keeps a value beside its deletion when both lie in its log, so the log
//     is written out before, and the tables that hold either are rewritten after.

import { encodeValue } from "../base/codec.ts";
import { GroupCommit } from "../state/group-commit.ts";
import type { KeyValue, WriteOp } from "../state/key-value.ts";
import type { HarvestReceipt, MemoryScope } from "./ports.ts";
import {
  decodeEntry,
  decodeNumber,
  decodeReceipt,
  decodeSettings,
  decodeVector,
  encodeContent,
  expiryOf,
  keys,
  put,
  putEntry,
  putNumber,
  putReceipt,
  putSettings,
  putVector,
  scopeHash,
  SEQ_KEY,
  seqOf,
  SETTINGS_KEY,
  type Content,
  type Kept,
  type Settings,
} from "./records.ts";
import { encodeRecord } from "../base/record.ts";
import { breathe, Pace } from "./pace.ts";
import { scopesOf } from "./scopes.ts";

/** What is about to become an entry. */
export interface Draft {
  readonly id: string;
  readonly content: Content;
  /** Of the content, encoded. */
  readonly bytes: number;
  readonly expiresAtMs: number | null;
}

/** What a write did: entries that came, numbers of those that went. */
export interface Change {
  readonly added: readonly { readonly entry: Kept; readonly vector: Float32Array }[];
  readonly removed: readonly Kept[];
}

const NO_CHANGE: Change = { added: [], removed: [] };
const PAGE = 500;
const READ_PAGE = 200;

// What an entry takes; see Pace.
const DECODING_US = 20;
const DECODED_BYTES_PER_US = 200;
const ENCODING_US = 30;
const ENCODED_BYTES_PER_US = 200;

export class EntryStore {
  readonly #kv: KeyValue;
  readonly #commits: GroupCommit;
  #settings: Settings | null;
  #seq: number;
  #nextExpiryMs: number;

  private constructor(
    name: string,
    kv: KeyValue,
    read: { settings: Settings | null; seq: number; nextExpiryMs: number },
  ) {
    this.#kv = kv;
    this.#settings = read.settings;
    this.#seq = read.seq;
    this.#nextExpiryMs = read.nextExpiryMs;
    this.#commits = new GroupCommit({
      name,
      write: (ops, sync) => kv.write(ops, sync),
      reopen: () => kv.reopen(),
      onFailure: () => undefined,
    });
  }

  static async open(name: string, kv: KeyValue): Promise<EntryStore> {
    const [settings, seq] = await kv.getMany([SETTINGS_KEY, SEQ_KEY]);
    const [next] = await kv.range("t/", "t0", { limit: 1 });
    return new EntryStore(name, kv, {
      settings: settings === undefined ? null : decodeSettings(settings, SETTINGS_KEY),
      seq: seq === undefined ? 0 : decodeNumber(seq, SEQ_KEY),
      nextExpiryMs: next === undefined ? Infinity : expiryOf(next[0]),
    });
  }

  /** Null until the first entry. */
  get settings(): Settings | null {
    return this.#settings;
  }

  /** When the first entry outlives its time, `Infinity` for never. */
  get nextExpiryMs(): number {
    return this.#nextExpiryMs;
  }

  async get(id: string): Promise<Kept | null> {
    return (await this.#byId([id])).get(id) ?? null;
  }

  /** In the order asked for; undefined for those that are gone. @throws {OrchestraError} `ORCH_STORE_CORRUPT` */
  async read(seqs: readonly number[]): Promise<(Kept | undefined)[]> {
    const entries: (Kept | undefined)[] = [];
    const pace = new Pace();
    for (let at = 0; at < seqs.length; at += READ_PAGE) {
      const wanted = seqs.slice(at, at + READ_PAGE).map(keys.entry);
      for (const [i, record] of (await this.#kv.getMany(wanted)).entries()) {
        if (pace.isDue(DECODING_US + (record?.byteLength ?? 0) / DECODED_BYTES_PER_US)) await breathe();
        entries.push(record === undefined ? undefined : decodeEntry(record, wanted[i] as string));
      }
    }
    return entries;
  }

  async vectors(seqs: readonly number[]): Promise<(Float32Array | undefined)[]> {
    const { generation, dimensions } = this.#settings ?? { generation: 1, dimensions: 0 };
    const wanted = seqs.map((seq) => keys.vector(generation, seq));
    const records = await this.#kv.getMany(wanted);
    return records.map((record, i) =>
      record === undefined ? undefined : decodeVector(record, wanted[i] as string, dimensions),
    );
  }

  /** Numbers of the entries a search in the scope finds, oldest first. */
  async members(scope: MemoryScope): Promise<number[]> {
    const hash = scopeHash(scope);
    return (await this.#kv.keys(`s/${hash}/`, `s/${hash}0`)).map(seqOf);
  }

  /** Numbers of all entries after `seq`, oldest first, a page of them. */
  async seqsAfter(seq: number): Promise<number[]> {
    return (await this.#kv.range(keys.entry(seq + 1), "e0", { limit: PAGE })).map(([key]) => seqOf(key));
  }

  /** Those of the drafts that are kept already, just as they are, so that they need not be put again; by id. */
  async known(drafts: readonly Draft[]): Promise<ReadonlyMap<string, Kept>> {
    const kept = await this.#byId(drafts.map(({ id }) => id));
    const known = new Map<string, Kept>();
    const pace = new Pace();
    for (const { id, content, bytes, expiresAtMs } of drafts) {
      if (pace.isDue(bytes / ENCODED_BYTES_PER_US)) await breathe();
      const entry = kept.get(id);
      if (entry !== undefined && entry.expiresAtMs === null && expiresAtMs === null && isSame(entry, content))
        known.set(id, entry);
    }
    return known;
  }

  /**
   * Puts drafts with their vectors, each in place of the entry with its id. The first ever pin the embedder.
   * With a receipt it is done once only: the receipt that is there already is given back, and nothing changes.
   */
  put(
    drafts: readonly (Draft & { readonly vector: Float32Array })[],
    pin: Pick<Settings, "embedder" | "dimensions" | "memoryId">,
    nowMs: number,
    receipt?: HarvestReceipt,
  ): Promise<{ readonly change: Change; readonly receipt: HarvestReceipt | undefined }> {
    let settings = this.#settings;
    let seq = this.#seq;
    return this.#write(
      async (ops) => {
        settings = this.#settings ?? { ...pin, generation: 1 };
        seq = this.#seq;
        const known = receipt === undefined ? null : await this.receipt(receipt.receiptId);
        if (known !== null) return { change: NO_CHANGE, receipt: known };
        if (this.#settings === null) ops.push(putSettings(SETTINGS_KEY, settings));
        const removed: Kept[] = [];
        const added: { entry: Kept; vector: Float32Array }[] = [];
        // Of two drafts with one id the later counts.
        const last = new Map(drafts.map((one) => [one.id, one]));
        const replaced = await this.#byId([...last.keys()]);
        const pace = new Pace();
        for (const draft of last.values()) {
          if (pace.isDue(ENCODING_US + draft.bytes / ENCODED_BYTES_PER_US)) await breathe();
          const before = replaced.get(draft.id);
          if (before !== undefined) {
            removed.push(before);
            ops.push(...this.#removal(before));
          }
          seq += 1;
          const { id, content, expiresAtMs, vector } = draft;
          const entry: Kept = { ...content, id, seq, createdAtMs: before?.createdAtMs ?? nowMs, expiresAtMs };
          added.push({ entry, vector });
          ops.push(...additionOf(entry, vector, settings.generation));
        }
        ops.push(putNumber(SEQ_KEY, seq));
        if (receipt !== undefined) ops.push(putReceipt(receipt));
        return { change: { added, removed }, receipt };
      },
      ({ change }) => {
        this.#settings = settings;
        this.#seq = seq;
        for (const { entry } of change.added)
          this.#nextExpiryMs = Math.min(this.#nextExpiryMs, entry.expiresAtMs ?? Infinity);
      },
    );
  }

  async receipt(id: string): Promise<HarvestReceipt | null> {
    const key = keys.receipt(id);
    const record = await this.#kv.get(key);
    return record === undefined ? null : decodeReceipt(record, key);
  }

  /** E4 */
  async delete(ids: readonly string[]): Promise<readonly Kept[]> {
    const seqs = (await this.#seqsOfIds(ids)).filter((seq) => seq !== null);
    await this.#purge(seqs);
    const removed = await this.#write(async (ops) => {
      const gone: Kept[] = [];
      for (const entry of (await this.#byId([...new Set(ids)])).values()) {
        gone.push(entry);
        ops.push(...this.#removal(entry));
      }
      return gone;
    });
    await this.#purge([...seqs, ...removed.map(({ seq }) => seq)]);
    return removed;
  }

  /** Ids of entries that have outlived their time, a page of them. */
  async expired(nowMs: number): Promise<readonly string[]> {
    const due = await this.#kv.range("t/", keys.expiry(nowMs + 1, 0), { limit: PAGE });
    const [next] = await this.#kv.range(keys.expiry(nowMs + 1, 0), "t0", { limit: 1 });
    this.#nextExpiryMs = due.length === PAGE ? nowMs : next === undefined ? Infinity : expiryOf(next[0]);
    const entries = await this.read(due.map(([key]) => seqOf(key)));
    return entries.flatMap((entry) => (entry === undefined ? [] : [entry.id]));
  }

  async count(): Promise<number> {
    return (await this.#kv.keys("k/", "k0")).length;
  }

  bytes(): Promise<number> {
    return this.#kv.size();
  }

  async close(): Promise<void> {
    await this.#commits.close();
    await this.#kv.close();
  }

  /** For what makes all vectors anew (reembed.ts). */
  get database(): KeyValue {
    return this.#kv;
  }

  /** Writes `ops` in their turn. With `settings` these hold from then on. */
  async apply(ops: readonly WriteOp[], settings?: Settings): Promise<void> {
    await this.#write(
      async (all) => void all.push(...ops),
      () => void (this.#settings = settings ?? this.#settings),
    );
  }

  /** `done` runs when it is on disk, before anything else is written. */
  async #write<T>(prepare: (ops: WriteOp[]) => Promise<T>, done?: (value: T) => void): Promise<T> {
    // Each sees what those before it wrote: exclusive. The next is prepared after `done`, whose promise is the older one.
    const value = await this.#commits.submit({ sync: true, exclusive: true, prepare });
    done?.(value);
    return value;
  }

  #removal({ seq, id, scope, provenance, expiresAtMs }: Kept): WriteOp[] {
    const generation = this.#settings?.generation ?? 1;
    return [
      keys.entry(seq),
      keys.vector(generation, seq),
      // Where vectors are being made anew, it may have one of these, too.
      keys.vector(generation + 1, seq),
      keys.id(id),
      ...scopesOf(scope, provenance).map((one) => keys.member(scopeHash(one), seq)),
      ...(expiresAtMs === null ? [] : [keys.expiry(expiresAtMs, seq)]),
    ].map((key) => ({ type: "del", key }));
  }

  async #seqsOfIds(ids: readonly string[]): Promise<(number | null)[]> {
    const wanted = ids.map(keys.id);
    const records = await this.#kv.getMany(wanted);
    return records.map((record, i) => (record === undefined ? null : decodeNumber(record, wanted[i] as string)));
  }

  /** Those of them that there are. */
  async #byId(ids: readonly string[]): Promise<ReadonlyMap<string, Kept>> {
    const seqs = (await this.#seqsOfIds(ids)).filter((seq) => seq !== null);
    const entries = (await this.read(seqs)).filter((entry) => entry !== undefined);
    return new Map(entries.map((entry) => [entry.id, entry]));
  }

  async #purge(seqs: readonly number[]): Promise<void> {
    if (seqs.length === 0 || this.#kv.purge === undefined) return;
    const [first, last] = [seqs.reduce((a, b) => Math.min(a, b)), seqs.reduce((a, b) => Math.max(a, b))];
    const generation = this.#settings?.generation ?? 1;
    await this.#kv.purge(keys.entry(first), keys.entry(last));
    for (const each of [generation, generation + 1])
      await this.#kv.purge(keys.vector(each, first), keys.vector(each, last));
  }
}

function additionOf(entry: Kept, vector: Float32Array, generation: number): WriteOp[] {
  const { seq, id, scope, provenance, expiresAtMs } = entry;
  return [
    putEntry(entry),
    putVector(keys.vector(generation, seq), vector),
    putNumber(keys.id(id), seq),
    ...scopesOf(scope, provenance).map((one) => mark(keys.member(scopeHash(one), seq))),
    ...(expiresAtMs === null ? [] : [mark(keys.expiry(expiresAtMs, seq))]),
  ];
}

/** A record whose key says it all. */
function mark(key: string): WriteOp {
  return put(key, encodeRecord("reference", encodeValue(null), key));
}

function isSame(kept: Kept, content: Content): boolean {
  return Buffer.compare(encodeContent(kept), encodeContent(content)) === 0;
}
