// Reads what LevelDB's records are made of. Past the end it throws `RangeError`: the caller says what was damaged.

export class ByteReader {
  readonly #bytes: Buffer;
  at: number;
  readonly #end: number;

  constructor(bytes: Buffer, at = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.at = at;
    this.#end = end;
  }

  get done(): boolean {
    return this.at >= this.#end;
  }

  /** Little end first in groups of seven bits; exact up to 2^53. */
  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      if (scale > 2 ** 49) throw new RangeError("a number is too long");
    }
  }

  byte(): number {
    if (this.at >= this.#end) throw new RangeError("it ends too early");
    return this.#bytes[this.at++] as number;
  }

  take(length: number): Buffer {
    if (this.at + length > this.#end) throw new RangeError("it ends too early");
    this.at += length;
    return this.#bytes.subarray(this.at - length, this.at);
  }

  /** Bytes behind their length. */
  slice(): Buffer {
    return this.take(this.varint());
  }
}
