import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, readdir, readFile, rename, rm, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, expect, it, onTestFinished } from "vitest";
import { encodeValue } from "../../src/base/codec.ts";
import { hashBytes } from "../../src/base/crc.ts";
import { isOrchestraError } from "../../src/base/errors.ts";
import { encodeRecord } from "../../src/base/record.ts";
import type { KeyValue } from "../../src/state/key-value.ts";
import { openLevelFolder } from "../../src/state/level-folder.ts";
import { FileStorageBackend, LevelStorage, type LevelStorageOptions } from "../../src/state/level-store.ts";
import type { Commit, SessionEntry } from "../../src/state/ports.ts";
import { temporaryFolder } from "./temporary-folder.ts";
import { childProgram } from "../support/child-program.ts";

const CHILD = await childProgram(new URL("./append-until-killed.ts", import.meta.url));

function commitOf(n: number): Commit {
  return {
    v: 1,
    n,
    epoch: 1,
    id: `c-${n}`,
    host: "host-1",
    atMs: 1000 + n,
    facts: [{ type: "timer.fired", timerId: `timer number ${n}` }],
  };
}
const entry: SessionEntry = {
  sessionId: "s1",
  status: "running",
  runId: "r1",
  topologyHash: "t",
  createdAtMs: 1,
  updatedAtMs: 1,
  host: "host-1",
  n: 1,
};

function openStore(folder: string, options: LevelStorageOptions = {}): LevelStorage {
  const store = new LevelStorage(folder, { durability: "process", ...options });
  onTestFinished(() => store.close());
  return store;
}

async function fill(store: LevelStorage, count: number, from = 1): Promise<void> {
  for (let n = from; n < from + count; n++)
    await store.append({ sessionId: "s1", expected: n - 1, commit: commitOf(n), entry });
}

async function read(store: LevelStorage, sessionId = "s1"): Promise<Commit[]> {
  const commits: Commit[] = [];
  for await (const commit of store.read(sessionId)) commits.push(commit);
  return commits;
}

/** A folder with `count` commits whose bytes are in the log, or in tables. */
async function filledFolder(count: number, where: "log" | "table"): Promise<string> {
  const folder = await temporaryFolder();
  const store = new LevelStorage(folder, { durability: "process" });
  await fill(store, count);
  await store.close();
  if (where === "log") return folder;
  // Opening moves the log into a table.
  const again = new LevelStorage(folder, { durability: "process" });
  await again.open();
  await again.close();
  return folder;
}

async function largest(folder: string, ending: string): Promise<string> {
  const files = (await readdir(folder)).filter((name) => name.endsWith(ending)).map((name) => join(folder, name));
  const sizes = await Promise.all(files.map(async (file) => ({ file, size: (await stat(file)).size })));
  return sizes.sort((a, b) => b.size - a.size)[0]?.file ?? "";
}

interface Child {
  readonly process: ChildProcess;
  readonly lines: AsyncIterator<string>;
}

async function startChild(folder: string, mode: "disk" | "process" | "hold"): Promise<Child> {
  const child = spawn(process.execPath, [CHILD, folder, mode], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  expect((await lines.next()).value).toBe("open");
  return { process: child, lines };
}

describe("a history taken out of a store", () => {
  it("is there after the store was closed, up to the commit that was asked for", async () => {
    const store = openStore(await temporaryFolder());
    await fill(store, 300);
    const commits = await store.takeOut("s1", 290);
    await store.close();
    expect(commits?.()).toEqual(Array.from({ length: 290 }, (_, i) => commitOf(i + 1)));
  });

  it("is none where commits are missing or were let go of, values are kept by reference, or it is too long", async () => {
    const store = openStore(await temporaryFolder());
    await fill(store, 20);
    expect(await store.takeOut("s1", 21)).toBeNull();
    expect(await store.takeOut("nobody", 1)).toBeNull();
    for (const n of [5, 10, 15])
      await store.saveSnapshot("s1", { n, reducer: 1, topologyHash: "t", atMs: 1, state: {} });
    await store.compact("s1", 20);
    expect(await store.takeOut("s1", 20)).toBeNull();

    const bytes = encodeValue("kept once");
    const ref = hashBytes(bytes);
    const refers: Commit = {
      ...commitOf(1),
      facts: [{ type: "context.added", context: { a: { ref, bytes: bytes.length } } }],
    };
    await store.append({ sessionId: "s2", expected: 0, commit: refers, blobs: new Map([[ref, bytes]]) });
    expect(await store.takeOut("s2", 1)).toBeNull();

    for (let n = 1; n <= 5; n++) {
      const long: Commit = { ...commitOf(n), facts: [{ type: "timer.fired", timerId: String(n).repeat(1_000_000) }] };
      await store.append({ sessionId: "s3", expected: n - 1, commit: long });
    }
    expect(await store.takeOut("s3", 4)).not.toBeNull();
    expect(await store.takeOut("s3", 5)).toBeNull();
  });
});

describe("LevelStorage after a crash", () => {
  it.each(["disk", "process"] as const)(
    "has every acknowledged commit when the process was killed (%s)",
    async (durability) => {
      const folder = await temporaryFolder();
      const child = await startChild(folder, durability);
      const acknowledged = new Map<string, number>();
      const note = (line: string): void => {
        const [sessionId = "", n] = line.split(" ");
        acknowledged.set(sessionId, Number(n));
      };
      for (let i = 0; i < 300; i++) note((await child.lines.next()).value as string);
      child.process.kill("SIGKILL");
      for (let next = await child.lines.next(); !next.done; next = await child.lines.next()) note(next.value);

      const store = openStore(folder);
      expect(await store.verify()).toMatchObject({ ok: true, sessions: 3 });
      for (const [sessionId, n] of acknowledged) {
        const ids = (await read(store, sessionId)).map((commit) => commit.id);
        expect(ids.length).toBeGreaterThanOrEqual(n);
        expect(ids).toEqual(ids.map((_, i) => `${sessionId}-${i + 1}`));
      }
    },
  );

  it("shows a log of LevelDB that was cut short as what it was, or refuses it", async () => {
    const folder = await filledFolder(60, "log");
    const size = (await stat(await largest(folder, ".log"))).size;
    for (let cut = 0; cut <= 12; cut++) {
      const copy = join(await temporaryFolder(), "copy");
      await cp(folder, copy, { recursive: true });
      const file = await largest(copy, ".log");
      await truncate(file, Math.floor((size * cut) / 12));
      const store = openStore(copy);
      const commits = await read(store).catch((error: unknown) => {
        expect(error).toMatchObject({ code: "ORCH_STORE_CORRUPT" });
        return null;
      });
      // It was closed: with its end gone it says that there is a write-ahead file.
      if (commits !== null) expect(commits.length).toBe(cut === 12 ? 60 : 0);
      if (cut === 12) expect((await store.verify()).ok).toBe(true);
      await store.close();
    }
  });
});

describe("LevelStorage with flipped bits on disk", () => {
  // LevelDB itself hands out changed bytes without a word, or leaves records out.
  it.each([
    ["table", ".ldb"],
    ["log", ".log"],
  ] as const)("never reads a changed %s as good", async (where, ending) => {
    const folder = await filledFolder(200, where);
    const size = (await stat(await largest(folder, ending))).size;
    let detected = 0;
    for (let i = 0; i < 40; i++) {
      const copy = join(await temporaryFolder(), "copy");
      await cp(folder, copy, { recursive: true });
      const file = await largest(copy, ending);
      const bytes = await readFile(file);
      const at = Math.floor((size * (i + 0.5)) / 40);
      bytes[at]! ^= 1 << (i % 8);
      await writeFile(file, bytes);
      const store = new LevelStorage(copy, { durability: "process" });
      try {
        const report = await store.verify();
        const commits = await read(store);
        // What is handed out is what was written, from the first on. A log torn at its end is a shorter one.
        expect(commits).toEqual(Array.from({ length: commits.length }, (_, n) => commitOf(n + 1)));
        if (where === "table" && report.ok) expect(commits.length).toBe(200);
        if (!report.ok) detected++;
      } catch (error) {
        if (!isOrchestraError(error)) throw error;
        expect(["ORCH_STORE_CORRUPT", "ORCH_STORE_FAILED"]).toContain(error.code);
        detected++;
      } finally {
        await store.close();
      }
    }
    if (where === "table") expect(detected).toBeGreaterThan(20);
  });

  it("says how far a damaged log can be trusted", async () => {
    const damaged: { key?: string } = {};
    const store = openStore(await temporaryFolder(), {
      intercept: (database) => changing(database, (key, value) => (key === damaged.key ? flipped(value) : value)),
    });
    await fill(store, 10);
    damaged.key = "c/s1/000000000007";
    expect(await store.verify()).toMatchObject({
      ok: false,
      problems: [{ sessionId: "s1", key: damaged.key, lastGoodN: 6 }],
    });
    await expect(read(store)).rejects.toMatchObject({
      code: "ORCH_STORE_CORRUPT",
      message: expect.stringContaining(damaged.key),
    });
  });

  it("notices a record that stands in the place of another", async () => {
    const folder = await temporaryFolder();
    const store = openStore(folder);
    await fill(store, 5);
    await store.close();
    const database = await openLevelFolder(folder);
    const third = await database.get("c/s1/000000000003");
    await database.write([{ type: "put", key: "c/s1/000000000004", value: third! }], false);
    await database.close();
    await expect(read(openStore(folder))).rejects.toMatchObject({ code: "ORCH_STORE_CORRUPT" });
  });

  it.each([
    ["a commit in the middle", "c/s1/000000000003"],
    ["the last commit", "c/s1/000000000005"],
    ["the head", "h/s1"],
  ])("notices the loss of %s", async (_, key) => {
    const folder = await temporaryFolder();
    const store = openStore(folder);
    await fill(store, 5);
    await store.close();
    const database = await openLevelFolder(folder);
    await database.write([{ type: "del", key }], false);
    await database.close();
    const again = openStore(folder);
    await expect(read(again)).rejects.toMatchObject({ code: "ORCH_STORE_CORRUPT" });
    expect((await again.verify()).ok).toBe(false);
  });

  it("falls back to an older snapshot, and tells the logger", async () => {
    const damaged: { key?: string } = {};
    const warnings: unknown[] = [];
    const logger = {
      debug: () => undefined,
      info: () => undefined,
      warn: (fields: object) => void warnings.push(fields),
      error: () => undefined,
      child: () => logger,
    };
    const store = openStore(await temporaryFolder(), {
      logger,
      intercept: (database) => changing(database, (key, value) => (key === damaged.key ? flipped(value) : value)),
    });
    await fill(store, 6);
    for (const n of [2, 4, 6])
      await store.saveSnapshot("s1", { n, reducer: 1, topologyHash: null, atMs: 1, state: { n } });
    damaged.key = "s/s1/000000000006";
    expect(await store.latestSnapshot("s1")).toMatchObject({ n: 4 });
    expect(warnings).toMatchObject([{ sessionId: "s1", key: damaged.key }]);
    // Compaction must not rest on it either, and 4 alone is not enough.
    await store.compact("s1", 6);
    expect((await read(store)).map((commit) => commit.n)).toEqual([1, 2, 3, 4, 5, 6]);
  });
});

describe("LevelStorage and its folder", () => {
  it("names the process that has the folder open, and opens once that is gone", async () => {
    const folder = await temporaryFolder();
    const child = await startChild(folder, "hold");
    const store = openStore(folder);
    await expect(store.open()).rejects.toMatchObject({
      code: "ORCH_STORE_LOCKED",
      message: expect.stringContaining(`pid ${child.process.pid}`),
      details: { pid: child.process.pid },
    });
    child.process.kill("SIGKILL");
    await once(child.process, "exit");
    await store.open();
    expect(await store.stats()).toMatchObject({ sessions: 0 });
  });

  it("refuses a store written by a newer program", async () => {
    const folder = await temporaryFolder();
    const database = await openLevelFolder(folder);
    await database.write(
      [{ type: "put", key: "!format", value: encodeRecord("format", encodeValue(2), "!format") }],
      false,
    );
    await database.close();
    await expect(openStore(folder).open()).rejects.toMatchObject({
      code: "ORCH_STORE_VERSION",
      message: expect.stringContaining("format 2"),
    });
  });

  it("refuses a database that is none of Orchestra's", async () => {
    const folder = await temporaryFolder();
    const database = await openLevelFolder(folder);
    await database.write(
      [
        { type: "del", key: "!format" },
        { type: "put", key: "users/1", value: new Uint8Array(3) },
      ],
      false,
    );
    await database.close();
    await expect(openStore(folder).open()).rejects.toMatchObject({
      code: "ORCH_STORE_FAILED",
      message: expect.stringContaining("none of Orchestra's"),
    });
  });

  it("creates the folder with its parents, and says where it cannot", async () => {
    const parent = await temporaryFolder();
    await openStore(join(parent, "not", "yet", "there")).open();
    await writeFile(join(parent, "file"), "x");
    await expect(openStore(join(parent, "file", "below")).open()).rejects.toMatchObject({
      code: "ORCH_STORE_FAILED",
      message: expect.stringContaining(join(parent, "file", "below")),
    });
  });

  it("refuses a path that is a file", async () => {
    const file = join(await temporaryFolder(), "file");
    await writeFile(file, "x");
    await expect(openStore(file).open()).rejects.toMatchObject({
      code: "ORCH_STORE_FAILED",
      message: expect.stringContaining("it is a file"),
    });
  });

  it("touches nothing before it is used, and a bad option is refused at once", async () => {
    const folder = join(await temporaryFolder(), "state");
    await openStore(folder).close();
    await expect(stat(folder)).rejects.toMatchObject({ code: "ENOENT" });
    expect(() => new LevelStorage("")).toThrow(expect.objectContaining({ code: "ORCH_BAD_OPTION" }));
    expect(() => new LevelStorage(folder, { durability: "always" as "disk" })).toThrow(/"disk" or "process"/);
  });

  it("is shared by the stores of one process until the last lets go", async () => {
    const folder = await temporaryFolder();
    const [a, b] = [openStore(folder), new FileStorageBackend(join(folder, ".", "..", folder.split("/").at(-1)!))];
    await fill(a, 2);
    expect(await b.last("s1")).toMatchObject({ n: 2 });
    const raced = await Promise.all(
      [a, b].map((store, i) =>
        store.append({ sessionId: "s1", expected: 2, commit: { ...commitOf(3), id: `racer ${i}` } }),
      ),
    );
    expect(raced.filter((result) => result.ok).length).toBe(1);
    await a.close();
    await expect(a.last("s1")).rejects.toMatchObject({ code: "ORCH_CLOSED" });
    expect(await b.last("s1")).toMatchObject({ n: 3 });
    const closing = b.close();
    const c = openStore(folder);
    expect(await c.last("s1")).toMatchObject({ n: 3 });
    await closing;
  });

  it("keeps what was appended while it closes", async () => {
    const folder = await temporaryFolder();
    const store = openStore(folder);
    await store.open();
    const appended = Promise.allSettled(
      Array.from({ length: 50 }, (_, i) => store.append({ sessionId: "s1", expected: i, commit: commitOf(i + 1) })),
    );
    await store.close();
    const accepted = (await appended).filter((one) => one.status === "fulfilled" && one.value.ok).length;
    expect((await read(openStore(folder))).length).toBe(accepted);
  });
});

describe("LevelStorage writing", () => {
  it("shares a batch among all appends that wait", async () => {
    const store = openStore(await temporaryFolder(), { durability: "disk" });
    await Promise.all(
      Array.from({ length: 400 }, (_, i) => store.append({ sessionId: `s${i}`, expected: 0, commit: commitOf(1) })),
    );
    const { commits, batches } = await store.stats();
    expect(commits).toBe(400);
    expect(batches).toBeLessThan(20);
  });

  it("writes at most 400 bytes for a small step, into the file and then the database", async () => {
    let written = 0;
    const counting = (database: KeyValue): KeyValue =>
      passing(database, {
        write: (ops, sync) => {
          for (const op of ops) written += op.key.length + (op.type === "put" ? op.value.byteLength : 0);
          return database.write(ops, sync);
        },
      });
    const store = openStore(await temporaryFolder(), {
      durability: "disk",
      intercept: counting,
      interceptFile: (file) => ({
        write(bytes, position) {
          written += bytes.byteLength;
          return file.write(bytes, position);
        },
        truncate: (length) => file.truncate(length),
        sync: () => file.sync(),
        close: () => file.close(),
      }),
    });
    const sessionId = "ses_01jd2x8c5x7k3m9p2q4r";
    const step = (n: number): Promise<unknown> =>
      store.append({
        sessionId,
        expected: n - 1,
        commit: {
          v: 1,
          n,
          epoch: 1,
          id: "cmt_01jd2x8c5x7k3m9p2q4r",
          host: "hst_01jd2x8c5x7k3m9p2q4r",
          atMs: 1_763_719_000_000,
          inbox: 3,
          facts: [
            {
              type: "step.succeeded",
              stepId: "1.0.12",
              attempt: 1,
              outcome: { kind: "value", value: { v: "a short answer" } },
              held: [2],
              tookMs: 1500,
            },
          ],
        },
        entry: { ...entry, sessionId, n, updatedAtMs: n },
      });
    await step(1);
    written = 0;
    for (let n = 2; n <= 101; n++) await step(n);
    expect((await store.last(sessionId))?.n).toBe(101);
    await store.verify();
    expect(written / 100).toBeLessThanOrEqual(400);
    expect(written / 100).toBeGreaterThan(200);
  });

  it("deflates blobs when asked to, and reads both kinds whatever it is set to", async () => {
    const folder = await temporaryFolder();
    const bytes = encodeValue("a long document, ".repeat(5000));
    const ref = hashBytes(bytes);
    const deflating = openStore(folder, { compression: true });
    await deflating.append({
      sessionId: "s1",
      expected: 0,
      commit: commitOf(1),
      blobs: new Map([[ref, bytes]]),
      entry,
    });
    await deflating.close();
    const database = await openLevelFolder(folder);
    expect((await database.get(`b/${ref}`))?.byteLength).toBeLessThan(bytes.byteLength / 10);
    await database.close();
    const plain = openStore(folder, { compression: false });
    expect(Buffer.from(await plain.getBlob(ref)).equals(bytes)).toBe(true);
  });

  it.each([1, 2, 3, 4, 5])("fails only the append of commit %i when the disk is full, and goes on", async (nth) => {
    const full = Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
    let armed = false;
    const store = openStore(await temporaryFolder(), {
      durability: "disk",
      interceptFile: (file) => ({
        write(bytes, position) {
          if (!armed) return file.write(bytes, position);
          armed = false;
          throw full;
        },
        truncate: (length) => file.truncate(length),
        sync: () => file.sync(),
        close: () => file.close(),
      }),
    });
    for (let n = 1; n <= 5; n++) {
      const one = (): Promise<unknown> =>
        store.append({ sessionId: "s1", expected: n - 1, commit: commitOf(n), entry });
      if (n === nth) {
        armed = true;
        await expect(one()).rejects.toMatchObject({
          code: "ORCH_STORE_FAILED",
          message: expect.stringContaining("no space left"),
          details: { reason: "ENOSPC" },
        });
        expect((await store.last("s1"))?.n ?? 0).toBe(n - 1);
      }
      expect(await one()).toEqual({ ok: true });
    }
    expect((await read(store)).length).toBe(5);
    expect((await store.verify()).ok).toBe(true);
  });

  it("fails all appends that shared a failed batch, and none of them is there", async () => {
    let fail = true;
    const store = openStore(await temporaryFolder(), {
      durability: "disk",
      interceptFile: (file) => ({
        write: (bytes, position) => file.write(bytes, position),
        truncate: (length) => file.truncate(length),
        sync: () => (fail ? Promise.reject(new Error("EIO")) : file.sync()),
        close: () => file.close(),
      }),
    });
    const all = await Promise.allSettled(
      [1, 2, 3].map((n) => store.append({ sessionId: "s1", expected: n - 1, commit: commitOf(n), entry })),
    );
    expect(all.every((one) => one.status === "rejected" && isOrchestraError(one.reason, "ORCH_STORE_FAILED"))).toBe(
      true,
    );
    fail = false;
    expect(await store.last("s1")).toBe(null);
    expect(await store.append({ sessionId: "s1", expected: 0, commit: commitOf(1), entry })).toEqual({ ok: true });
  });
});

// Root cause: after a write failed on a full disk, reopening failed too, and nothing ever tried again.
describe("a folder that could not be opened again", () => {
  it("is opened by the next read or write that finds it there, and never made anew", async () => {
    const folder = join(await temporaryFolder(), "state");
    await mkdir(folder);
    const database = await openLevelFolder(folder);
    await database.write([{ type: "put", key: "x", value: new Uint8Array([1]) }], false);
    await rename(folder, `${folder}.away`);
    await expect(database.reopen()).rejects.toMatchObject({ code: "ORCH_STORE_FAILED" });
    await expect(database.get("x")).rejects.toMatchObject({ code: "ORCH_STORE_FAILED" });
    await rm(folder, { recursive: true, force: true });
    await rename(`${folder}.away`, folder);
    expect(Uint8Array.from((await database.get("x")) ?? [])).toEqual(new Uint8Array([1]));
    await database.close();
  });
});

function passing(database: KeyValue, instead: Partial<KeyValue>): KeyValue {
  return {
    get: (key) => database.get(key),
    getMany: (all) => database.getMany(all),
    range: (from, to, options) => database.range(from, to, options),
    keys: (from, to) => database.keys(from, to),
    write: (ops, sync) => database.write(ops, sync),
    reopen: () => database.reopen(),
    size: () => database.size(),
    close: () => database.close(),
    ...instead,
  };
}

function changing(database: KeyValue, change: (key: string, value: Uint8Array) => Uint8Array): KeyValue {
  return passing(database, {
    get: async (key) => {
      const value = await database.get(key);
      return value && change(key, value);
    },
    range: async (from, to, options) =>
      (await database.range(from, to, options)).map(([key, value]) => [key, change(key, value)] as const),
  });
}

function flipped(value: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(value);
  copy[copy.length - 3]! ^= 0x10;
  return copy;
}
