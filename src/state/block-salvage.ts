// Block salvage: what of a damaged block of a table can be proved good
//
// K1  One flipped bit is put right (flipped-bit.ts). That counts when the whole block then reads, in the order of its
//     keys, and every record in it passes its own checksum.
// K2  Of other damage, a record counts when its own checksum, which covers the key, holds for it. A key that was shortened
//     by what it shares with one that is lost is tried with the keys that are known to stand near it.
//     A deletion, or a mark without a value, has no checksum and counts by its key: to leave it out would bring back what
//     it replaced.
// K3  A key between those of the blocks around it stood here, also where its record cannot be proved.

import { decodeRecord, recordKind } from "../base/record.ts";
import { withoutFlippedBit } from "./flipped-bit.ts";
import { isOwnKey } from "./level-keys.ts";
import {
  blockEntries,
  contentOf,
  PUT,
  SEQUENCE_BYTES,
  SNAPPY,
  TRAILER_BYTES,
  versioned,
  type Handle,
  type VersionedEntry,
} from "./leveldb-block.ts";
import { ByteReader } from "./leveldb-varint.ts";
import { decodeSnappyLoosely } from "./snappy.ts";

export interface SalvagedBlock {
  /** In the order of their keys. */
  readonly entries: readonly VersionedEntry[];
  /** What stood there and cannot be proved; there may have been more. */
  readonly lost: readonly LostEntry[];
  /** K1: everything that stood there is among `entries`. */
  readonly whole: boolean;
}

export interface LostEntry {
  readonly key: string;
  /** As it can be made out. */
  readonly sequence: number;
}

/** Keys of a block are at or behind the first and up to the second; null where that is not known. */
export type KeyBounds = readonly [Buffer | null, Buffer | null];

export function salvageBlock(table: Buffer, handle: Handle, bounds: KeyBounds): SalvagedBlock {
  const end = handle.offset + handle.size;
  if (end + TRAILER_BYTES <= table.length) {
    const mended = withoutFlippedBit(table.subarray(handle.offset, end + 1), table.readUInt32LE(end + 1));
    const entries = mended === null ? null : provenEntries(mended, bounds);
    if (entries !== null) return { entries, lost: [], whole: true };
  }
  const bytes = table.subarray(handle.offset, Math.min(end, table.length));
  const [first, other] = [looseEntries(decodeSnappyLoosely(bytes), bounds), looseEntries(bytes, bounds)];
  return other.entries.length > first.entries.length ? other : first;
}

/** K1. `block` is content and type. */
function provenEntries(block: Buffer, bounds: KeyBounds): VersionedEntry[] | null {
  try {
    const type = block[block.length - 1] ?? 0;
    if (type > SNAPPY) return null;
    const entries: VersionedEntry[] = [];
    for (const { key, value } of blockEntries(contentOf(block, { offset: 0, size: block.length - 1 }))) {
      const entry = versioned(key, value);
      const before = entries.at(-1);
      const inOrder =
        before === undefined || (Buffer.compare(before.key, entry.key) || entry.sequence - before.sequence) < 0;
      if (!inOrder || !within(entry.key, bounds) || !isProven(entry)) return null;
      entries.push(entry);
    }
    return entries;
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/** K2, K3 */
function looseEntries(content: Buffer, bounds: KeyBounds): SalvagedBlock {
  const proven = new Map<string, VersionedEntry[]>();
  const seen = new Map<string, number>();
  let last: Buffer = Buffer.alloc(0);
  for (let at = 0; at < content.length;) {
    const found = entryAt(content, at, [last, bounds[1], bounds[0]], bounds);
    if (found === null) {
      at += 1;
      continue;
    }
    const name = found.entry.key.toString("utf8");
    seen.set(name, Math.max(found.entry.sequence, seen.get(name) ?? 0));
    last = found.internalKey;
    if (found.proven) proven.set(name, [...(proven.get(name) ?? []), found.entry]);
    at = found.proven ? found.end : at + 1;
  }
  const entries = [...proven.values()].flat().sort((a, b) => Buffer.compare(a.key, b.key) || b.sequence - a.sequence);
  const lost = [...seen].map(([key, sequence]) => ({ key, sequence })).filter(({ key }) => !proven.has(key));
  return { entries, lost, whole: false };
}

interface FoundEntry {
  readonly entry: VersionedEntry;
  readonly internalKey: Buffer;
  readonly proven: boolean;
  readonly end: number;
}

function entryAt(content: Buffer, at: number, near: readonly (Buffer | null)[], bounds: KeyBounds): FoundEntry | null {
  const reader = new ByteReader(content, at);
  let best: FoundEntry | null = null;
  try {
    const [shared, own, length] = [reader.varint(), reader.varint(), reader.varint()];
    if (shared + own <= SEQUENCE_BYTES) return null;
    const ownKey = reader.take(own);
    if (own >= SEQUENCE_BYTES && (ownKey[own - SEQUENCE_BYTES] ?? 0) > PUT) return null;
    const rest = content.length - reader.at;
    const value = reader.take(Math.min(length, rest));
    for (const known of shared === 0 ? [null] : near) {
      if (shared > (known?.length ?? 0)) continue;
      const internalKey = Buffer.concat([known?.subarray(0, shared) ?? Buffer.alloc(0), ownKey]);
      const entry = versioned(internalKey, value);
      const type = internalKey[internalKey.length - SEQUENCE_BYTES] ?? 0;
      if (type > PUT || !within(entry.key, bounds) || !isOwnKey(entry.key.toString("utf8"))) continue;
      // What was deleted has no value.
      const isWhole = length <= rest && (type === PUT || length === 0);
      const found = { entry, internalKey, proven: isWhole && isProven(entry), end: reader.at };
      if (found.proven) return found;
      best ??= found;
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return best;
}

function isProven({ key, value }: VersionedEntry): boolean {
  if (value === null || value.length === 0) return true;
  const kind = recordKind(value);
  if (kind === undefined) return false;
  try {
    decodeRecord(kind, value, key.toString("utf8"));
    return true;
  } catch (error) {
    // Its checksum holds.
    return (error as { code?: string }).code === "ORCH_STORE_VERSION";
  }
}

function within(key: Buffer, [from, upTo]: KeyBounds): boolean {
  return (from === null || Buffer.compare(key, from) >= 0) && (upTo === null || Buffer.compare(key, upTo) <= 0);
}
