// CRC-32C (Castagnoli), as LevelDB puts it over what it writes. RFC 3720, appendix B.4.

const TABLE = new Uint32Array(256).map((_, byte) => {
  let sum = byte;
  for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0x82f63b78 : sum >>> 1;
  return sum;
});

/** Before the final complement, so that one byte more costs one step. */
export const CRC32C_START = 0xffffffff;

export function crc32cStep(sum: number, byte: number): number {
  return (TABLE[(sum ^ byte) & 0xff] as number) ^ (sum >>> 8);
}

export function crc32c(bytes: Uint8Array, from: number, to: number): number {
  let sum = CRC32C_START;
  for (let at = from; at < to; at++) sum = (TABLE[(sum ^ (bytes[at] as number)) & 0xff] as number) ^ (sum >>> 8);
  return ~sum >>> 0;
}

/** The form LevelDB stores: a sum over bytes that hold sums of their own is weak. */
export function maskedCrc32c(sum: number): number {
  return (((sum >>> 15) | (sum << 17)) + 0xa282ead8) >>> 0;
}
