// Snappy, decoding only: LevelDB compresses the blocks of its tables with it.
// https://github.com/google/snappy/blob/main/format_description.txt

import { ByteReader } from "./leveldb-varint.ts";

/** @throws {RangeError} when the bytes are not what Snappy makes. */
export function decodeSnappy(bytes: Buffer): Buffer {
  const input = new ByteReader(bytes);
  const length = input.varint();
  if (length > bytes.length * 64 + 64) throw new RangeError("it says to be longer than it can be");
  const output = Buffer.allocUnsafe(length);
  let at = 0;
  while (!input.done) {
    const tag = input.byte();
    const kind = tag & 3;
    if (kind === 0) {
      const literal = input.take(literalLength(tag >> 2, input));
      if (at + literal.length > length) throw new RangeError("it is longer than it says");
      output.set(literal, at);
      at += literal.length;
      continue;
    }
    const count = kind === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1;
    const back = kind === 1 ? ((tag >> 5) << 8) | input.byte() : littleEnd(input, kind === 2 ? 2 : 4);
    if (back === 0 || back > at || at + count > length) throw new RangeError("it copies from outside");
    // A copy may reach into what it writes itself.
    for (let i = 0; i < count; i++, at++) output[at] = output[at - back] as number;
  }
  if (at !== length) throw new RangeError("it is shorter than it says");
  return output;
}

function literalLength(short: number, input: ByteReader): number {
  return short < 60 ? short + 1 : littleEnd(input, short - 59) + 1;
}

function littleEnd(input: ByteReader, count: number): number {
  let value = 0;
  for (let i = 0; i < count; i++) value += input.byte() * 256 ** i;
  return value;
}
