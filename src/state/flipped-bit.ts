// One flipped bit
//
// A cyclic sum is linear: what one flipped bit does to it depends on how far from the end the bit stands, and on nothing
// else. With CRC-32 and CRC-32C no two bits do the same to it in less than 2^31 bits (Koopman, 32-Bit Cyclic Redundancy
// Codes for Internet Applications, 2002), so the difference of the two sums says which bit it was. Other damage may look
// like that of one bit, with a chance of one in a hundred thousand for 4 KiB: what comes out is to be proved by other means.

import { CRC32C_POLYNOMIAL, crc32c, maskedCrc32c, unmaskedCrc32c } from "./crc32c.ts";

/** A copy of the bytes as they were, if one bit of them, or of their masked CRC-32C, is all that was flipped; else null. */
export function withoutFlippedBit(bytes: Buffer, maskedSum: number): Buffer | null {
  const sum = crc32c(bytes, 0, bytes.length);
  if (isOneBit(maskedCrc32c(sum) ^ maskedSum)) return Buffer.from(bytes);
  const back = flippedBit(sum ^ unmaskedCrc32c(maskedSum), bytes.length, CRC32C_POLYNOMIAL);
  if (back === null) return null;
  const mended = Buffer.from(bytes);
  const at = bytes.length - 1 - (back >> 3);
  mended[at] = (mended[at] as number) ^ (0x80 >> (back & 7));
  return mended;
}

/** Which bit of `length` bytes makes that difference between two sums, counted back from the last; null when none does. */
export function flippedBit(difference: number, length: number, polynomial: number): number | null {
  const wanted = difference >>> 0;
  // Each bit behind it is one more step of the sum.
  let effect = polynomial;
  for (let back = 0; back < length * 8; back++) {
    if (effect === wanted) return back;
    effect = (effect & 1 ? (effect >>> 1) ^ polynomial : effect >>> 1) >>> 0;
  }
  return null;
}

export function isOneBit(word: number): boolean {
  return word !== 0 && (word & (word - 1)) === 0;
}
