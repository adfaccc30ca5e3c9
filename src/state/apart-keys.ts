// Keys that stand in the database and do not count yet: hidden from readers.

export class ApartKeys {
  #keys: readonly string[] = [];

  get all(): readonly string[] {
    return this.#keys;
  }

  hide(keys: readonly string[]): void {
    this.#keys = keys;
  }

  show(): void {
    this.#keys = [];
  }

  hides(key: string): boolean {
    return this.#keys.includes(key);
  }

  /** Those that readers may see, in their order. */
  seen<Item>(items: readonly Item[], keyOf: (item: Item) => string): readonly Item[] {
    return this.#keys.length === 0 ? items : items.filter((item) => !this.#keys.includes(keyOf(item)));
  }
}
