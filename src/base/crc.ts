import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";

export const CRC32_POLYNOMIAL = 0xedb88320;

/** CRC-32 (ISO 3309, as in zip). `seed` is the sum of the bytes that went before. */
export function checksum(bytes: Uint8Array | string, seed = 0): number {
  return crc32(bytes, seed);
}

/** SHA-256 in lower-case hex. */
export function hashBytes(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
