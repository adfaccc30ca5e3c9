// Sorted keys: texts in the order of their UTF-8 bytes, in chunks, so that one more costs the same however many there are.

const CHUNK_KEYS_MAX = 512;

export class SortedKeys {
  /** None is empty. */
  readonly #chunks: string[][] = [];

  /** One that is not there yet. */
  add(key: string): void {
    const at = this.#chunkFor(key);
    const chunk = this.#chunks[at];
    if (chunk === undefined) {
      this.#chunks.push([key]);
      return;
    }
    chunk.splice(placeOf(key, chunk), 0, key);
    if (chunk.length > CHUNK_KEYS_MAX) this.#chunks.splice(at + 1, 0, chunk.splice(CHUNK_KEYS_MAX / 2));
  }

  /** One that is there. */
  delete(key: string): void {
    const at = this.#chunkFor(key);
    const chunk = this.#chunks[at] ?? [];
    chunk.splice(placeOf(key, chunk), 1);
    if (chunk.length === 0) this.#chunks.splice(at, 1);
  }

  /** Those with `from` ≤ key < `to`, ascending, the first `limit`. */
  between(from: string, to: string, limit = Infinity): string[] {
    const found: string[] = [];
    for (let at = this.#chunkFor(from); at < this.#chunks.length; at++) {
      const chunk = this.#chunks[at] as string[];
      const end = placeOf(to, chunk);
      for (let i = placeOf(from, chunk); i < end && found.length < limit; i++) found.push(chunk[i] as string);
      if (end < chunk.length || found.length >= limit) break;
    }
    return found;
  }

  /** The last chunk that does not begin behind the key: where it is, if it is anywhere. */
  #chunkFor(key: string): number {
    let [low, high] = [0, this.#chunks.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareBytes(this.#chunks[middle]?.[0] as string, key) <= 0) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }
}

/** Place of the first that is not before the key. */
function placeOf(key: string, sorted: readonly string[]): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareBytes(sorted[middle] as string, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** As their UTF-8 bytes compare, which is as their UTF-16 units do but for pairs of surrogates: these come last. */
function compareBytes(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x !== y) return rankOf(x) - rankOf(y);
  }
  return a.length - b.length;
}

function rankOf(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}
