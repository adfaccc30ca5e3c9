// Large values that go into the database before the rest of their batch goes into the write-ahead file: what readers,
// a crash and a failure in between come to.

import { cp } from "node:fs/promises";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { encodeValue } from "../../src/base/codec.ts";
import { hashBytes } from "../../src/base/crc.ts";
import type { KeyValue } from "../../src/state/key-value.ts";
import { verifyFolder } from "../../src/state/folder-verify.ts";
import { LevelStorage, type LevelStorageOptions } from "../../src/state/level-store.ts";
import type { Commit, SessionStore, StoreStats } from "../../src/state/ports.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const LARGE = 9_000;
const SESSION = "s1";

function commitOf(n: number, id = `c-${n}`, bytes = LARGE): Commit {
  return { v: 1, n, epoch: 1, id, host: "h", atMs: n, facts: [{ type: "timer.fired", timerId: "x".repeat(bytes) }] };
}

function open(folder: string, options: LevelStorageOptions = {}): LevelStorage {
  const store = new LevelStorage(folder, { durability: "process", ...options });
  onTestFinished(() => store.close());
  return store;
}

async function append(store: SessionStore, n: number, id?: string, bytes?: number): Promise<void> {
  expect(await store.append({ sessionId: SESSION, expected: n - 1, commit: commitOf(n, id, bytes) })).toEqual({
    ok: true,
  });
}

async function idsOf(store: LevelStorage): Promise<string[]> {
  const ids: string[] = [];
  for await (const commit of store.read(SESSION)) ids.push(commit.id);
  return ids;
}

/** Calls back once the database has a large value, before the rest of its batch is anywhere. */
function between(then: () => Promise<void>): LevelStorageOptions {
  return {
    intercept: (database): KeyValue =>
      new Proxy(database, {
        get(target, name: keyof KeyValue) {
          if (name !== "write") return target[name]?.bind(target);
          return async (...[ops, sync]: Parameters<KeyValue["write"]>) => {
            await target.write(ops, sync);
            if (ops.some((op) => op.type === "put" && op.value.byteLength > LARGE)) await then();
          };
        },
      }),
  };
}

it("is no commit to readers, nor after a crash, before its batch counts", async () => {
  const folder = await temporaryFolder();
  const seen: { stats: StoreStats; ok: boolean; ids: string[] }[] = [];
  const copies: string[] = [];
  const store: LevelStorage = open(
    folder,
    between(async () => {
      if (seen.length === 0)
        seen.push({ stats: await store.stats(), ok: (await store.verify()).ok, ids: await idsOf(store) });
      const copy = join(await temporaryFolder(), "copy");
      await cp(folder, copy, { recursive: true });
      copies.push(copy);
    }),
  );
  await append(store, 1, undefined, 10);
  await append(store, 2);
  await append(store, 3);
  expect(seen).toMatchObject([{ ok: true, ids: ["c-1"], stats: { commits: 1 } }]);
  for (const [i, copy] of copies.entries()) {
    const offline = await verifyFolder(copy);
    expect(offline).toMatchObject({ ok: true, commits: i + 1 });
    const killed = open(copy);
    expect((await killed.last(SESSION))?.n).toBe(i + 1);
    expect(await killed.verify()).toMatchObject({ ok: true, commits: i + 1 });
    expect((await killed.stats()).commits).toBe(i + 1);
    await append(killed, i + 2, "another");
    await append(killed, i + 3, "and-another", 10);
    await killed.close();
    expect((await idsOf(open(copy))).slice(i)).toEqual([`c-${i + 1}`, "another", "and-another"]);
  }
});

it("is taken back where the rest of its batch could not be written", async () => {
  const folder = await temporaryFolder();
  let writes = 0;
  let failing: number | undefined;
  const store = open(folder, {
    interceptFile: (file) => ({
      write: (bytes, position) => {
        if (failing !== undefined && ++writes === failing)
          throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
        return file.write(bytes, position);
      },
      sync: () => file.sync(),
      truncate: (length) => file.truncate(length),
      close: () => file.close(),
    }),
  });
  await append(store, 1, undefined, 10);
  for (const nth of [1, 2]) {
    [writes, failing] = [0, nth];
    await expect(append(store, 2, "failed")).rejects.toMatchObject({ code: "ORCH_STORE_FAILED" });
    failing = undefined;
    expect(await idsOf(store)).toEqual(["c-1"]);
    expect(await store.verify()).toMatchObject({ ok: true, commits: 1 });
  }
  await append(store, 2, "small", 10);
  await append(store, 3, "large");
  expect(await idsOf(store)).toEqual(["c-1", "small", "large"]);
  await store.close();
  const again = open(folder);
  expect(await idsOf(again)).toEqual(["c-1", "small", "large"]);
  expect(await again.verify()).toMatchObject({ ok: true, commits: 3 });
});

// The failed batch stood in the file all the same, whose end could not be cut off, and its value was gone from the database.
it("is whole or not there where a crash comes while a failed batch is taken back", async () => {
  const folder = await temporaryFolder();
  const copies: string[] = [];
  let failing = 0;
  const store = open(folder, {
    intercept: (database): KeyValue =>
      new Proxy(database, {
        get(target, name: keyof KeyValue) {
          if (name !== "write") return target[name]?.bind(target);
          return async (...[ops, sync]: Parameters<KeyValue["write"]>) => {
            await target.write(ops, sync);
            if (!ops.some(({ type, key }) => type === "del" && key.startsWith("c/"))) return;
            const copy = join(await temporaryFolder(), "copy");
            await cp(folder, copy, { recursive: true });
            copies.push(copy);
          };
        },
      }),
    interceptFile: (file) => ({
      write: (bytes, position) => {
        const written = file.write(bytes, position);
        if (failing > 0 && --failing === 0) throw Object.assign(new Error("input/output error"), { code: "EIO" });
        return written;
      },
      sync: () => file.sync(),
      truncate: (length) => {
        if (failing === 0 && copies.length === 0) throw Object.assign(new Error("input/output error"), { code: "EIO" });
        file.truncate(length);
      },
      close: () => file.close(),
    }),
  });
  await append(store, 1, undefined, 10);
  failing = 2;
  await expect(append(store, 2, "failed")).rejects.toMatchObject({ code: "ORCH_STORE_FAILED" });
  await append(store, 2, "small", 10);
  expect(copies).toHaveLength(1);
  for (const copy of copies) {
    const killed = open(copy);
    expect(await killed.verify()).toMatchObject({ ok: true });
    expect(await idsOf(killed)).toEqual(["c-1"]);
  }
  expect(await idsOf(store)).toEqual(["c-1", "small"]);
});

it("comes after what was written under its key before", async () => {
  const folder = await temporaryFolder();
  const store = open(folder);
  const bytes = encodeValue("v".repeat(20_000));
  const ref = hashBytes(bytes);
  const blobs = new Map([[ref, bytes]]);
  const context = { a: { ref, bytes: bytes.length } };
  for (const [sessionId, text] of [
    ["first", "gone with its session"],
    ["second", "still used"],
  ] as const) {
    const commit: Commit = { ...commitOf(1, text, 10), facts: [{ type: "context.added", context }] };
    expect(await store.append({ sessionId, expected: 0, commit, blobs, idIsNew: true })).toEqual({ ok: true });
    if (sessionId === "first") await store.deleteSession("first");
  }
  const copy = join(await temporaryFolder(), "copy");
  await cp(folder, copy, { recursive: true });
  expect(await open(copy).getBlob(ref)).toEqual(bytes);
  await store.close();
  expect(await open(folder).getBlob(ref)).toEqual(bytes);
});

it("leaves snapshots that are replaced out of the database, and the newest readable", async () => {
  const folder = await temporaryFolder();
  const store = open(folder);
  for (let n = 1; n <= 60; n++) {
    await append(store, n);
    if (n % 10 === 0)
      await store.saveSnapshot(SESSION, { n, reducer: 1, topologyHash: null, atMs: n, state: "s".repeat(20_000) });
  }
  const copy = join(await temporaryFolder(), "copy");
  await cp(folder, copy, { recursive: true });
  for (const one of [store, open(copy)]) {
    expect((await one.latestSnapshot(SESSION))?.n).toBe(60);
    expect(await one.stats()).toMatchObject({ commits: 60, snapshots: 2 });
    expect(await one.verify()).toMatchObject({ ok: true });
  }
});
