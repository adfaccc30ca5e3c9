// Held: what is acknowledged and not in the database, the last operation of each key.

import type { WriteOp } from "./key-value.ts";

const ASCII = /^[ -~]*$/;

export class Held {
  readonly #ops = new Map<string, WriteOp>();
  /** Of the operations that are held, not of those they stand in for. */
  bytes = 0;

  get ops(): IterableIterator<WriteOp> {
    return this.#ops.values();
  }

  get(key: string): WriteOp | undefined {
    return this.#ops.get(key);
  }

  take(op: WriteOp): void {
    const before = this.#ops.get(op.key);
    this.bytes += sizeOf(op) - (before === undefined ? 0 : sizeOf(before));
    this.#ops.set(op.key, op);
  }

  /** Beyond ASCII the order of strings here is not that of their bytes in the database, so such a range counts as held. */
  holdsBetween(from: string, to: string): boolean {
    if (!isAscii(from, to)) return true;
    for (const key of this.#ops.keys()) if (key >= from && key < to) return true;
    return false;
  }

  /** Does to the keys of a range what its operations will do to the database. */
  changeKeys(found: Set<string>, from: string, to: string): void {
    for (const { type, key } of this.#ops.values()) {
      if (key < from || key >= to) continue;
      if (type === "put") found.add(key);
      else found.delete(key);
    }
  }
}

export function isAscii(from: string, to: string): boolean {
  return ASCII.test(from) && ASCII.test(to);
}

/** As the database orders them, by their bytes. */
export function inOrder(keys: Iterable<string>): string[] {
  return [...keys]
    .map((key) => Buffer.from(key))
    .sort((a, b) => Buffer.compare(a, b))
    .map((key) => key.toString());
}

function sizeOf(op: WriteOp): number {
  return op.key.length + (op.type === "put" ? op.value.byteLength : 0);
}
