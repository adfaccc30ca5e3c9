// The data blocks of a table whose index is lost, found one after another by their sums.

import { CRC32C_START, crc32cStep, maskedCrc32c } from "./crc32c.ts";
import { blockEntries, contentOf, SEQUENCE_BYTES, SNAPPY, TRAILER_BYTES, type Handle } from "./leveldb-block.ts";

/** How far behind a damaged block the next one is looked for, and how long that may be. LevelDB's are 4 KiB, as a rule. */
const WINDOW_BYTES = 64 * 1024;
const LITERAL_IN_TAG_MAX = 60;

/**
 * In order, up to the first block that holds no entries. What stands between two good blocks is given as one, which
 * fails its sum; where no good one follows, all the rest up to `end` is.
 */
export function findDataBlocks(table: Buffer, end: number): Handle[] {
  const blocks: Handle[] = [];
  for (let offset = 0; offset + TRAILER_BYTES < end;) {
    const near = Math.min(offset + WINDOW_BYTES, end);
    let size = sizeBySum(table, offset, near);
    const next = size === null ? nextBlock(table, offset, end) : null;
    if (size === null && next === null && near < end) size = sizeBySum(table, offset, end);
    if (size !== null && !holdsEntries(table, { offset, size })) return blocks;
    const block = { offset, size: size ?? (next ?? end) - TRAILER_BYTES - offset };
    blocks.push(block);
    offset += block.size + TRAILER_BYTES;
  }
  return blocks;
}

function nextBlock(table: Buffer, damaged: number, end: number): number | null {
  const last = Math.min(damaged + WINDOW_BYTES, end);
  for (let offset = damaged + TRAILER_BYTES + 1; offset < last; offset++)
    if (mayBegin(table, offset) && sizeBySum(table, offset, Math.min(offset + WINDOW_BYTES, end)) !== null)
      return offset;
  return null;
}

/** The first key of a block shares nothing, so its first byte is 0: plain, or behind Snappy's length and a literal's tag. */
function mayBegin(table: Buffer, offset: number): boolean {
  if (table[offset] === 0) return true;
  let at = offset;
  while ((table[at] ?? 0) >= 0x80) at += 1;
  const tag = table[at + 1] ?? 0;
  const long = (tag >> 2) - LITERAL_IN_TAG_MAX + 1;
  return (tag & 3) === 0 && table[at + 2 + Math.max(0, long)] === 0;
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
