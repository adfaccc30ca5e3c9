// Chunk feed: the chunks of a step, read by the target of a stream edge while they come. Each reader gets all of them from the first.

export const FEED_CHUNKS_MAX = 10_000;

export class ChunkFeed implements AsyncIterable<unknown> {
  readonly #chunks: unknown[] = [];
  readonly #waiting = new Set<() => void>();
  #ended = false;

  /** False when the feed is full: its reader is given up, and gets the whole output later. */
  push(chunk: unknown): boolean {
    if (this.#chunks.length >= FEED_CHUNKS_MAX) return false;
    this.#chunks.push(chunk);
    this.#wake();
    return true;
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<unknown> {
    for (let next = 0; ;) {
      if (next < this.#chunks.length) yield this.#chunks[next++];
      else if (this.#ended) return;
      else await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  #wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resolve of waiting) resolve();
  }
}
