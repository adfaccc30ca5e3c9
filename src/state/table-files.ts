// The tables of a folder, looked at before LevelDB opens it
//
// T1  Every byte of every table is under a checksum that is taken here, each time: a bit that flips on a disk changes no
//     date and no length, so nothing says of a table that was good that it still is. LevelDB itself reads blocks without
//     their sums, and what it then does not find it does not miss: a key, a session, the newest commit of one.
// T2  One table is read while the one before it is checked, each into memory that is used again. Other work of the process
//     goes on in between.

import { open } from "node:fs/promises";
import { join } from "node:path";
import { gone, type FileDamage } from "./file-damage.ts";
import { isWholeTable, LevelTable, type TableDamage } from "./leveldb-table.ts";

export interface TableFile {
  readonly name: string;
  /** The key it begins with, where the manifest says so. */
  readonly first: Buffer | null;
}

/** LevelDB makes tables of 2 MiB, and longer ones only for large values. */
const TABLE_BYTES = 2_200_000;

/** @throws {Error} when one cannot be read. */
export async function firstDamagedTable(folder: string, tables: readonly TableFile[]): Promise<FileDamage | null> {
  const memories = [new Memory(), new Memory()] as const;
  const read = (i: number): Promise<Buffer | null> | null => {
    const table = tables[i];
    if (table === undefined) return null;
    const bytes = (i % 2 === 0 ? memories[0] : memories[1]).read(join(folder, table.name));
    // It may be awaited only after another one turned out to be damaged.
    bytes.catch(() => undefined);
    return bytes;
  };
  let next = read(0);
  for (const [i, { name, first }] of tables.entries()) {
    const bytes = await next;
    next = read(i + 1);
    if (bytes === null) return gone(name);
    if (isWholeTable(bytes)) continue;
    await next?.catch(() => null);
    const [damage] = new LevelTable(bytes, first).damages();
    return damage === undefined
      ? { file: name, offset: null, message: "it cannot be read as a table", losesData: true }
      : fileDamage(name, damage);
  }
  return null;
}

export function fileDamage(file: string, { keys, lost, ...damage }: TableDamage): FileDamage {
  return { file, ...damage, lost: lost.map(({ key }) => key), ...(keys === null ? {} : { between: keys }) };
}

/** T2 */
class Memory {
  #bytes = new ArrayBuffer(0);

  /** Good until the next call; null when the file is not there. */
  async read(path: string): Promise<Buffer | null> {
    const file = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return null;
      throw error;
    });
    if (file === null) return null;
    try {
      const { size } = await file.stat();
      if (this.#bytes.byteLength < size) this.#bytes = new ArrayBuffer(Math.max(size, TABLE_BYTES));
      const bytes = Buffer.from(this.#bytes, 0, size);
      let length = 0;
      while (length < size) {
        const { bytesRead } = await file.read(bytes, length, size - length, length);
        if (bytesRead === 0) break;
        length += bytesRead;
      }
      return bytes.subarray(0, length);
    } finally {
      await file.close();
    }
  }
}
