// What a loss of power leaves of bytes that were not yet on disk: pages that were never written, which read as zeros.

const PAGE_BYTES = 4_096;

/**
 * A page, or the part of one between `from` and the end, holds nothing but zeros. A record may mean just that: whoever
 * asks makes sure first that no flipped bit is what ails it.
 */
export function hasUnwrittenPage(bytes: Buffer, from: number): boolean {
  for (let at = from; at < bytes.length;) {
    const end = Math.min(at - (at % PAGE_BYTES) + PAGE_BYTES, bytes.length);
    if (isZero(bytes, at, end)) return true;
    at = end;
  }
  return false;
}

/** How much there is before the zeros at the end. */
export function writtenLength(bytes: Uint8Array): number {
  let length = bytes.length;
  while (length > 0 && bytes[length - 1] === 0) length--;
  return length;
}

export function isZero(bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (bytes[at] !== 0) return false;
  return true;
}
