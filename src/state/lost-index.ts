// The data blocks of a table whose index is lost, found one after another by their sums.

import { CRC32C_START, crc32cStep, maskedCrc32c } from "./crc32c.ts";
import { blockEntries, contentOf, SEQUENCE_BYTES, SNAPPY, TRAILER_BYTES, type Handle } from "./leveldb-block.ts";

/** How far behind a damaged block the next one is looked for, and how long that may be. LevelDB's are 4 KiB, as a rule. */
const WINDOW_BYTES = 16 * 1024;

/**
 * In order, up to the first block that holds no entries. What stands between two good blocks is given as one, which
 * fails its sum; where no good one follows, all the rest up to `end` is.
 */
export function findDataBlocks(table: Buffer, end: number): Handle[] {
  const blocks: Handle[] = [];
  for (let offset = 0; offset + TRAILER_BYTES < end;) {
    const size = sizeBySum(table, offset, end);
    if (size !== null && !holdsEntries(table, { offset, size })) return blocks;
    const block = { offset, size: size ?? (nextBlock(table, offset, end) ?? end) - TRAILER_BYTES - offset };
    blocks.push(block);
    offset += block.size + TRAILER_BYTES;
  }
  return blocks;
}

function nextBlock(table: Buffer, damaged: number, end: number): number | null {
  const last = Math.min(damaged + WINDOW_BYTES, end);
  for (let offset = damaged + TRAILER_BYTES + 1; offset < last; offset++)
    if (sizeBySum(table, offset, Math.min(offset + WINDOW_BYTES, end)) !== null) return offset;
  return null;
}

function sizeBySum(table: Buffer, offset: number, end: number): number | null {
  let sum = CRC32C_START;
  for (let at = offset; at + TRAILER_BYTES <= end; at++) {
    const type = table[at] as number;
    sum = crc32cStep(sum, type);
    if (type <= SNAPPY && at > offset && table.readUInt32LE(at + 1) === maskedCrc32c(~sum >>> 0)) return at - offset;
  }
  return null;
}

function holdsEntries(table: Buffer, handle: Handle): boolean {
  try {
    let count = 0;
    for (const { key } of blockEntries(contentOf(table, handle))) {
      if (key.length < SEQUENCE_BYTES) return false;
      count += 1;
    }
    return count > 0;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}
