import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";

export const CRC32_POLYNOMIAL = 0xedb88320;

/** Up to as many bytes a call into zlib, and the view it needs, cost more than the sum. */
const SHORT_BYTES = 96;
const TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let sum = byte;
  for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ CRC32_POLYNOMIAL : sum >>> 1;
  return sum;
});

/** CRC-32 (ISO 3309, as in zip). `seed` is the sum of the bytes that went before. */
export function checksum(bytes: Uint8Array | string, seed = 0): number {
  return typeof bytes === "string" ? textSum(bytes, seed) : checksumFrom(bytes, 0, seed);
}

/** The same of the bytes from `from` on. */
export function checksumFrom(bytes: Uint8Array, from: number, seed = 0): number {
  if (bytes.length - from > SHORT_BYTES) return crc32(from === 0 ? bytes : bytes.subarray(from), seed);
  let sum = ~seed;
  for (let i = from; i < bytes.length; i++) sum = (sum >>> 8) ^ (TABLE[(sum ^ (bytes[i] as number)) & 255] as number);
  return ~sum >>> 0;
}

function textSum(text: string, seed: number): number {
  if (text.length > SHORT_BYTES) return crc32(text, seed);
  let sum = ~seed;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 127) return crc32(text, seed);
    sum = (sum >>> 8) ^ (TABLE[(sum ^ unit) & 255] as number);
  }
  return ~sum >>> 0;
}

/** SHA-256 in lower-case hex. */
export function hashBytes(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
