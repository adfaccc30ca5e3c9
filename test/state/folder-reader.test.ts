import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { seededRandom } from "../../src/base/random.ts";
import { readFolder } from "../../src/state/folder-reader.ts";
import type { KeyValue, WriteOp } from "../../src/state/key-value.ts";
import { openLevelFolder } from "../../src/state/level-folder.ts";
import { readLevelLog } from "../../src/state/leveldb-log.ts";
import { LevelTable } from "../../src/state/leveldb-table.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const FIRST_KEY = Buffer.alloc(0);

/** Tables on several levels and a log, with keys written over and deleted, values that compress and that do not. */
async function lived(folder: string, rounds = 6): Promise<void> {
  const random = seededRandom(7);
  const pick = (below: number): number => Math.floor(random.next() * below);
  for (let round = 0; round < rounds; round++) {
    const database = await openLevelFolder(folder);
    for (let batch = 0; batch < 60; batch++) {
      const ops = Array.from({ length: 1 + pick(8) }, (): WriteOp => {
        const key = `c/s${pick(20)}/${String(pick(60)).padStart(12, "0")}`;
        if (pick(5) === 0) return { type: "del", key };
        const value =
          pick(2) === 0
            ? Buffer.alloc(pick(3_000), `round ${round} `)
            : Buffer.from(Array.from({ length: pick(400) }, () => pick(256)));
        return { type: "put", key, value: pick(40) === 0 ? Buffer.alloc(90_000, pick(256)) : value };
      });
      await database.write(ops, false);
    }
    await database.close();
  }
}

async function all(kv: KeyValue): Promise<[string, string][]> {
  const items = await kv.range("", "z", { limit: Infinity });
  return items.map(([key, value]) => [key, Buffer.from(value).toString("hex")]);
}

async function fileOf(folder: string, ending: string): Promise<Buffer> {
  const name = (await readdir(folder)).find((one) => one.endsWith(ending));
  return readFile(join(folder, name ?? ending));
}

describe("a folder that is read without LevelDB", () => {
  it("holds what LevelDB reads from it", async () => {
    const folder = await temporaryFolder();
    await lived(folder);
    const { kv, damages } = await readFolder(folder);
    expect(damages).toEqual([]);
    const read = await all(kv);
    const some = read.filter((_, i) => i % 17 === 0).map(([key]) => key);
    const gone = ["c/s3/000000000099", "zz", "!"];
    const [many, last] = [
      await kv.getMany([...some, ...gone]),
      await kv.range("c/s5/", "c/s50", { limit: 1, reverse: true }),
    ];
    const database = await openLevelFolder(folder);
    onTestFinished(() => database.close());
    expect(read.length).toBeGreaterThan(500);
    expect(read).toEqual(await all(database));
    const hex = (values: readonly (Uint8Array | undefined)[]): unknown =>
      values.map((value) => value && Buffer.from(value).toString("hex"));
    expect(hex(many)).toEqual(hex(await database.getMany([...some, ...gone])));
    expect(last[0]?.[0]).toBe((await database.range("c/s5/", "c/s50", { limit: 1, reverse: true }))[0]?.[0]);
  });

  it("finds every flipped bit of a table, and loses no more than a block by it", async () => {
    const folder = await temporaryFolder();
    await lived(folder, 2);
    const bytes = await fileOf(folder, ".ldb");
    const whole = new LevelTable(bytes);
    expect(whole.damages()).toEqual([]);
    const entries = [...whole.entries(FIRST_KEY)];
    const size = (table: LevelTable): number => [...table.entries(FIRST_KEY)].length;
    for (let i = 0; i < 120; i++) {
      // The last ones fall into the index and the footer.
      const at = i < 60 ? Math.floor((bytes.length * i) / 60) : bytes.length - 1 - (i - 60) * 3;
      const damaged = Buffer.from(bytes);
      damaged[at]! ^= 1 << (i % 8);
      const table = new LevelTable(damaged);
      const found = table.damages();
      expect(found).toHaveLength(1);
      if (!found[0]!.losesData) expect(size(table)).toBe(entries.length);
      else expect(size(table)).toBeGreaterThan(entries.length / 2);
    }
  });

  it("takes a log that was cut anywhere for a shorter one, and a flipped bit for damage", async () => {
    const folder = await temporaryFolder();
    const database = await openLevelFolder(folder);
    for (let i = 0; i < 12; i++)
      await database.write([{ type: "put", key: `k${i}`, value: Buffer.alloc(i === 6 ? 70_000 : 900, i) }], false);
    await database.close();
    const bytes = await fileOf(folder, ".log");
    const whole = readLevelLog(bytes);
    expect(whole.damages).toEqual([]);
    const payloads = whole.records.map(({ payload }) => payload.toString("latin1"));
    for (let cut = 0; cut < bytes.length; cut += cut < 3_000 || cut > bytes.length - 3_000 ? 1 : 997) {
      const { records, damages } = readLevelLog(bytes.subarray(0, cut));
      expect(damages).toEqual([]);
      expect(records.map(({ payload }) => payload.toString("latin1"))).toEqual(payloads.slice(0, records.length));
    }
    // Each bit of the last record and of a short one, and some of all others.
    const last = whole.records.at(-1)!.offset;
    const second = whole.records[1]!.offset;
    const near = (bit: number): boolean =>
      bit >> 3 < second + 40 || (bit >> 3 >= last && bit >> 3 < last + 40) || bit >> 3 > bytes.length - 10;
    for (let bit = 0; bit < bytes.length * 8; bit += near(bit) ? 1 : 4_999) {
      const damaged = Buffer.from(bytes);
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      const { records, damages } = readLevelLog(damaged);
      expect(damages).toHaveLength(1);
      expect(records.length).toBe(payloads.length - 1);
    }
  });

  it("takes a log that ends in zeros, as after a loss of power, for a shorter one", async () => {
    const folder = await temporaryFolder();
    const database = await openLevelFolder(folder);
    for (let i = 0; i < 4; i++)
      await database.write([{ type: "put", key: `k${i}`, value: Buffer.alloc(6_000, i + 1) }], false);
    await database.close();
    const bytes = await fileOf(folder, ".log");
    const whole = readLevelLog(bytes).records;
    for (const page of [1, 2, 3, 4, 5]) {
      const zeroed = Buffer.from(bytes).fill(0, page * 4_096);
      const { records, damages } = readLevelLog(Buffer.concat([zeroed, Buffer.alloc(3_000)]));
      expect(damages).toEqual([]);
      expect(records).toHaveLength(
        whole.filter(({ offset, payload }) => offset + payload.length + 7 <= page * 4_096).length,
      );
    }
  });

  it("takes a flipped bit for damage also where a log ends in zeros that were meant", async () => {
    const folder = await temporaryFolder();
    const database = await openLevelFolder(folder);
    for (const fill of [1, 0])
      await database.write([{ type: "put", key: "k", value: Buffer.alloc(9_000, fill) }], false);
    await database.close();
    const bytes = await fileOf(folder, ".log");
    const last = readLevelLog(bytes).records.at(-1)!.offset;
    for (const at of [last, last + 4, last + 6, last + 8, last + 30, last + 5_000, bytes.length - 1]) {
      const damaged = Buffer.from(bytes);
      damaged[at]! ^= 0x40;
      expect(readLevelLog(damaged).damages).toHaveLength(1);
    }
  });
});
