// Output capture: the beginning and the end of what a program writes, within a bound, and how much was left out between.

export class OutputCapture {
  readonly #headBytesMax: number;
  readonly #tailBytesMax: number;
  readonly #head: Buffer[] = [];
  #headBytes = 0;
  #tail: Buffer[] = [];
  #tailBytes = 0;
  #droppedBytes = 0;

  /** Keeps at most `bytesMax` bytes of UTF-8: the first half of that, and the last. */
  constructor(bytesMax: number) {
    this.#headBytesMax = Math.ceil(bytesMax / 2);
    this.#tailBytesMax = bytesMax - this.#headBytesMax;
  }

  write(text: string): void {
    if (text === "") return;
    const bytes = Buffer.from(text);
    const toHead = Math.min(bytes.length, this.#headBytesMax - this.#headBytes);
    if (toHead > 0) {
      this.#head.push(bytes.subarray(0, toHead));
      this.#headBytes += toHead;
    }
    if (toHead === bytes.length) return;
    this.#tail.push(bytes.subarray(toHead));
    this.#tailBytes += bytes.length - toHead;
    // Trimmed now and then, so that each byte is moved once on average.
    if (this.#tailBytes > 2 * this.#tailBytesMax) this.#trim();
  }

  get truncated(): boolean {
    return this.#droppedBytes > 0 || this.#tailBytes > this.#tailBytesMax;
  }

  /** What was kept; where something was left out, a line between says how many bytes. */
  text(): string {
    this.#trim();
    const head = Buffer.concat(this.#head);
    const tail = Buffer.concat(this.#tail);
    if (this.#droppedBytes === 0) return Buffer.concat([head, tail]).toString();
    const headEnd = startOfLastCharacter(head);
    const tailStart = startOfFirstCharacter(tail);
    const left = this.#droppedBytes + (head.length - headEnd) + tailStart;
    return `${head.toString("utf8", 0, headEnd)}\n[… ${left} bytes left out …]\n${tail.toString("utf8", tailStart)}`;
  }

  #trim(): void {
    const excess = this.#tailBytes - this.#tailBytesMax;
    if (excess <= 0) return;
    const kept = Buffer.concat(this.#tail).subarray(excess);
    this.#tail = [Buffer.from(kept)];
    this.#tailBytes = kept.length;
    this.#droppedBytes += excess;
  }
}

const isContinuation = (byte: number | undefined): boolean =>
  byte !== undefined && (byte & 0b1100_0000) === 0b1000_0000;

/** Where a character begins that may be cut off at the end; the end where none is. */
function startOfLastCharacter(bytes: Buffer): number {
  let at = bytes.length;
  while (at > 0 && bytes.length - at < 4) {
    at--;
    const byte = bytes[at] ?? 0;
    if (isContinuation(byte)) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return at + length <= bytes.length ? bytes.length : at;
  }
  return bytes.length;
}

function startOfFirstCharacter(bytes: Buffer): number {
  let at = 0;
  while (at < 4 && isContinuation(bytes[at])) at++;
  return at;
}
