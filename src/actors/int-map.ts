// Persistent map from small whole numbers
//
// A radix trie of 32-wide pages (Bagwell, "Ideal Hash Trees", without the hashing): `set` and `delete` copy one
// page per level and share the rest, so a state of 1,000 branches costs two small copies per change. Of most runs most
// maps have one entry: it stands in the map itself. Iteration
// runs in ascending order of keys. A key is a whole number from 0 to 2^32 - 1; any other is never in the map, and
// setting it is refused: its bits would lead to the page of another key.

const BITS = 5;
const WIDTH = 1 << BITS;
const MASK = WIDTH - 1;
/** In place of a shift: there are no pages but one value. */
const ONE = -1;

interface Page {
  /** Filled slots. */
  readonly used: number;
  /** Values on the lowest level, pages above it. */
  readonly slots: readonly unknown[];
}

const EMPTY_PAGE: Page = { used: 0, slots: [] };
const BLANK_SLOTS = Array.from<undefined>({ length: WIDTH });

export class IntMap<V extends {} | number | string> {
  static readonly EMPTY: IntMap<never> = new IntMap<never>(EMPTY_PAGE, 0, 0);

  readonly size: number;
  /** The value itself of a map with one entry. */
  readonly #root: Page | V;
  /** Bits to shift at the root: 0 for one level. `ONE` exactly where there is one entry. */
  readonly #shift: number;
  /** The key of the one entry. */
  readonly #only: number;

  private constructor(root: Page | V, shift: number, size: number, only = 0) {
    this.#root = root;
    this.#shift = shift;
    this.size = size;
    this.#only = only;
  }

  static empty<V extends {}>(): IntMap<V> {
    return IntMap.EMPTY as IntMap<V>;
  }

  static from<V extends {}>(entries: Iterable<readonly [number, V]>): IntMap<V> {
    let map = IntMap.empty<V>();
    for (const [key, value] of entries) map = map.set(key, value);
    return map;
  }

  get(key: number): V | undefined {
    if (this.#shift === ONE) return key === this.#only ? (this.#root as V) : undefined;
    if (key >>> this.#shift >= WIDTH || key >>> 0 !== key) return undefined;
    let page = this.#root as Page;
    for (let shift = this.#shift; shift > 0; shift -= BITS) {
      const below = page.slots[(key >>> shift) & MASK] as Page | undefined;
      if (below === undefined) return undefined;
      page = below;
    }
    return page.slots[key & MASK] as V | undefined;
  }

  has(key: number): boolean {
    return this.get(key) !== undefined;
  }

  set(key: number, value: V): IntMap<V> {
    if (key >>> 0 !== key)
      throw new RangeError(`IntMap: expected a whole number from 0 to 2^32 - 1 as key, got ${key}`);
    if (this.size === 0 || (this.#shift === ONE && key === this.#only)) return new IntMap<V>(value, ONE, 1, key);
    const paged = this.#shift === ONE ? IntMap.empty<V>().#put(this.#only, this.#root as V) : this;
    return paged.#put(key, value);
  }

  /** Of a map in pages. */
  #put(key: number, value: V): IntMap<V> {
    let root = this.#root as Page;
    let shift = this.#shift;
    while (key >>> shift >= WIDTH) {
      root = root.used === 0 ? root : { used: 1, slots: [root] };
      shift += BITS;
    }
    const added = this.get(key) === undefined ? 1 : 0;
    return new IntMap<V>(write(root, shift, key, value), shift, this.size + added);
  }

  delete(key: number): IntMap<V> {
    if (this.get(key) === undefined) return this;
    if (this.#shift === ONE) return IntMap.empty<V>();
    const left = erase(this.#root as Page, this.#shift, key);
    if (this.size > 2) return new IntMap<V>(left, this.#shift, this.size - 1);
    for (const [only, value] of walk(left, this.#shift, 0)) return new IntMap<V>(value as V, ONE, 1, only);
    throw new TypeError("IntMap: the last entry is missing");
  }

  *entries(): IterableIterator<[number, V]> {
    if (this.#shift === ONE) yield [this.#only, this.#root as V];
    else yield* walk(this.#root as Page, this.#shift, 0) as Iterable<[number, V]>;
  }

  *values(): IterableIterator<V> {
    for (const [, value] of this.entries()) yield value;
  }

  /** The first entry in key order for which `test` holds. */
  find(test: (value: V, key: number) => boolean): V | undefined {
    if (this.#shift === ONE) return test(this.#root as V, this.#only) ? (this.#root as V) : undefined;
    return search(this.#root as Page, this.#shift, 0, test as (value: unknown, key: number) => boolean) as
      | V
      | undefined;
  }

  toJSON(): [number, V][] {
    return [...this.entries()];
  }
}

function write(page: Page, shift: number, key: number, value: unknown): Page {
  const slot = (key >>> shift) & MASK;
  // Slots are filled up to the one written, so that arrays stay dense; pushed to, they would grow by half and more.
  const missing = slot + 1 - page.slots.length;
  const slots = missing > 0 ? page.slots.concat(BLANK_SLOTS.slice(0, missing)) : page.slots.slice();
  const used = page.used + (slots[slot] === undefined ? 1 : 0);
  slots[slot] = shift === 0 ? value : write((slots[slot] as Page | undefined) ?? EMPTY_PAGE, shift - BITS, key, value);
  return { used, slots };
}

function erase(page: Page, shift: number, key: number): Page {
  const slot = (key >>> shift) & MASK;
  const slots = page.slots.slice();
  if (shift === 0) {
    slots[slot] = undefined;
    return { used: page.used - 1, slots };
  }
  const below = erase(slots[slot] as Page, shift - BITS, key);
  slots[slot] = below.used === 0 ? undefined : below;
  return { used: page.used - (below.used === 0 ? 1 : 0), slots };
}

function* walk(page: Page, shift: number, base: number): IterableIterator<[number, unknown]> {
  for (let slot = 0; slot < page.slots.length; slot++) {
    const value = page.slots[slot];
    if (value === undefined) continue;
    const key = base + slot * 2 ** shift;
    if (shift === 0) yield [key, value];
    else yield* walk(value as Page, shift - BITS, key);
  }
}

function search(page: Page, shift: number, base: number, test: (value: unknown, key: number) => boolean): unknown {
  for (let slot = 0; slot < page.slots.length; slot++) {
    const value = page.slots[slot];
    if (value === undefined) continue;
    const key = base + slot * 2 ** shift;
    if (shift === 0) {
      if (test(value, key)) return value;
    } else {
      const found = search(value as Page, shift - BITS, key, test);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}
