// LevelDB's log format, read without LevelDB
//
// Its write-ahead logs and its manifest are sequences of records in blocks of 32 KiB: CRC-32C (masked) of type and
// payload (4), length (2), type (1), payload. A record that does not fit into a block is written in pieces.
// https://github.com/google/leveldb/blob/main/doc/log_format.md
//
// LevelDB drops what fails its checksum without a word, up to the end of the block. Here:
//
// D1  What ends before its length says was cut off by a crash: it was never acknowledged as being on disk. So was the
//     end of a log that holds a page of zeros (unwritten.ts), unless one flipped bit is all that is wrong.
// D2  Everything else that is not a whole record is damage, whether or not a good record follows.

import { crc32c, maskedCrc32c } from "./crc32c.ts";
import { withoutFlippedBit } from "./flipped-bit.ts";
import { hasUnwrittenPage, isZero } from "./unwritten.ts";

const BLOCK_BYTES = 32_768;
const HEADER_BYTES = 7;
const FULL = 1;
const FIRST = 2;
const LAST = 4;

export interface LevelLogRecord {
  readonly offset: number;
  readonly payload: Buffer;
}

export interface LevelLogDamage {
  readonly offset: number;
  readonly message: string;
  /** What there is of the records that are damaged. */
  readonly bytes: Buffer;
}

export interface LevelLogContent {
  readonly records: readonly LevelLogRecord[];
  readonly damages: readonly LevelLogDamage[];
}

interface Piece {
  readonly type: number;
  readonly payload: Buffer;
  readonly end: number;
}

export function readLevelLog(bytes: Buffer): LevelLogContent {
  const records: LevelLogRecord[] = [];
  const damages: { readonly offset: number; readonly message: string; readonly pieces: Buffer[] }[] = [];
  let begun: { readonly offset: number; readonly pieces: Buffer[] } | null = null;
  // Pieces whose beginning was damaged belong to the damage before them.
  let orphans: Buffer[] | null = null;
  for (let at = 0; at < bytes.length;) {
    const left = BLOCK_BYTES - (at % BLOCK_BYTES);
    if (left < HEADER_BYTES) {
      const end = Math.min(at + left, bytes.length);
      if (!isZero(bytes, at, end)) damages.push({ offset: at, message: "the end of a block is not empty", pieces: [] });
      at = end;
      continue;
    }
    const piece = goodPiece(bytes, at);
    if (piece === null) {
      if (isCutOff(bytes, at)) break;
      const to = nextGood(bytes, at + 1);
      const pieces = [...(begun?.pieces ?? []), bytes.subarray(at + HEADER_BYTES, to)];
      damages.push({ offset: begun?.offset ?? at, message: "a record fails its checksum", pieces });
      begun = null;
      orphans = pieces;
      at = to;
      continue;
    }
    at = piece.end;
    const starts = piece.type === FULL || piece.type === FIRST;
    if (!starts && begun === null && orphans !== null) {
      orphans.push(piece.payload);
      continue;
    }
    const offset = piece.end - piece.payload.length - HEADER_BYTES;
    if (starts !== (begun === null)) {
      const pieces = starts ? (begun?.pieces ?? []) : [piece.payload];
      damages.push({ offset: begun?.offset ?? offset, message: "a record is not whole", pieces });
    }
    if (starts) {
      begun = { offset, pieces: [] };
      orphans = null;
    }
    begun?.pieces.push(piece.payload);
    if (begun !== null && (piece.type === FULL || piece.type === LAST)) {
      const [only = piece.payload] = begun.pieces;
      records.push({ offset: begun.offset, payload: begun.pieces.length === 1 ? only : Buffer.concat(begun.pieces) });
      begun = null;
    }
  }
  return {
    records,
    damages: damages.map(({ offset, message, pieces }) => ({ offset, message, bytes: Buffer.concat(pieces) })),
  };
}

function goodPiece(bytes: Buffer, at: number): Piece | null {
  if (at + HEADER_BYTES > bytes.length) return null;
  const length = bytes.readUInt16LE(at + 4);
  const type = bytes[at + 6] ?? 0;
  const end = at + HEADER_BYTES + length;
  if (type < FULL || type > LAST || end > bytes.length || HEADER_BYTES + length > BLOCK_BYTES - (at % BLOCK_BYTES))
    return null;
  return hasSum(bytes, at, end) ? { type, payload: bytes.subarray(at + HEADER_BYTES, end), end } : null;
}

function hasSum(bytes: Buffer, at: number, end: number): boolean {
  return bytes.readUInt32LE(at) === maskedCrc32c(crc32c(bytes, at + HEADER_BYTES - 1, end));
}

/** D1. A length that was damaged reads like a record that was cut off: then the sum is right for what there is. */
function isCutOff(bytes: Buffer, at: number): boolean {
  if (at + HEADER_BYTES > bytes.length || isZero(bytes, at, bytes.length)) return true;
  const end = at + HEADER_BYTES + bytes.readUInt16LE(at + 4);
  const blockEnd = at - (at % BLOCK_BYTES) + BLOCK_BYTES;
  const most = Math.min(blockEnd, bytes.length);
  if (hasSum(bytes, at, most) || (end <= most && isGoodButOneBit(bytes, at, end))) return false;
  const endsTooEarly = end > bytes.length && end <= blockEnd && bytes.length <= blockEnd;
  return (endsTooEarly || hasUnwrittenPage(bytes, at)) && nextGood(bytes, at + 1) === bytes.length;
}

function isGoodButOneBit(bytes: Buffer, at: number, end: number): boolean {
  return withoutFlippedBit(bytes.subarray(at + HEADER_BYTES - 1, end), bytes.readUInt32LE(at)) !== null;
}

function nextGood(bytes: Buffer, from: number): number {
  for (let at = from; at < bytes.length; at++)
    if (BLOCK_BYTES - (at % BLOCK_BYTES) >= HEADER_BYTES && goodPiece(bytes, at) !== null) return at;
  return bytes.length;
}
