import type { FileDamage } from "./file-damage.ts";

/** What the durable store needs of an ordered key-value database. Keys compare by their UTF-8 bytes. */
export interface KeyValue {
  get(key: string): Promise<Uint8Array | undefined>;
  getMany(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]>;
  /** Items with `from` ≤ key < `to`, ascending unless `reverse`, at most `limit`. */
  range(
    from: string,
    to: string,
    options: { readonly limit: number; readonly reverse?: boolean },
  ): Promise<readonly (readonly [string, Uint8Array])[]>;
  /** All keys with `from` ≤ key < `to`, ascending. */
  keys(from: string, to: string): Promise<readonly string[]>;
  /** All or nothing, in order. With `sync` it resolves once the bytes are on disk. */
  write(ops: readonly WriteOp[], sync: boolean): Promise<void>;
  /** Makes sure that nothing is left on disk of what was deleted between the keys, `to` included. Absent where nothing would be. */
  purge?(from: string, to: string): Promise<void>;
  /** Closes and opens again, which drops what a failed write may have left half written. */
  reopen(): Promise<void>;
  /** Size on disk, in bytes. */
  size(): Promise<number>;
  /** The first thing that is wrong with its files, also where no read would trip over it. Absent where there are none. */
  damage?(): Promise<FileDamage | null>;
  close(): Promise<void>;
}

export type WriteOp =
  | {
      readonly type: "put";
      readonly key: string;
      readonly value: Uint8Array;
      /** Its key is new, and nothing but the rest of its batch leads to it: it may be put before that. */
      readonly apart?: boolean;
    }
  | { readonly type: "del"; readonly key: string };
