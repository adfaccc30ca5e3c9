// Foreign bytes
//
// Whether bytes from outside are MessagePack as our own codec writes it, found out without building anything. A reader
// made for speed understands more than that: extensions that make regular expressions, typed arrays and records.
// Format: https://github.com/msgpack/msgpack/blob/master/spec.md

/** Boxes of the codec take up to three levels for one of a value's 1,000. */
const DEPTH_MAX = 4_096;
const TIMESTAMP = 0xff;
const TIMESTAMP_BYTES: ReadonlySet<number> = new Set([4, 8, 12]);

/** What keeps the bytes from being one plain value, or undefined. Linear in their number, whatever they claim. */
export function foreignProblem(bytes: Uint8Array): string | undefined {
  return new Scan(bytes).problem();
}

class Scan {
  readonly #view: DataView;
  readonly #end: number;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#end = bytes.byteLength;
  }

  problem(): string | undefined {
    /** Values still to come at each level. */
    const open: number[] = [];
    let left = 1;
    for (;;) {
      while (left === 0) {
        const outer = open.pop();
        if (outer === undefined)
          return this.#at === this.#end ? undefined : `${this.#end - this.#at} bytes follow the value`;
        left = outer;
      }
      left--;
      if (this.#at >= this.#end) return "it ends too early";
      const inside = this.#token();
      if (typeof inside === "string") return inside;
      if (this.#at > this.#end || inside > this.#end - this.#at) return "it ends too early";
      if (inside === 0) continue;
      if (open.push(left) > DEPTH_MAX) return `it is nested deeper than ${DEPTH_MAX} levels`;
      left = inside;
    }
  }

  /** Goes past one token; how many values stand in it, or what is wrong with it. */
  #token(): number | string {
    const head = this.#view.getUint8(this.#at++);
    if (head < 0x80 || head >= 0xe0) return 0;
    if (head < 0x90) return 2 * (head & 0x0f);
    if (head < 0xa0) return head & 0x0f;
    if (head < 0xc0) return this.#skip(head & 0x1f);
    switch (head) {
      case 0xc0:
      case 0xc2:
      case 0xc3:
        return 0;
      case 0xc4:
      case 0xd9:
        return this.#skip(this.#length(1));
      case 0xc5:
      case 0xda:
        return this.#skip(this.#length(2));
      case 0xc6:
      case 0xdb:
        return this.#skip(this.#length(4));
      case 0xc7:
        return this.#extension(this.#length(1));
      case 0xc8:
        return this.#extension(this.#length(2));
      case 0xc9:
        return this.#extension(this.#length(4));
      case 0xca:
      case 0xce:
      case 0xd2:
        return this.#skip(4);
      case 0xcb:
      case 0xcf:
      case 0xd3:
        return this.#skip(8);
      case 0xcc:
      case 0xd0:
        return this.#skip(1);
      case 0xcd:
      case 0xd1:
        return this.#skip(2);
      case 0xd4:
      case 0xd5:
      case 0xd6:
      case 0xd7:
      case 0xd8:
        return this.#extension(2 ** (head - 0xd4));
      case 0xdc:
        return this.#length(2);
      case 0xdd:
        return this.#length(4);
      case 0xde:
        return 2 * this.#length(2);
      case 0xdf:
        return 2 * this.#length(4);
      default:
        return `byte ${head.toString(16)} begins no value`;
    }
  }

  /** Past the end it is 0, and the caller sees that the end was passed. */
  #length(bytes: 1 | 2 | 4): number {
    const at = this.#at;
    this.#at += bytes;
    if (this.#at > this.#end) return 0;
    return bytes === 1 ? this.#view.getUint8(at) : bytes === 2 ? this.#view.getUint16(at) : this.#view.getUint32(at);
  }

  #skip(bytes: number): 0 {
    this.#at += bytes;
    return 0;
  }

  #extension(bytes: number): 0 | string {
    const type = this.#length(1);
    this.#at += bytes;
    if (this.#at > this.#end) return 0;
    if (type === TIMESTAMP && TIMESTAMP_BYTES.has(bytes)) return 0;
    return `extension ${type} of ${bytes} bytes is none of ours`;
  }
}
