// Entry store
//
// Owns:      the entries of a memory, their vectors and who finds them, in a key-value database.
// Does not:  know text from value, search, or make vectors.
//
// E1  Writes follow one another; each is one batch, on disk before it resolves.
// E2  A number (`seq`) is given once, also when its entry is gone: a cache that knows it never takes another entry for it.
// E3  An entry, its vector, its id and all scopes it is found in appear and go together.
// E4  What is deleted is gone at once, and from disk when `forget` resolves (forgetting.ts); so is what was replaced before.

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
import { assertEmbedder } from "./embedder-pin.ts";
import { countGone, forget, putGone, readGone } from "./forgetting.ts";
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

/** Entries that were replaced and may still be on disk; with more, who replaces them waits until they are not. */
const GONE_MAX = 10_000;
/** Entries deleted in one batch. */
const DELETED_MAX = 1_000;

const NO_CHANGE: Change = { added: [], removed: [] };
const PAGE = 500;
const READ_PAGE = 200;
const KEY_PAGE = 2_000;

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
  #gone: number;
  #forgetting: Promise<void> = Promise.resolve();

  private constructor(
    name: string,
    kv: KeyValue,
    read: { settings: Settings | null; seq: number; nextExpiryMs: number; gone: number },
  ) {
    this.#kv = kv;
    this.#settings = read.settings;
    this.#seq = read.seq;
    this.#nextExpiryMs = read.nextExpiryMs;
    this.#gone = read.gone;
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
      gone: await countGone(kv),
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
    const seqs: number[] = [];
    for await (const page of this.#keyPages(`s/${hash}/`, `s/${hash}0`)) for (const key of page) seqs.push(seqOf(key));
    return seqs;
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
   *
   * @throws {OrchestraError} `ORCH_MEMORY_EMBEDDER` when the vectors are of another length than those that are there.
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
        settings = this.#settings ?? (drafts.length === 0 ? null : { ...pin, generation: 1 });
        // Those who came first may have learned another length from the same embedder.
        if (settings !== null && drafts.length > 0) assertEmbedder(settings, { ...pin, name: pin.embedder }, null);
        seq = this.#seq;
        const known = receipt === undefined ? null : await this.receipt(receipt.receiptId);
        if (known !== null) return { change: NO_CHANGE, receipt: known };
        if (this.#settings === null && settings !== null) ops.push(putSettings(SETTINGS_KEY, settings));
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
            ops.push(...this.#removal(before, false));
          }
          seq += 1;
          const { id, content, expiresAtMs, vector } = draft;
          const entry: Kept = { ...content, id, seq, createdAtMs: before?.createdAtMs ?? nowMs, expiresAtMs };
          added.push({ entry, vector });
          ops.push(...additionOf(entry, vector, settings?.generation ?? 1));
        }
        ops.push(putNumber(SEQ_KEY, seq));
        if (receipt !== undefined) ops.push(putReceipt(receipt));
        return { change: { added, removed }, receipt };
      },
      ({ change }) => {
        this.#settings = settings;
        this.#seq = seq;
        this.#gone += change.removed.length;
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

  /** Those with the ids for which `isMeant` holds when their turn comes. `forget` then takes their bytes from disk. */
  async delete(ids: readonly string[], isMeant: (entry: Kept) => boolean = () => true): Promise<readonly Kept[]> {
    const wanted = [...new Set(ids)];
    const removed: Kept[] = [];
    for (let at = 0; at < wanted.length; at += DELETED_MAX) {
      const page = wanted.slice(at, at + DELETED_MAX);
      const gone = await this.#write(
        async (ops) => {
          const meant = [...(await this.#byId(page)).values()].filter(isMeant);
          for (const entry of meant) ops.push(...this.#removal(entry, true));
          return meant;
        },
        ({ length }) => (this.#gone += length),
      );
      removed.push(...gone);
    }
    return removed;
  }

  /** Whether so much was replaced that it is time to forget it. */
  get isForgetful(): boolean {
    return this.#gone > GONE_MAX;
  }

  /** Whether a deletion was cut short, so that `forget` has something to do. */
  async hasUnfinished(): Promise<boolean> {
    return this.#gone > 0 && (await readGone(this.#kv, Infinity)).some(({ isDeleted }) => isDeleted);
  }

  /** Resolves when nothing is on disk of what was gone before. `files` is told the scopes of what was deleted, and does away with their files. */
  forget(files: (scopes: ReadonlySet<string>) => Promise<void>): Promise<void> {
    const turn = this.#forgetting.then(() => this.#forget(files));
    this.#forgetting = turn.catch(() => undefined);
    return turn;
  }

  async #forget(files: (scopes: ReadonlySet<string>) => Promise<void>): Promise<void> {
    for (;;) {
      const gone = await readGone(this.#kv, GONE_MAX);
      if (gone.length === 0) return;
      await files(new Set(gone.flatMap(({ isDeleted, scopes }) => (isDeleted ? scopes : []))));
      const generation = this.#settings?.generation ?? 1;
      await forget(this.#kv, gone, [generation, generation + 1], (ops) => this.apply(ops));
      this.#gone -= gone.length;
    }
  }

  /** Ids of entries that have outlived their time, a page of them. */
  async expired(nowMs: number): Promise<readonly string[]> {
    // What comes from now on says so itself, what came before is read.
    this.#nextExpiryMs = Infinity;
    const due = await this.#kv.range("t/", keys.expiry(nowMs + 1, 0), { limit: PAGE });
    const [next] = await this.#kv.range(keys.expiry(nowMs + 1, 0), "t0", { limit: 1 });
    const nextMs = due.length === PAGE ? nowMs : next === undefined ? Infinity : expiryOf(next[0]);
    this.#nextExpiryMs = Math.min(this.#nextExpiryMs, nextMs);
    const entries = await this.read(due.map(([key]) => seqOf(key)));
    return entries.flatMap((entry) => (entry === undefined ? [] : [entry.id]));
  }

  async count(): Promise<number> {
    let count = 0;
    for await (const page of this.#keyPages("k/", "k0")) count += page.length;
    return count;
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

  /** Writes `ops` in their turn. */
  async apply(ops: readonly WriteOp[]): Promise<void> {
    await this.#write(async (all) => void all.push(...ops));
  }

  /** Writes what `prepare` adds; nobody else writes in between. The settings it gives hold from then on, unless undefined. */
  async transact(prepare: (ops: WriteOp[]) => Promise<Settings | null | undefined>): Promise<void> {
    await this.#write(prepare, (settings) => {
      if (settings !== undefined) this.#settings = settings;
    });
  }

  /** `done` runs when it is on disk, before anything else is written. */
  async #write<T>(prepare: (ops: WriteOp[]) => Promise<T>, done?: (value: T) => void): Promise<T> {
    // Each sees what those before it wrote: exclusive. The next is prepared after `done`, whose promise is the older one.
    const value = await this.#commits.submit({ sync: true, exclusive: true, prepare });
    done?.(value);
    return value;
  }

  #removal(entry: Kept, isDeleted: boolean): WriteOp[] {
    const { seq, id, scope, provenance, expiresAtMs } = entry;
    const generation = this.#settings?.generation ?? 1;
    const gone = [
      keys.entry(seq),
      keys.vector(generation, seq),
      // Where vectors are being made anew, it may have one of these, too.
      keys.vector(generation + 1, seq),
      keys.id(id),
      ...scopesOf(scope, provenance).map((one) => keys.member(scopeHash(one), seq)),
      ...(expiresAtMs === null ? [] : [keys.expiry(expiresAtMs, seq)]),
    ].map((key): WriteOp => ({ type: "del", key }));
    return this.#kv.purge === undefined ? gone : [...gone, putGone(entry, isDeleted)];
  }

  /** Of records that are nearly nothing but key. */
  async *#keyPages(from: string, to: string): AsyncIterable<readonly string[]> {
    for (let next = from; ; await breathe()) {
      const page = (await this.#kv.range(next, to, { limit: KEY_PAGE })).map(([key]) => key);
      yield page;
      if (page.length < KEY_PAGE) return;
      next = `${page.at(-1)}\0`;
    }
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
