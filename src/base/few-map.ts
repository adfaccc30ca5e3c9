/**
 * A map that mostly has one entry or none, as what a run has under way. The one stands in the object itself; from two
 * on there is a `Map`, until it is empty again. (A `Map` of one entry takes 200 bytes, and as many again when it is removed.)
 * In order of insertion, like a `Map`. `undefined` is no value.
 */
export class FewMap<K, V extends {}> {
  #key: K | undefined;
  #value: V | undefined;
  #more: Map<K, V> | undefined;

  get size(): number {
    return this.#more?.size ?? (this.#value === undefined ? 0 : 1);
  }

  get(key: K): V | undefined {
    return this.#more === undefined ? (this.#key === key ? this.#value : undefined) : this.#more.get(key);
  }

  has(key: K): boolean {
    return this.get(key) !== undefined;
  }

  set(key: K, value: V): void {
    if (this.#more !== undefined) this.#more.set(key, value);
    else if (this.#value === undefined || this.#key === key) {
      this.#key = key;
      this.#value = value;
    } else {
      this.#more = new Map([
        [this.#key as K, this.#value],
        [key, value],
      ]);
      this.#key = this.#value = undefined;
    }
  }

  delete(key: K): void {
    if (this.#more === undefined) {
      if (this.#key === key) this.#key = this.#value = undefined;
      return;
    }
    this.#more.delete(key);
    if (this.#more.size === 0) this.#more = undefined;
  }

  clear(): void {
    this.#key = this.#value = undefined;
    this.#more = undefined;
  }

  /** A list of its own, so that the map may change meanwhile. */
  values(): V[] {
    if (this.#more !== undefined) return [...this.#more.values()];
    return this.#value === undefined ? [] : [this.#value];
  }
}
