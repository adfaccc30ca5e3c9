import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, expect, it, onTestFinished } from "vitest";
import type { AheadFile } from "../../src/state/ahead-ports.ts";
import { decodeAhead, encodeAheadHeader, encodeAheadRecord } from "../../src/state/ahead-format.ts";
import type { KeyValue } from "../../src/state/key-value.ts";
import { LevelStorage, type LevelStorageOptions } from "../../src/state/level-store.ts";
import type { Commit } from "../../src/state/ports.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { temporaryFolder } from "./temporary-folder.ts";
import { childProgram } from "../support/child-program.ts";

const CHILD = await childProgram(new URL("./append-until-killed.ts", import.meta.url));

function commitOf(n: number, id = `c-${n}`, text = "x"): Commit {
  return { v: 1, n, epoch: 1, id, host: "h", atMs: n, facts: [{ type: "timer.fired", timerId: text }] };
}

function open(folder: string, options: LevelStorageOptions = {}): LevelStorage {
  const store = new LevelStorage(folder, { durability: "process", ...options });
  onTestFinished(() => store.close());
  return store;
}

async function append(store: LevelStorage, n: number, id?: string, text?: string): Promise<void> {
  expect(await store.append({ sessionId: "s1", expected: n - 1, commit: commitOf(n, id, text) })).toEqual({ ok: true });
}

async function idsOf(store: LevelStorage, sessionId = "s1"): Promise<string[]> {
  const ids: string[] = [];
  for await (const commit of store.read(sessionId)) ids.push(commit.id);
  return ids;
}

const upTo = (count: number): string[] => Array.from({ length: count }, (_, i) => `c-${i + 1}`);

async function aheadFiles(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name.endsWith(".wal")).sort();
}

/** What a killed process leaves: the folder as it is in mid-run, without the lock of the one that runs. */
async function copied(folder: string): Promise<string> {
  const copy = join(await temporaryFolder(), "copy");
  await cp(folder, copy, { recursive: true });
  return copy;
}

/** Stands in for LevelDB failing, and for a file doing so. */
interface Faults {
  /** The disk does not take what the file was given. */
  sync?: boolean;
  database?: boolean;
  /** Writes to the database wait for it. */
  hangs?: Promise<void>;
  /** Bytes the next write to a file takes before it fails or, when `short`, returns. */
  takes?: number;
  short?: boolean;
  truncate?: boolean;
}

function faulty(faults: Faults): LevelStorageOptions {
  return {
    intercept: (database): KeyValue => ({
      get: (key) => database.get(key),
      getMany: (all) => database.getMany(all),
      range: (from, to, options) => database.range(from, to, options),
      keys: (from, to) => database.keys(from, to),
      async write(ops, sync) {
        await faults.hangs;
        if (faults.database) throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
        await database.write(ops, sync);
      },
      reopen: () => database.reopen(),
      size: () => database.size(),
      close: () => database.close(),
    }),
    interceptFile: (file): AheadFile => ({
      write: (bytes, position) => {
        if (faults.takes === undefined) return file.write(bytes, position);
        const taken = file.write(bytes.subarray(0, faults.takes), position);
        // A full disk takes a part, and says why with the next write.
        if (faults.short && faults.takes > 0) {
          faults.takes = 0;
          return taken;
        }
        delete faults.takes;
        throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
      },
      sync: () => (faults.sync ? Promise.reject(new Error("EIO")) : file.sync()),
      truncate: (length) => {
        if (faults.truncate) throw new Error("EIO");
        file.truncate(length);
      },
      close: () => file.close(),
    }),
  };
}

describe("a write-ahead file", () => {
  it("holds acknowledged commits, and is gone once the store is closed", async () => {
    const folder = await temporaryFolder();
    const store = open(folder);
    for (let n = 1; n <= 5; n++) await append(store, n);
    expect(await aheadFiles(folder)).toHaveLength(1);
    expect((await store.stats()).commits).toBe(5);
    await append(store, 6);
    expect(await store.verify()).toMatchObject({ ok: true, commits: 6 });
    await append(store, 7);
    expect((await store.last("s1"))?.n).toBe(7);
    await store.close();
    expect(await aheadFiles(folder)).toEqual([]);
    expect(await idsOf(open(folder, { durability: "disk" }))).toEqual(upTo(7));
  });

  it("is on disk before a store of durability disk acknowledges", async () => {
    const folder = await temporaryFolder();
    const seen: string[] = [];
    const store = open(folder, {
      durability: "disk",
      intercept: (database) => ({
        ...faultless(database),
        write: (ops, sync) => {
          if (ops.some(({ key }) => key === "!ahead-file")) seen.push("said to be there");
          return database.write(ops, sync);
        },
      }),
      interceptFile: (file) => ({
        write(bytes, position) {
          seen.push(position === 0 ? "header" : "write");
          return file.write(bytes, position);
        },
        async sync() {
          await file.sync();
          seen.push("on disk");
        },
        truncate: (length) => file.truncate(length),
        close: () => file.close(),
      }),
    });
    await append(store, 1);
    seen.push("acknowledged 1");
    await append(store, 2);
    seen.push("acknowledged 2");
    // Losing power before a file is on disk must not look as if it had been lost later.
    expect(seen.slice(0, 3)).toEqual(["header", "on disk", "said to be there"]);
    expect(seen.slice(3)).toEqual(["write", "on disk", "acknowledged 1", "write", "on disk", "acknowledged 2"]);
    expect(await idsOf(open(await copied(folder)))).toEqual(upTo(2));
  });

  it("is moved into a database that puts it on disk too, from the first append of durability disk on", async () => {
    const folder = await temporaryFolder();
    const synced: boolean[] = [];
    const noting: LevelStorageOptions = {
      intercept: (database) => ({
        ...faultless(database),
        write: (ops, sync) => {
          synced.push(sync);
          return database.write(ops, sync);
        },
      }),
    };
    const fast = open(folder, noting);
    await append(fast, 1);
    expect(await idsOf(fast)).toEqual(upTo(1));
    const safe = open(folder, { ...noting, durability: "disk" });
    await append(safe, 2);
    expect(await idsOf(safe)).toEqual(upTo(2));
    await append(fast, 3);
    expect(await idsOf(fast)).toEqual(upTo(3));
    // The first says that there is a file.
    expect(synced).toEqual([false, false, true, true]);
  });

  it("is passed by for a large value, which goes into the database behind all that came before", async () => {
    const folder = await temporaryFolder();
    const store = open(folder);
    await append(store, 1);
    await append(store, 2, undefined, "y".repeat(9_000));
    expect((await store.last("s1"))?.n).toBe(2);
    // Played again behind it, what came before would take the session back.
    const killed = open(await copied(folder));
    expect([(await killed.last("s1"))?.n, await idsOf(killed)]).toEqual([2, upTo(2)]);
    await append(store, 3);
    expect((await readFile(join(folder, (await aheadFiles(folder))[0] ?? ""))).includes("yyyy")).toBe(false);
    expect(await idsOf(open(await copied(folder)))).toEqual(upTo(3));
  });

  it("is followed by a new one when it is full, and goes once the database has it", async () => {
    const folder = await temporaryFolder();
    const store = open(folder);
    for (let n = 1; n <= 1_300; n++) await append(store, n, undefined, "y".repeat(7_000));
    expect((await store.verify()).commits).toBe(1_300);
    expect((await aheadFiles(folder)).length).toBeLessThanOrEqual(2);
    expect(await idsOf(open(await copied(folder)))).toEqual(upTo(1_300));
  });

  it("keeps every acknowledged commit of a process that is killed, time after time", async () => {
    const folder = await temporaryFolder();
    for (let round = 0; round < 8; round++) {
      const own = join(folder, String(round));
      const child = spawn(process.execPath, [CHILD, own, "process"], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const acknowledged = new Map<string, number>();
      let lines = 0;
      for await (const line of createInterface({ input: child.stdout })) {
        const [sessionId = "", n] = line.split(" ");
        if (n !== undefined) acknowledged.set(sessionId, Number(n));
        if (++lines === 50 + round * 700) child.kill("SIGKILL");
      }
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
      const store = open(own, { durability: round % 2 === 0 ? "process" : "disk" });
      expect((await store.verify()).ok).toBe(true);
      for (const [sessionId, n] of acknowledged) {
        const ids = await idsOf(store, sessionId);
        expect(ids.length).toBeGreaterThanOrEqual(n);
        expect(ids).toEqual(ids.map((_, i) => `${sessionId}-${i + 1}`));
      }
    }
  });

  it("that is cut anywhere gives a prefix of what was written", async () => {
    const folder = await temporaryFolder();
    const store = open(folder);
    for (let n = 1; n <= 3; n++) await append(store, n);
    const [name = ""] = await aheadFiles(folder);
    const bytes = await readFile(join(folder, name));
    const killed = await copied(folder);
    let most = 0;
    for (let cut = 0; cut <= bytes.length; cut++) {
      const copy = await copied(killed);
      await writeFile(join(copy, name), bytes.subarray(0, cut));
      const again = new LevelStorage(copy, { durability: "process" });
      const ids = await idsOf(again);
      expect(ids).toEqual(upTo(ids.length));
      expect(ids.length).toBeGreaterThanOrEqual(most);
      most = ids.length;
      await append(again, ids.length + 1);
      expect((await again.verify()).ok).toBe(true);
      await again.close();
    }
    expect(most).toBe(3);
  });

  it("with any bit flipped is refused as damaged, and cut anywhere it is a shorter one", () => {
    const ops = (key: string) => [
      { type: "put", key, value: Buffer.from("value") } as const,
      { type: "del", key: "ü" } as const,
    ];
    const whole = Buffer.concat([encodeAheadHeader(7), ...[7, 8, 9].map((n) => encodeAheadRecord(n, ops(`k${n}`)))]);
    const good = decodeAhead(whole);
    expect(good).toMatchObject({ type: "good", first: 7, end: whole.length });
    const records = good.type === "good" ? good.records : [];
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const bytes = Buffer.from(whole);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      const found = decodeAhead(bytes);
      expect(decodeAhead(Buffer.concat([bytes, Buffer.alloc(300)])).type).toBe("damaged");
      // Every record but the one that was hit can still be read, for who repairs.
      const hit = records.findLast(({ offset }) => offset <= bit >> 3)?.number;
      expect(found.type === "damaged" ? found.records.map(({ number }) => number) : found.type).toEqual(
        [7, 8, 9].filter((number) => number !== hit),
      );
    }
    for (let cut = 0; cut < whole.length; cut++) {
      const isThere = ({ number }: { number: number }): boolean => cut >= (records[number - 6]?.offset ?? whole.length);
      expect(decodeAhead(whole.subarray(0, cut))).toMatchObject({ type: "good", records: records.filter(isThere) });
      // With room behind it, which no file has before its header, zeros that were not written are there all the same.
      if (cut < encodeAheadHeader(7).length) continue;
      const roomy = Buffer.concat([whole.subarray(0, cut), Buffer.alloc(300)]);
      const last = Buffer.compare(roomy.subarray(0, whole.length), whole) === 0 ? records : records.filter(isThere);
      expect(decodeAhead(roomy)).toMatchObject({ type: "good", records: last });
    }
  });

  it("of the first version is read", () => {
    const hex =
      "6f77616c0100030000000000a81d4638" + "16000000030000000000c7edfec30101000000020000006b070002010000000000000078";
    const put = { type: "put", key: "k", value: Buffer.from([7, 0]) };
    expect(decodeAhead(Buffer.from(hex, "hex"))).toMatchObject({
      type: "good",
      first: 3,
      records: [{ number: 3, ops: [put, { type: "del", key: "x" }] }],
    });
  });

  // Where only the last byte of a record was missing, that read as a flipped bit, and the store did not open.
  it("that lacks no more than the last byte of a record is a shorter one, whatever stands behind", () => {
    for (let byte = 0; byte < 256; byte++) {
      const ops = [{ type: "put", key: "k", value: Buffer.from([byte]) } as const];
      const whole = Buffer.concat([encodeAheadHeader(1), encodeAheadRecord(1, ops)]);
      const torn = Buffer.concat([whole.subarray(0, -1), Buffer.alloc(20)]);
      expect(decodeAhead(torn)).toMatchObject({ type: "good", records: [] });
    }
  });

  it("has room for what comes next when it is on disk, which a crash leaves behind and nobody misses", async () => {
    const folder = await temporaryFolder();
    const store = open(folder, { durability: "disk" });
    await append(store, 1);
    const [name = ""] = await aheadFiles(folder);
    const sizeNow = async (): Promise<number> => (await stat(join(folder, name))).size;
    const size = await sizeNow();
    for (let n = 2; n <= 4; n++) await append(store, n);
    expect(await sizeNow()).toBe(size);
    const lines: unknown[] = [];
    const logger = { ...silentLogger, warn: (...line: unknown[]) => void lines.push(line) };
    expect(await idsOf(open(await copied(folder), { logger }))).toEqual(upTo(4));
    expect(lines).toEqual([]);
    // What outgrows it makes new room.
    const text = "x".repeat(5_000);
    for (let n = 5; n <= 60; n++) await append(store, n, `c-${n}`, text);
    expect(await sizeNow()).toBeGreaterThan(size);
    expect(await idsOf(open(await copied(folder)))).toEqual(upTo(60));
  });

  it("that ends in zeros, as after a loss of power, is a shorter one", () => {
    const ops = [{ type: "put", key: "k", value: Buffer.alloc(10_000, 7) } as const];
    const whole = Buffer.concat([encodeAheadHeader(1), encodeAheadRecord(1, ops), encodeAheadRecord(2, ops)]);
    for (const page of [3, 4]) {
      const bytes = Buffer.from(whole).fill(0, page * 4096);
      expect(decodeAhead(bytes)).toMatchObject({ type: "good", records: [{ number: 1 }] });
    }
  });

  it("that ends in a few zeros on a page of their own is a shorter one; where they were meant, a flipped bit is damage", () => {
    const [page, frame, key] = [4_096, 14, "k"];
    for (const zeros of [1, 2, 17, 63, 64, 500]) {
      const length = 2 * page + zeros - encodeAheadHeader(1).length - frame - 9 - key.length - 1;
      const recordOf = (value: Buffer): Buffer => encodeAheadRecord(1, [{ type: "put", key, value }]);
      const file = (value: Buffer): Buffer => Buffer.concat([encodeAheadHeader(1), recordOf(value)]);
      const torn = file(Buffer.alloc(length, 7)).fill(0, 2 * page);
      expect(torn.length).toBe(2 * page + zeros);
      expect(decodeAhead(torn)).toMatchObject({ type: "good", records: [] });
      const meant = file(Buffer.alloc(length, 7).fill(0, length - zeros));
      expect(decodeAhead(meant)).toMatchObject({ type: "good", records: [{ number: 1 }] });
      for (const byte of [16, 17, 21, 27, 33, 5_000, 2 * page, meant.length - 1]) {
        const damaged = Buffer.from(meant);
        damaged[byte]! ^= 0x10;
        expect(decodeAhead(damaged).type).toBe("damaged");
        // Also with a record behind it that never came to be.
        expect(decodeAhead(Buffer.concat([damaged, Buffer.alloc(page)])).type).toBe("damaged");
      }
    }
  });

  it("that is damaged stops the store from opening, and stays", async () => {
    const folder = await temporaryFolder();
    const store = open(folder);
    for (let n = 1; n <= 3; n++) await append(store, n);
    const copy = await copied(folder);
    const [name = ""] = await aheadFiles(copy);
    const bytes = await readFile(join(copy, name));
    bytes[40]! ^= 4;
    await writeFile(join(copy, name), bytes);
    for (let i = 0; i < 2; i++)
      await expect(open(copy).open()).rejects.toMatchObject({
        code: "ORCH_STORE_CORRUPT",
        message: expect.stringContaining(name),
        details: { offset: 16 },
      });
    expect(await readFile(join(copy, name))).toEqual(bytes);
  });

  it("that follows a missing one is refused", async () => {
    const folder = await temporaryFolder();
    const store = open(folder);
    await store.open();
    const copy = await copied(folder);
    const file = Buffer.concat([encodeAheadHeader(5), encodeAheadRecord(5, [{ type: "del", key: "x" }])]);
    await writeFile(join(copy, "ahead-000000000005.wal"), file);
    await expect(open(copy).open()).rejects.toMatchObject({
      code: "ORCH_STORE_CORRUPT",
      message: expect.stringContaining("expected record 1, found 5"),
    });
  });

  it("is played again when playing it was interrupted", async () => {
    const folder = await temporaryFolder();
    const faults: Faults = {};
    const store = open(folder, faulty(faults));
    let release = (): void => undefined;
    await append(store, 1);
    faults.hangs = new Promise((resolve) => (release = resolve));
    // More than the database is handed at a time.
    for (let n = 2; n <= 60; n++) await append(store, n, undefined, "y".repeat(7_000));
    const copy = await copied(folder);
    release();
    for (const writes of [0, 1]) {
      let left = writes;
      const dying = open(copy, {
        intercept: (database) => ({
          ...faultless(database),
          write: (ops, sync) => (left-- > 0 ? database.write(ops, sync) : Promise.reject(new Error("killed"))),
        }),
      });
      await expect(dying.open()).rejects.toMatchObject({ code: "ORCH_STORE_FAILED" });
    }
    const again = open(copy);
    expect(await idsOf(again)).toEqual(upTo(60));
    expect((await again.verify()).ok).toBe(true);
  });
});

describe("a write-ahead file that cannot be written", () => {
  const kinds: [string, Faults][] = [
    ["fails", {}],
    ["is short, and the next fails", { short: true }],
    ["fails and cannot be cut back", { truncate: true }],
    ["is short, the next fails, and it cannot be cut back", { short: true, truncate: true }],
  ];
  it.each(kinds)("fails the append alone when the write %s", async (_, kind) => {
    for (const takes of [0, 5, 14, 40, 1_000_000]) {
      if (kind.short && takes === 1_000_000) continue;
      const faults: Faults = { ...kind };
      const folder = await temporaryFolder();
      const store = open(folder, faulty(faults));
      for (let n = 1; n <= 2; n++) await append(store, n);
      faults.takes = takes;
      await expect(append(store, 3, "lost")).rejects.toMatchObject({ code: "ORCH_STORE_FAILED" });
      await append(store, 3);
      await append(store, 4);
      const copy = await copied(folder);
      expect(await idsOf(store)).toEqual(upTo(4));
      expect(await idsOf(open(copy))).toEqual(upTo(4));
    }
  });
});

describe("a disk that does not take a write-ahead file", () => {
  it.each([[{}], [{ truncate: true }]])("fails the append alone", async (kind: Faults) => {
    const faults: Faults = { ...kind };
    const folder = await temporaryFolder();
    const store = open(folder, { ...faulty(faults), durability: "disk" });
    for (let n = 1; n <= 2; n++) await append(store, n);
    faults.sync = true;
    await expect(append(store, 3, "lost")).rejects.toMatchObject({ code: "ORCH_STORE_FAILED" });
    faults.sync = false;
    await append(store, 3);
    await append(store, 4);
    const copy = await copied(folder);
    expect(await idsOf(store)).toEqual(upTo(4));
    expect(await idsOf(open(copy))).toEqual(upTo(4));
  });
});

describe("a database that refuses what was written ahead", () => {
  it("fails reads and appends until it takes it, and nothing acknowledged is lost", async () => {
    const faults: Faults = {};
    const folder = await temporaryFolder();
    const store = open(folder, faulty(faults));
    await append(store, 1);
    faults.database = true;
    await append(store, 2);
    const failure = { code: "ORCH_STORE_FAILED", details: { reason: "ENOSPC" } };
    await expect(idsOf(store)).rejects.toMatchObject(failure);
    await expect(append(store, 3)).rejects.toMatchObject(failure);
    await expect(store.last("s1")).rejects.toMatchObject(failure);
    expect(await idsOf(open(await copied(folder)))).toEqual(upTo(2));
    faults.database = false;
    await append(store, 3);
    expect(await idsOf(store)).toEqual(upTo(3));
    faults.database = true;
    await append(store, 4);
    await store.close();
    expect(await aheadFiles(folder)).toHaveLength(1);
    expect(await idsOf(open(folder))).toEqual(upTo(4));
  });
});

describe("stores of both durabilities on one folder", () => {
  it("keep the order of what they write, also past a crash", async () => {
    const folder = await temporaryFolder();
    const [fast, safe] = [open(folder), open(folder, { durability: "disk" })];
    for (let n = 1; n <= 40; n++) {
      await append(n % 3 === 0 ? safe : fast, n);
      // What stands in the file is older than what went past it, and must not be played over it.
      if (n % 5 === 0 || n % 3 === 0) {
        const again = new LevelStorage(await copied(folder), { durability: "process" });
        expect(await idsOf(again)).toEqual(upTo(n));
        expect((await again.verify()).ok).toBe(true);
        await again.close();
      }
    }
    expect(await idsOf(safe)).toEqual(upTo(40));
    await safe.deleteSession("s1");
    await append(fast, 1);
    expect(await idsOf(open(await copied(folder)))).toEqual(upTo(1));
  });
});

function faultless(database: KeyValue): KeyValue {
  return faulty({}).intercept?.(database) ?? database;
}
