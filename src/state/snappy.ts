// Snappy, decoding only: LevelDB compresses the blocks of its tables with it.
// https://github.com/google/snappy/blob/main/format_description.txt

import { ByteReader } from "./leveldb-varint.ts";

/** @throws {RangeError} when the bytes are not what Snappy makes. */
export function decodeSnappy(bytes: Buffer): Buffer {
  const input = new ByteReader(bytes);
  const output = Buffer.allocUnsafe(statedLength(input, bytes));
  if (decodeInto(output, input) !== output.length) throw new RangeError("it is shorter than it says");
  return output;
}

/** Of damaged bytes what comes before the damage, and behind it what may be right. */
export function decodeSnappyLoosely(bytes: Buffer): Buffer {
  const input = new ByteReader(bytes);
  let length = bytes.length * 4;
  try {
    length = statedLength(input, bytes);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  const output = Buffer.alloc(length);
  return output.subarray(0, decodeInto(output, input, true));
}

function statedLength(input: ByteReader, bytes: Buffer): number {
  const length = input.varint();
  if (length > bytes.length * 64 + 64) throw new RangeError("it says to be longer than it can be");
  return length;
}

/** How much it made. `loosely`, a copy from outside is zeros, and what does not fit any more ends it. */
function decodeInto(output: Buffer, input: ByteReader, loosely = false): number {
  let at = 0;
  while (!input.done) {
    try {
      at = decodeElement(output, at, input, loosely);
    } catch (error) {
      if (loosely) return at;
      throw error;
    }
  }
  return at;
}

/** One literal or copy; where the next begins. */
function decodeElement(output: Buffer, from: number, input: ByteReader, loosely: boolean): number {
  let at = from;
  const tag = input.byte();
  const kind = tag & 3;
  if (kind === 0) {
    const literal = input.take(literalLength(tag >> 2, input));
    if (at + literal.length > output.length) throw new RangeError("it is longer than it says");
    output.set(literal, at);
    return at + literal.length;
  }
  const count = kind === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1;
  const back = kind === 1 ? ((tag >> 5) << 8) | input.byte() : littleEnd(input, kind === 2 ? 2 : 4);
  const outside = back === 0 || back > at;
  if (at + count > output.length || (outside && !loosely)) throw new RangeError("it copies from outside");
  if (outside) return at + count;
  // A copy may reach into what it writes itself.
  for (let i = 0; i < count; i++, at++) output[at] = output[at - back] as number;
  return at;
}

function literalLength(short: number, input: ByteReader): number {
  return short < 60 ? short + 1 : littleEnd(input, short - 59) + 1;
}

function littleEnd(input: ByteReader, count: number): number {
  let value = 0;
  for (let i = 0; i < count; i++) value += input.byte() * 256 ** i;
  return value;
}
