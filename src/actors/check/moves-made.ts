/** Moves between states, in the order they were made. Kept in one array of numbers, for there can be millions. */
export class Moves {
  #rows = new Int32Array(4 * 1024);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** `to` is -1 for a state beyond the bound, `from` for the start of the run; `steps` is what the move hands out. */
  add(from: number, to: number, freedom: number, steps: number): void {
    const at = 4 * this.#length++;
    if (at === this.#rows.length) {
      const grown = new Int32Array(2 * at);
      grown.set(this.#rows);
      this.#rows = grown;
    }
    this.#rows[at] = from;
    this.#rows[at + 1] = to;
    this.#rows[at + 2] = freedom;
    this.#rows[at + 3] = steps;
  }

  forEach(visit: (from: number, to: number, freedom: number, steps: number) => void): void {
    const rows = this.#rows;
    for (let at = 0; at < 4 * this.#length; at += 4) visit(rows[at]!, rows[at + 1]!, rows[at + 2]!, rows[at + 3]!);
  }
}
