// Values
//
// Owns:      the way between what agents hold and what facts hold (`Stored`).
// Does not:  write blobs; they travel in the same append as the fact that refers to them.
//
// V1  A value above INLINE_BYTES_MAX (estimated) becomes a blob named by its content; below it stands inline.
// V2  `resolve` gives a copy of its own each time, so no agent can change what another one gets.
// V3  Encoded blobs are kept in memory up to `cacheBytesMax`, least recently used out first; the store has them all.

import { createHash } from "node:crypto";
import { decodeValue, encodeValue } from "../base/codec.ts";
import { INLINE_BYTES_MAX, isRef } from "../base/stored.ts";
import type { Stored } from "../base/stored.ts";
import { copyValue } from "../base/value.ts";
import type { Arrival, RunValue, StepInput } from "../actors/effects.ts";
import type { ArrivalValue } from "./agent.ts";

export interface BlobSource {
  getBlob(ref: string): Promise<Uint8Array>;
}

/** Blobs made while a value was stored; the caller puts them into its append. */
export type NewBlobs = Map<string, Uint8Array>;

export interface ValuesOptions {
  /** Default 32 MiB. */
  readonly cacheBytesMax?: number;
  /** Largest value, estimated. Default: that of `copyValue`. */
  readonly payloadBytesMax?: number;
}

const CACHE_BYTES_MAX = 32 * 1024 * 1024;
const NULL: Stored = Object.freeze({ v: null });

export class Values {
  readonly #source: BlobSource;
  readonly #cacheBytesMax: number;
  readonly #bytesMax: number | undefined;
  readonly #cache = new Map<string, Uint8Array>();
  #cachedBytes = 0;

  constructor(source: BlobSource, options: ValuesOptions = {}) {
    this.#source = source;
    this.#cacheBytesMax = options.cacheBytesMax ?? CACHE_BYTES_MAX;
    this.#bytesMax = options.payloadBytesMax;
  }

  /**
   * Proves that `value` can be stored, copies it, and moves a big one to `blobs`.
   * @throws {OrchestraError} `ORCH_NOT_SERIALIZABLE`, `ORCH_PAYLOAD_TOO_LARGE`
   */
  store(value: unknown, name: string, blobs: NewBlobs): Stored {
    if (value === undefined || value === null) return NULL;
    if (typeof value === "boolean") return { v: value };
    const copied = copyValue(value, this.#bytesMax === undefined ? { name } : { name, bytesMax: this.#bytesMax });
    if (copied.bytes <= INLINE_BYTES_MAX) return { v: copied.value };
    const bytes = encodeValue(copied.value);
    const ref = createHash("sha256").update(bytes).digest("hex");
    blobs.set(ref, bytes);
    this.#remember(ref, bytes);
    return { ref, bytes: bytes.byteLength };
  }

  storeAll(record: Readonly<Record<string, unknown>>, name: string, blobs: NewBlobs): Record<string, Stored> {
    const stored: Record<string, Stored> = {};
    for (const [key, value] of Object.entries(record)) {
      if (value !== undefined) stored[key] = this.store(value, `${name}.${key}`, blobs);
    }
    return stored;
  }

  /** The value at once when it is inline or cached; undefined (not `{ value }`) when its blob must be fetched. */
  peek(stored: Stored): { readonly value: unknown } | undefined {
    if ("v" in stored) return { value: fresh(stored.v) };
    if (isRef(stored)) {
      const bytes = this.#cached(stored.ref);
      return bytes === undefined ? undefined : { value: decodeValue(bytes) };
    }
    const list: unknown[] = [];
    for (const item of stored.list) {
      const near = this.peek(item);
      if (near === undefined) return undefined;
      list.push(near.value);
    }
    return { value: list };
  }

  /** @throws {OrchestraError} `ORCH_STORE_CORRUPT` when the blob is missing or changed. */
  async resolve(stored: Stored): Promise<unknown> {
    const near = this.peek(stored);
    if (near !== undefined) return near.value;
    if (isRef(stored)) {
      const bytes = await this.#source.getBlob(stored.ref);
      this.#remember(stored.ref, bytes);
      return decodeValue(bytes);
    }
    const list: unknown[] = [];
    if ("list" in stored) for (const item of stored.list) list.push(await this.resolve(item));
    return list;
  }

  /** Fetches the blobs behind `stored` that are not at hand into `into`, for `peekPinned`. Undefined when nothing is missing. */
  pin(stored: readonly Stored[], into: Map<string, Uint8Array>): Promise<void> | undefined {
    const missing = new Set<string>();
    const look = (one: Stored): void => {
      if ("v" in one) return;
      if (!isRef(one)) return one.list.forEach(look);
      const bytes = into.get(one.ref) ?? this.#cached(one.ref);
      if (bytes === undefined) missing.add(one.ref);
      else into.set(one.ref, bytes);
    };
    stored.forEach(look);
    return missing.size === 0 ? undefined : this.#fetch(missing, into);
  }

  /** The value of something pinned, or inline. */
  peekPinned(stored: Stored, pinned: ReadonlyMap<string, Uint8Array>): unknown {
    if ("v" in stored) return fresh(stored.v);
    if (!isRef(stored)) return stored.list.map((item) => this.peekPinned(item, pinned));
    const bytes = pinned.get(stored.ref);
    if (bytes === undefined) throw new TypeError(`blob ${stored.ref} was not pinned`);
    return decodeValue(bytes);
  }

  async #fetch(refs: Iterable<string>, into: Map<string, Uint8Array>): Promise<void> {
    for (const ref of refs) {
      const bytes = await this.#source.getBlob(ref);
      into.set(ref, bytes);
      this.#remember(ref, bytes);
    }
  }

  async resolveAll(record: Readonly<Record<string, Stored>>): Promise<Record<string, unknown>> {
    const values: Record<string, unknown> = {};
    for (const [key, stored] of Object.entries(record)) values[key] = await this.resolve(stored);
    return values;
  }

  async resolveArrivals(arrivals: readonly Arrival[]): Promise<ArrivalValue[]> {
    const values: ArrivalValue[] = [];
    for (const arrival of arrivals) {
      values.push("error" in arrival ? arrival : { from: arrival.from, value: await this.resolve(arrival.value) });
    }
    return values;
  }

  resolveInput(input: StepInput, shape: "arrivals" | "values" = "arrivals"): unknown {
    if (input.kind === "value") {
      const near = this.peek(input.value);
      return near === undefined ? this.resolve(input.value) : near.value;
    }
    return this.resolveArrivals(input.items).then((items) =>
      shape === "values" ? items.map((item) => item.error ?? item.value) : items,
    );
  }

  async resolveRunValue(value: RunValue | null): Promise<unknown> {
    if (value === null) return null;
    if (value.kind === "one") return this.resolve(value.value);
    const values: unknown[] = [];
    for (const one of value.values) values.push(await this.resolve(one));
    return values;
  }

  #cached(ref: string): Uint8Array | undefined {
    const bytes = this.#cache.get(ref);
    if (bytes === undefined) return undefined;
    this.#cache.delete(ref);
    this.#cache.set(ref, bytes);
    return bytes;
  }

  #remember(ref: string, bytes: Uint8Array): void {
    if (bytes.byteLength > this.#cacheBytesMax / 2 || this.#cache.has(ref)) return;
    this.#cache.set(ref, bytes);
    this.#cachedBytes += bytes.byteLength;
    for (const [oldest, old] of this.#cache) {
      if (this.#cachedBytes <= this.#cacheBytesMax) break;
      this.#cache.delete(oldest);
      this.#cachedBytes -= old.byteLength;
    }
  }
}

/** As shown in listings: the value itself when inline, `{ $blob, bytes }` when it is kept by reference. */
export function listed(stored: Stored): unknown {
  if ("v" in stored) return stored.v;
  return isRef(stored) ? { $blob: stored.ref, bytes: stored.bytes } : stored.list.map(listed);
}

export function listedInput(input: StepInput): unknown {
  if (input.kind === "value") return listed(input.value);
  return input.items.map((item) => ("error" in item ? item : { from: item.from, value: listed(item.value) }));
}

function fresh(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  return copyValue(value, { allowNonFinite: true, bytesMax: Infinity }).value;
}
