import * as vitest from "vitest";
import { describe, expect, it, onTestFinished } from "vitest";
import { CopiedStore } from "../../src/state/copied-store.ts";
import { LevelStorage } from "../../src/state/level-store.ts";
import { memoryStorage } from "../../src/state/memory-store.ts";
import type { Commit, SessionStore } from "../../src/state/ports.ts";
import { commitOf, entryOf, snapshotOf } from "../../src/testing/session-samples.ts";
import { sessionStoreContract } from "../../src/testing/session-store-contract.ts";
import { temporaryFolder } from "./temporary-folder.ts";

sessionStoreContract("CopiedStore", async () => new CopiedStore(memoryStorage(), memoryStorage()), vitest);

/** A store that says which commits were read from it. */
function watched(store: SessionStore): { readonly store: SessionStore; readonly read: number[] } {
  const read: number[] = [];
  const reading = async function* (sessionId: string, from?: number): AsyncIterable<Commit> {
    for await (const commit of store.read(sessionId, from)) {
      read.push(commit.n);
      yield commit;
    }
  };
  return { store: new Proxy(store, { get: (of, key) => (key === "read" ? reading : boundTo(of, key)) }), read };
}

function boundTo(store: SessionStore, key: string | symbol): unknown {
  const value: unknown = Reflect.get(store, key);
  return typeof value === "function" ? (value as () => unknown).bind(store) : value;
}

async function fill(store: SessionStore, from: number, to: number, more: Partial<Commit> = {}): Promise<void> {
  for (let n = from; n <= to; n++)
    await store.append({ sessionId: "s1", expected: n - 1, commit: commitOf(n, more), entry: entryOf("s1") });
}

async function idsOf(store: SessionStore, from?: number): Promise<string[]> {
  const ids: string[] = [];
  for await (const commit of store.read("s1", from)) ids.push(commit.id);
  return ids;
}
const ids = (from: number, to: number): string[] => Array.from({ length: to - from + 1 }, (_, i) => `c-${from + i}`);

async function copyIn(folder: string): Promise<LevelStorage> {
  const copy = new LevelStorage(folder, { durability: "process" });
  onTestFinished(() => copy.close());
  return copy;
}

describe("a local copy of logs", () => {
  it("spares the truth all but the last commit, in another process too", async () => {
    const folder = await temporaryFolder();
    const truth = memoryStorage();
    const first = new CopiedStore(truth, await copyIn(folder));
    await fill(first, 1, 20);
    expect(await idsOf(first)).toEqual(ids(1, 20));
    const { store, read } = watched(truth);
    const again = new CopiedStore(store, await copyIn(folder));
    expect(await idsOf(again)).toEqual(ids(1, 20));
    expect(await idsOf(again, 15)).toEqual(ids(15, 20));
    expect(read).toEqual([20, 20]);
  });

  it("is completed by what others wrote when the log is read", async () => {
    const truth = memoryStorage();
    const { store, read } = watched(truth);
    const copied = new CopiedStore(store, await copyIn(await temporaryFolder()));
    await fill(copied, 1, 5);
    await fill(truth, 6, 9);
    expect(await idsOf(copied)).toEqual(ids(1, 9));
    expect(await idsOf(copied)).toEqual(ids(1, 9));
    expect(read).toEqual([5, 6, 7, 8, 9, 9]);
  });

  it("is made when a log is read that others wrote", async () => {
    const truth = memoryStorage();
    const { store, read } = watched(truth);
    const copied = new CopiedStore(store, await copyIn(await temporaryFolder()));
    await fill(truth, 1, 6);
    for (const n of [2, 4]) await truth.saveSnapshot("s1", snapshotOf(n));
    await truth.compact("s1", 5);
    expect(await idsOf(copied)).toEqual(ids(3, 6));
    expect(await idsOf(copied)).toEqual(ids(3, 6));
    expect(read).toEqual([3, 4, 5, 6, 6]);
  });

  it("is dropped when it holds another history", async () => {
    const truth = memoryStorage();
    const copy = await copyIn(await temporaryFolder());
    await fill(copy, 1, 4, { host: "elsewhere" });
    const copied = new CopiedStore(truth, copy);
    await fill(truth, 1, 6);
    expect(await idsOf(copied)).toEqual(ids(1, 6));
    const hosts: string[] = [];
    for await (const { host } of copied.read("s1")) hosts.push(host);
    expect(new Set(hosts)).toEqual(new Set(["host-1"]));
  });

  it("is dropped with its session, and when it says more than the truth", async () => {
    const truth = memoryStorage();
    const copy = await copyIn(await temporaryFolder());
    const copied = new CopiedStore(truth, copy);
    await fill(copied, 1, 4);
    await idsOf(copied);
    await truth.deleteSession("s1");
    expect(await idsOf(copied)).toEqual([]);
    expect(await copy.last("s1")).toBe(null);
    await fill(copied, 1, 2);
    expect(await copied.deleteSession("s1")).toBe(true);
    expect(await copy.last("s1")).toBe(null);
  });

  it("costs nothing but time when it cannot be read or written", async () => {
    const truth = memoryStorage();
    const copy = await copyIn(await temporaryFolder());
    const copied = new CopiedStore(truth, copy);
    await fill(copied, 1, 3);
    await copy.close();
    await fill(copied, 4, 5);
    expect(await idsOf(copied)).toEqual(ids(1, 5));
    expect(await copied.last("s1")).toMatchObject({ n: 5 });
  });
});
