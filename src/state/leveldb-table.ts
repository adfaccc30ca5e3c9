// LevelDB's tables, read without LevelDB
//
// A table is a row of blocks (leveldb-block.ts): data blocks in the order of their keys, a filter, the index of the
// filter, the index of the data blocks; then a footer of 48 bytes.
// https://github.com/google/leveldb/blob/main/doc/table_format.md
//
// LevelDB reads blocks without looking at their sums. Here what can be proved good is taken out of a block that fails its
// sum (block-salvage.ts), and the block is reported with the keys between which it stood. Where the index itself is lost,
// the data blocks are found one after another by their sums.

import { salvageBlock, type KeyBounds, type LostEntry, type SalvagedBlock } from "./block-salvage.ts";
import { withoutFlippedBit } from "./flipped-bit.ts";
import {
  blockEntries,
  contentOf,
  handleIn,
  problemOf,
  SEQUENCE_BYTES,
  TRAILER_BYTES,
  versioned,
  type Handle,
  type VersionedEntry,
} from "./leveldb-block.ts";
import { ByteReader } from "./leveldb-varint.ts";
import { findDataBlocks } from "./lost-index.ts";

const FOOTER_BYTES = 48;
const MAGIC = Buffer.from("57fb808b247547db", "hex");
const ONE_BIT = "one bit of it was flipped";

export interface TableDamage {
  readonly offset: number;
  readonly message: string;
  /** Keys that were in it lay between these; null where that is unknown, or none were. */
  readonly keys: KeyBounds | null;
  /** Of those the ones that can be made out, and cannot be proved good. */
  readonly lost: readonly LostEntry[];
  /** False for what is known all the same, and for what LevelDB can do without. */
  readonly losesData: boolean;
}

interface DataBlock extends Handle {
  /** At or behind its last key, before the first of the next; null when the index is lost. */
  readonly upTo: Buffer | null;
}

interface Footer {
  readonly filterIndex: Handle;
  readonly index: Handle;
}

/** Whether every sum in it holds. Of what is not, `LevelTable` says more. */
export function isWholeTable(bytes: Buffer): boolean {
  const footer = readFooter(bytes);
  if (footer === null) return false;
  try {
    for (const index of [footer.index, footer.filterIndex]) {
      if (problemOf(bytes, index) !== null) return false;
      for (const { value } of blockEntries(contentOf(bytes, index)))
        if (problemOf(bytes, handleIn(new ByteReader(value))) !== null) return false;
    }
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

export class LevelTable {
  readonly #bytes: Buffer;
  readonly #blocks: readonly DataBlock[];
  /** The key it begins with, where that is known from elsewhere. */
  readonly #first: Buffer | null;
  readonly #damages: TableDamage[] = [];
  /** What is left of damaged blocks, by their places. */
  readonly #salvaged = new Map<number, SalvagedBlock>();

  constructor(bytes: Buffer, first: Buffer | null = null) {
    this.#bytes = bytes;
    this.#first = first;
    this.#blocks = this.#readIndex() ?? this.#findBlocks();
  }

  /** All that is wrong with it. */
  damages(): readonly TableDamage[] {
    const damages = [...this.#damages];
    for (const [i, block] of this.#blocks.entries()) {
      const problem = problemOf(this.#bytes, block);
      if (problem === null) continue;
      const { whole, lost } = this.#salvage(i);
      damages.push({
        offset: block.offset,
        message: whole ? `${problem}: ${ONE_BIT}` : problem,
        keys: whole ? null : this.#boundsOf(i),
        lost,
        losesData: !whole,
      });
    }
    return damages;
  }

  /** By key and, within one, newest first; from the first key at or behind `from`. */
  *entries(from: Buffer): Generator<VersionedEntry> {
    for (const [i, block] of this.#blocks.entries()) {
      if (block.upTo !== null && Buffer.compare(block.upTo, from) < 0) continue;
      for (const entry of this.#entriesOf(i)) if (Buffer.compare(entry.key, from) >= 0) yield entry;
    }
  }

  *#entriesOf(i: number): Generator<VersionedEntry> {
    const block = this.#blocks[i] as DataBlock;
    if (problemOf(this.#bytes, block) !== null) yield* this.#salvage(i).entries;
    else for (const { key, value } of blockEntries(contentOf(this.#bytes, block))) yield versioned(key, value);
  }

  #salvage(i: number): SalvagedBlock {
    const block = this.#blocks[i] as DataBlock;
    const found = this.#salvaged.get(block.offset) ?? salvageBlock(this.#bytes, block, this.#boundsOf(i));
    this.#salvaged.set(block.offset, found);
    return found;
  }

  /** By the keys next to it, where those blocks are good; by the index where they are not. */
  #boundsOf(i: number): KeyBounds {
    const isGood = (block: DataBlock | undefined): boolean =>
      block !== undefined && problemOf(this.#bytes, block) === null;
    let before: Buffer | null = i === 0 ? this.#first : (this.#blocks[i - 1]?.upTo ?? null);
    let behind: Buffer | null = this.#blocks[i]?.upTo ?? null;
    if (isGood(this.#blocks[i - 1])) for (const { key } of this.#entriesOf(i - 1)) before = key;
    if (isGood(this.#blocks[i + 1]))
      for (const { key } of this.#entriesOf(i + 1)) {
        behind = key;
        break;
      }
    return [before, behind];
  }

  #readIndex(): DataBlock[] | null {
    const footer = readFooter(this.#bytes);
    const footerAt = Math.max(0, this.#bytes.length - FOOTER_BYTES);
    if (footer === null) {
      this.#note(footerAt, footerAt === 0 ? "the table is cut off" : "the footer is damaged");
      return null;
    }
    this.#checkFilter(footer.filterIndex);
    const content = this.#indexContent(footer.index, "the index of blocks");
    if (content === null) return null;
    try {
      return [...blockEntries(content)].map(({ key, value }) => ({
        ...handleIn(new ByteReader(value)),
        upTo: key.subarray(0, -SEQUENCE_BYTES),
      }));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#note(footerAt, "the footer is damaged");
      return null;
    }
  }

  #findBlocks(): DataBlock[] {
    const end = Math.max(0, this.#bytes.length - FOOTER_BYTES);
    return findDataBlocks(this.#bytes, end).map((handle) => ({ ...handle, upTo: null }));
  }

  #checkFilter(filterIndex: Handle): void {
    const content = this.#indexContent(filterIndex, "the index of filters");
    if (content === null) return;
    try {
      for (const { value } of blockEntries(content)) {
        const filter = handleIn(new ByteReader(value));
        const problem = problemOf(this.#bytes, filter);
        if (problem !== null) this.#note(filter.offset, `the filter of keys: ${problem}`);
      }
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#note(filterIndex.offset, "the index of filters cannot be read");
    }
  }

  /** Put right where one bit was flipped. A wrong place shows in the sums of what stands there. */
  #indexContent(handle: Handle, what: string): Buffer | null {
    const problem = problemOf(this.#bytes, handle);
    const end = handle.offset + handle.size;
    try {
      if (problem === null) return contentOf(this.#bytes, handle);
      const mended =
        end + TRAILER_BYTES > this.#bytes.length
          ? null
          : withoutFlippedBit(this.#bytes.subarray(handle.offset, end + 1), this.#bytes.readUInt32LE(end + 1));
      this.#note(handle.offset, `${what}: ${problem}${mended === null ? "" : `: ${ONE_BIT}`}`);
      return mended === null ? null : contentOf(mended, { offset: 0, size: handle.size });
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#note(handle.offset, `${what} cannot be read`);
      return null;
    }
  }

  #note(offset: number, message: string): void {
    this.#damages.push({ offset, message, keys: null, lost: [], losesData: false });
  }
}

/** Null when it is damaged: it has no sum of its own, but a form. */
function readFooter(bytes: Buffer): Footer | null {
  const footerAt = bytes.length - FOOTER_BYTES;
  if (footerAt < 0) return null;
  try {
    const reader = new ByteReader(bytes, footerAt, bytes.length);
    const footer = { filterIndex: handleIn(reader), index: handleIn(reader) };
    const padding = reader.take(bytes.length - MAGIC.length - reader.at);
    return reader.take(MAGIC.length).equals(MAGIC) && padding.every((byte) => byte === 0) ? footer : null;
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}
