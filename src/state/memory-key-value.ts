// A key-value database in this process's memory.

import { OrchestraError } from "../base/errors.ts";
import type { KeyValue, WriteOp } from "./key-value.ts";
import { SortedKeys } from "./sorted-keys.ts";

/** Survives nothing, and forgets all when it is closed. */
export function memoryKeyValue(): KeyValue {
  return new MemoryKeyValue();
}

class MemoryKeyValue implements KeyValue {
  readonly #values = new Map<string, Uint8Array>();
  readonly #keys = new SortedKeys();
  #bytes = 0;
  #closed = false;

  async get(key: string): Promise<Uint8Array | undefined> {
    this.#assertOpen();
    return this.#values.get(key);
  }

  async getMany(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]> {
    this.#assertOpen();
    return keys.map((key) => this.#values.get(key));
  }

  async range(
    from: string,
    to: string,
    { limit, reverse = false }: Parameters<KeyValue["range"]>[2],
  ): Promise<readonly (readonly [string, Uint8Array])[]> {
    this.#assertOpen();
    const taken = reverse ? this.#keys.between(from, to).slice(-limit).reverse() : this.#keys.between(from, to, limit);
    return taken.map((key) => [key, this.#values.get(key) as Uint8Array] as const);
  }

  async keys(from: string, to: string): Promise<readonly string[]> {
    this.#assertOpen();
    return this.#keys.between(from, to);
  }

  async write(ops: readonly WriteOp[]): Promise<void> {
    this.#assertOpen();
    for (const op of ops) {
      const before = this.#values.get(op.key);
      if (op.type === "put") this.#values.set(op.key, op.value);
      else this.#values.delete(op.key);
      if (op.type === "put" && before === undefined) this.#keys.add(op.key);
      if (op.type === "del" && before !== undefined) this.#keys.delete(op.key);
      this.#bytes += (op.type === "put" ? op.value.byteLength : 0) - (before?.byteLength ?? 0);
    }
  }

  async reopen(): Promise<void> {}

  async size(): Promise<number> {
    return this.#bytes;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#values.clear();
  }

  #assertOpen(): void {
    if (this.#closed) throw new OrchestraError("ORCH_CLOSED", "this memory is closed");
  }
}
