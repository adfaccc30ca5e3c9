// LevelDB's tables, read without LevelDB
//
// A table is a row of blocks, each followed by its type (1) and the CRC-32C (masked) of both (4): data blocks in the
// order of their keys, a filter, the index of the filter, the index of the data blocks; then a footer of 48 bytes.
// https://github.com/google/leveldb/blob/main/doc/table_format.md
//
// LevelDB reads blocks without looking at these sums. Here a block that fails its sum is no block, and is reported with
// the keys between which it stood. Where the index itself is lost, the data blocks are found one after another by their
// sums.

import { CRC32C_START, crc32c, crc32cStep, maskedCrc32c } from "./crc32c.ts";
import { ByteReader } from "./leveldb-varint.ts";
import { decodeSnappy } from "./snappy.ts";

const FOOTER_BYTES = 48;
const TRAILER_BYTES = 5;
const MAGIC = Buffer.from("57fb808b247547db", "hex");
const SNAPPY = 1;
const PUT = 1;

/** One version of one key. The highest `sequence` of a key is the one that counts. */
export interface VersionedEntry {
  readonly key: Buffer;
  readonly sequence: number;
  /** Null where the key was deleted. */
  readonly value: Buffer | null;
}

export interface TableDamage {
  readonly offset: number;
  readonly message: string;
  /** Keys that were in it lay behind the first and up to the second; null where that is unknown or none were. */
  readonly keys: readonly [Buffer | null, Buffer] | null;
  /** False for what LevelDB can do without. */
  readonly losesData: boolean;
}

interface Handle {
  readonly offset: number;
  readonly size: number;
}

interface DataBlock extends Handle {
  /** At or behind its last key; null when the index is lost. */
  readonly upTo: Buffer | null;
}

export class LevelTable {
  readonly blocks: readonly DataBlock[];
  readonly #bytes: Buffer;
  readonly #damages: TableDamage[] = [];

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.blocks = this.#readIndex() ?? this.#findBlocks();
  }

  /** All that is wrong with it. */
  damages(): readonly TableDamage[] {
    const damages = [...this.#damages];
    let before: Buffer | null = null;
    for (const block of this.blocks) {
      const read = readBlock(this.#bytes, block);
      if (typeof read === "string")
        damages.push({
          offset: block.offset,
          message: read,
          keys: block.upTo === null ? null : [before, block.upTo],
          losesData: true,
        });
      before = block.upTo;
    }
    return damages;
  }

  /** Of the good blocks, by key and, within one, newest first; from the first key at or behind `from`. */
  *entries(from: Buffer): Generator<VersionedEntry> {
    for (const block of this.blocks) {
      if (block.upTo !== null && Buffer.compare(block.upTo, from) < 0) continue;
      const content = readBlock(this.#bytes, block);
      if (typeof content === "string") continue;
      for (const { key, value } of blockEntries(content)) {
        const entry = versioned(key, value);
        if (Buffer.compare(entry.key, from) >= 0) yield entry;
      }
    }
  }

  #readIndex(): DataBlock[] | null {
    const footerAt = this.#bytes.length - FOOTER_BYTES;
    const damaged = (offset: number, message: string): null => {
      this.#damages.push({ offset, message, keys: null, losesData: false });
      return null;
    };
    if (footerAt < 0) return damaged(0, "the table is cut off");
    try {
      const footer = new ByteReader(this.#bytes, footerAt, this.#bytes.length);
      const filterIndex = handleIn(footer);
      const index = handleIn(footer);
      const padding = footer.take(this.#bytes.length - MAGIC.length - footer.at);
      if (!footer.take(MAGIC.length).equals(MAGIC) || padding.some((byte) => byte !== 0))
        return damaged(footerAt, "the footer is damaged");
      const content = readBlock(this.#bytes, index);
      if (typeof content === "string") return damaged(index.offset, `the index of blocks: ${content}`);
      const blocks = [...blockEntries(content)].map(({ key, value }) => ({
        ...handleIn(new ByteReader(value)),
        upTo: key.subarray(0, -8),
      }));
      this.#checkFilter(filterIndex);
      return blocks;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return damaged(footerAt, "the footer is damaged");
    }
  }

  #checkFilter(filterIndex: Handle): void {
    const damaged = ({ offset }: Handle, message: string): void => {
      this.#damages.push({ offset, message: `the filter of keys: ${message}`, keys: null, losesData: false });
    };
    const content = readBlock(this.#bytes, filterIndex);
    if (typeof content === "string") return damaged(filterIndex, content);
    for (const { value } of blockEntries(content)) {
      const filter = handleIn(new ByteReader(value));
      const read = readBlock(this.#bytes, filter);
      if (typeof read === "string") damaged(filter, read);
    }
  }

  /** One after another from the beginning, as long as sums fit; what comes after the data blocks holds no entries. */
  #findBlocks(): DataBlock[] {
    const blocks: DataBlock[] = [];
    for (let offset = 0; ;) {
      const size = sizeBySum(this.#bytes, offset);
      const content = size === null ? "" : readBlock(this.#bytes, { offset, size });
      if (size === null || typeof content === "string" || !holdsEntries(content)) break;
      blocks.push({ offset, size, upTo: null });
      offset += size + TRAILER_BYTES;
    }
    return blocks;
  }
}

function handleIn(reader: ByteReader): Handle {
  const offset = reader.varint();
  return { offset, size: reader.varint() };
}

/** The content, or what is wrong. */
function readBlock(bytes: Buffer, { offset, size }: Handle): Buffer | string {
  const end = offset + size;
  if (end + TRAILER_BYTES > bytes.length) return "a block reaches past the end of the table";
  if (bytes.readUInt32LE(end + 1) !== maskedCrc32c(crc32c(bytes, offset, end + 1))) return "a block fails its checksum";
  const content = bytes.subarray(offset, end);
  return bytes[end] === SNAPPY ? decodeSnappy(content) : content;
}

/** @throws {RangeError} Keys are shortened by what they share with the one before; the block ends in restart points. */
function* blockEntries(content: Buffer): Generator<{ readonly key: Buffer; readonly value: Buffer }> {
  if (content.length < 4) throw new RangeError("a block is too short");
  const restarts = content.readUInt32LE(content.length - 4);
  const reader = new ByteReader(content, 0, content.length - 4 - restarts * 4);
  let key: Buffer = Buffer.alloc(0);
  while (!reader.done) {
    const shared = reader.varint();
    const own = reader.varint();
    const length = reader.varint();
    if (shared > key.length) throw new RangeError("a key shares more than there is");
    key = Buffer.concat([key.subarray(0, shared), reader.take(own)]);
    yield { key, value: reader.take(length) };
  }
}

/** A key in a table ends in its sequence number and what was done with it. */
function versioned(key: Buffer, value: Buffer): VersionedEntry {
  const at = key.length - 8;
  return {
    key: key.subarray(0, at),
    sequence: key.readUIntLE(at + 1, 6) + (key[at + 7] ?? 0) * 2 ** 48,
    value: key[at] === PUT ? value : null,
  };
}

function holdsEntries(content: Buffer): boolean {
  try {
    for (const { key } of blockEntries(content)) return key.length >= 8;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return false;
}

function sizeBySum(bytes: Buffer, offset: number): number | null {
  let sum = CRC32C_START;
  for (let at = offset; at + TRAILER_BYTES <= bytes.length; at++) {
    sum = crc32cStep(sum, bytes[at] as number);
    const type = bytes[at] as number;
    if (type <= SNAPPY && at > offset && bytes.readUInt32LE(at + 1) === maskedCrc32c(~sum >>> 0)) return at - offset;
  }
  return null;
}
