// Blobs on the bus
//
// Owns:      what is kept by content, in chunks, and who refers to it.
// Does not:  know what the bytes mean.
//
//   o.blob.<sha>.<i>          chunk i, write-once
//   o.ref.<sha>.<sid>.<use>   session <sid> refers to it, first by this use (one append): write-once
//   o.ref.<sha>               somebody looks whether it can go
//
// F1  A reference is stored before the blob, and the blob before the commit that names it.
// F2  A use is one append's own, so that taking it back takes nothing from another.
// F3  Whoever removes a blob says so first, then counts references, and removes only chunks stored before it said so.
//     Whoever stores one refers to it first and then waits until nobody is looking. So either the reference is counted,
//     or the chunks are stored anew. A look left behind by a crash is taken for over after `SWEEP_STALE_MS`; one that
//     took longer than a third of that removes nothing.

import { hashBytes } from "../base/crc.ts";
import { encodeName, type Names } from "./names.ts";
import { corrupt } from "./store-records.ts";
import type { StreamAccess } from "./store-stream.ts";

/** Largest payload of one message; what is larger is stored in chunks. */
export const CHUNK_BYTES = 512 * 1024;
const CHUNKS_HEADER = "Orch-Chunks";
const CHUNKS_MAX = 256;
const SWEEP_STALE_MS = 15_000;
const SWEEP_PAUSE_MS = 50;
const NO_BYTES = new Uint8Array(0);

/** Who refers to a blob. */
export interface BlobUse {
  readonly sessionId: string;
  readonly use: string;
}

export class BlobShelf {
  readonly #streams: StreamAccess;
  readonly #names: Names;
  readonly #stream: string;

  constructor(streams: StreamAccess, names: Names) {
    this.#streams = streams;
    this.#names = names;
    this.#stream = names.streams.blobs;
  }

  async put(ref: string, bytes: Uint8Array, use: BlobUse): Promise<void> {
    await this.#refer(ref, use);
    const count = Math.max(1, Math.ceil(bytes.byteLength / CHUNK_BYTES));
    const headers = { [CHUNKS_HEADER]: String(count) };
    await Promise.all(
      Array.from({ length: count }, (_, i) => {
        const chunk = bytes.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES);
        return this.#streams.put(this.#names.blob(ref, i), chunk, { headers });
      }),
    );
  }

  /** Refers to a blob that somebody else stored. False when there is none. */
  async keep(ref: string, use: BlobUse): Promise<boolean> {
    if (!(await this.has(ref))) return false;
    await this.#refer(ref, use);
    return true;
  }

  async has(ref: string): Promise<boolean> {
    return (await this.#streams.subjects(this.#stream, this.#names.blob(ref, 0))).size > 0;
  }

  /** @throws {OrchestraError} `ORCH_STORE_CORRUPT` unless the bytes are those the hash was taken of. */
  async get(ref: string): Promise<Uint8Array> {
    const first = await this.#chunk(ref, 0);
    const count = Number(first.header(CHUNKS_HEADER));
    if (!Number.isSafeInteger(count) || count < 1 || count > CHUNKS_MAX)
      throw corrupt(this.#names.blob(ref, 0), "its number of chunks is none");
    const rest = await Promise.all(Array.from({ length: count - 1 }, (_, i) => this.#chunk(ref, i + 1)));
    const bytes = count === 1 ? Uint8Array.from(first.data) : Buffer.concat([first, ...rest].map((one) => one.data));
    if (hashOf(ref, bytes) !== ref) throw corrupt(`blob ${ref}`, "the bytes do not match their hash", { ref });
    return bytes;
  }

  /** Takes a use back; the blob goes when it was the last. */
  async release(ref: string, use: BlobUse): Promise<void> {
    await this.#streams.purge(this.#stream, this.#useOf(ref, use));
    await this.#sweep(ref);
  }

  /** Takes back all uses of a session. */
  async releaseAll(sessionId: string): Promise<void> {
    const pattern = this.#names.pattern("ref", "*", encodeName(sessionId), ">");
    const uses = await this.#streams.subjects(this.#stream, pattern);
    if (uses.size === 0) return;
    await this.#streams.purge(this.#stream, pattern);
    const position = this.#names.pattern("ref").split(".").length;
    const refs = new Set([...uses.keys()].map((subject) => subject.split(".")[position] ?? ""));
    await Promise.all([...refs].map((ref) => this.#sweep(ref)));
  }

  async #chunk(ref: string, index: number): Promise<{ data: Uint8Array; header(name: string): string }> {
    const found = await this.#streams.lasting(this.#stream, this.#names.blob(ref, index));
    if (found === null) throw corrupt(`blob ${ref}`, "it is missing", { ref });
    return found;
  }

  /** F3. */
  async #refer(ref: string, use: BlobUse): Promise<void> {
    await this.#streams.put(this.#useOf(ref, use), NO_BYTES);
    await this.#noLook(this.#names.pattern("ref", encodeName(ref)));
  }

  /** F3. Another's look at the same time is left to remove it, or to find that it must not. */
  async #sweep(ref: string): Promise<void> {
    const uses = this.#names.pattern("ref", encodeName(ref), ">");
    const look = this.#names.pattern("ref", encodeName(ref));
    const { clock } = this.#streams;
    for (;;) {
      if ((await this.#streams.subjects(this.#stream, uses)).size > 0) return;
      const startedMs = clock.monotonicMs();
      const said = await this.#streams.put(look, NO_BYTES);
      if (said.type !== "stored") {
        await this.#noLook(look);
        continue;
      }
      const others = await this.#streams.subjects(this.#stream, uses);
      if (others.size === 0 && clock.monotonicMs() - startedMs < SWEEP_STALE_MS / 3)
        await this.#streams.purge(this.#stream, this.#names.pattern("blob", encodeName(ref), ">"), said.seq);
      await this.#streams.purge(this.#stream, look, said.seq + 1);
      return;
    }
  }

  async #noLook(look: string): Promise<void> {
    const { clock } = this.#streams;
    const startedMs = clock.monotonicMs();
    for (;;) {
      const looking = await this.#streams.last(this.#stream, look);
      if (looking === null) return;
      if (clock.monotonicMs() - startedMs > SWEEP_STALE_MS)
        await this.#streams.purge(this.#stream, look, looking.seq + 1);
      await this.#streams.sleep(SWEEP_PAUSE_MS);
    }
  }

  #useOf(ref: string, { sessionId, use }: BlobUse): string {
    return `${this.#names.blobRef(ref, sessionId)}.${encodeName(use)}`;
  }
}

const SPILLED = /^s-/;

/** Where a record too large for a message stands: by its content too, and told from a user's value. */
export function spilledRef(bytes: Uint8Array): string {
  return `s-${Buffer.from(hashBytes(bytes), "hex").toString("base64url")}`;
}

export function isSpilled(ref: string): boolean {
  return SPILLED.test(ref);
}

function hashOf(ref: string, bytes: Uint8Array): string {
  return isSpilled(ref) ? spilledRef(bytes) : hashBytes(bytes);
}
