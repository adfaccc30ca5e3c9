import { describe, expect, it, onTestFinished } from "vitest";
import { encodeValue } from "../../src/base/codec.ts";
import { hashBytes } from "../../src/base/crc.ts";
import { encodeRecord } from "../../src/base/record.ts";
import { LevelStorage } from "../../src/state/level-store.ts";
import { memoryStorage } from "../../src/state/memory-store.ts";
import type { SessionStore } from "../../src/state/ports.ts";
import { exportSession, importSession } from "../../src/state/transfer.ts";
import { collect, fillRepresentative } from "./representative-session.ts";
import { temporaryFolder } from "./temporary-folder.ts";

async function levelStore(): Promise<LevelStorage> {
  const store = new LevelStorage(await temporaryFolder(), { durability: "process" });
  onTestFinished(() => store.close());
  return store;
}

async function everything(store: SessionStore, sessionId: string): Promise<unknown> {
  const { blobs } = await store.stats();
  return {
    commits: await collect(store.read(sessionId)),
    entry: await store.getSession(sessionId),
    snapshot: await store.latestSnapshot(sessionId),
    checkpoints: await store.listCheckpoints(sessionId),
    blobs,
  };
}

describe("an exported session", () => {
  it.each([false, true])("is the same after a round through another store (compression %s)", async (compression) => {
    const source = await levelStore();
    const { sessionId, blob } = await fillRepresentative(source);
    const target = memoryStorage();
    expect(await importSession(target, await exportSession(source, sessionId, { compression }))).toBe(sessionId);
    expect(await everything(target, sessionId)).toEqual(await everything(source, sessionId));
    expect(hashBytes(await target.getBlob(blob))).toBe(blob);

    const back = await levelStore();
    await importSession(back, await exportSession(target, sessionId));
    expect(await everything(back, sessionId)).toEqual(await everything(source, sessionId));
    expect((await back.verify()).ok).toBe(true);
  });

  it("goes beside its original under another id", async () => {
    const store = await levelStore();
    const { sessionId } = await fillRepresentative(store);
    const bytes = await exportSession(store, sessionId);
    await expect(importSession(store, bytes)).rejects.toMatchObject({
      code: "ORCH_SESSION_STATE",
      message: expect.stringContaining("another id"),
    });
    expect(await importSession(store, bytes, { as: "copy" })).toBe("copy");
    expect(await collect(store.read("copy"))).toEqual(await collect(store.read(sessionId)));
    expect((await store.getSession("copy"))?.sessionId).toBe("copy");
    expect((await store.listCheckpoints(sessionId)).length).toBe(1);
    const [checkpoint] = await store.listCheckpoints("copy");
    expect(await store.getCheckpoint(checkpoint?.checkpointId ?? "")).toMatchObject({ sessionId: "copy" });
    await store.deleteSession(sessionId);
    expect((await store.verify()).ok).toBe(true);
  });

  it("may have been compacted", async () => {
    const source = await levelStore();
    const { sessionId, last } = await fillRepresentative(source);
    for (const n of [last - 2, last - 1])
      await source.saveSnapshot(sessionId, { n, reducer: 1, topologyHash: null, atMs: 1, state: { n } });
    await source.compact(sessionId, last);
    for (const target of [memoryStorage(), await levelStore()]) {
      await importSession(target, await exportSession(source, sessionId));
      expect((await collect(target.read(sessionId))).map((commit) => commit.n)).toEqual([last - 1, last]);
      expect(await target.latestSnapshot(sessionId, last - 2)).toMatchObject({ n: last - 2 });
      expect((await target.verify()).ok).toBe(true);
    }
  });

  it("is refused when any of it was changed", async () => {
    const source = memoryStorage();
    const { sessionId } = await fillRepresentative(source);
    const bytes = await exportSession(source, sessionId);
    for (let i = 0; i < 40; i++) {
      const changed = Uint8Array.from(bytes);
      changed[Math.floor((bytes.length * i) / 40)]! ^= 4;
      const target = memoryStorage();
      await expect(importSession(target, changed)).rejects.toMatchObject({ code: "ORCH_STORE_CORRUPT" });
      expect((await target.stats()).sessions).toBe(0);
    }
    await expect(importSession(memoryStorage(), bytes.subarray(0, bytes.length - 9))).rejects.toMatchObject({
      code: "ORCH_STORE_CORRUPT",
    });
  });

  const forge = (content: unknown, format = 1): Uint8Array =>
    encodeRecord("export", encodeValue({ format, deflated: false, body: encodeValue(content) }), "orchestra/export");
  const entry = {
    sessionId: "s",
    status: "running",
    runId: null,
    topologyHash: null,
    createdAtMs: 1,
    updatedAtMs: 1,
    host: "h",
    n: 1,
  };
  const commit = { v: 1, n: 1, epoch: 1, id: "a", host: "h", atMs: 1, facts: [] };
  const parts = { entry, commits: [commit], snapshots: [], checkpoints: [], blobs: new Map() };

  it("by a newer program is refused as such", async () => {
    for (const [content, format, message] of [
      [parts, 3, /format 3.*up to 2/],
      [{ ...parts, commits: [{ ...commit, v: 2 }] }, 1, /format 2.*up to 1/],
      [{ ...parts, commits: [{ ...commit, facts: [{ type: "step.exploded" }] }] }, 1, /"step.exploded"/],
      [{ ...parts, nested: [{ ...parts, commits: [{ ...commit, facts: [{ type: "later" }] }] }] }, 2, /"later"/],
    ] as const) {
      await expect(importSession(memoryStorage(), forge(content, format))).rejects.toMatchObject({
        code: "ORCH_STORE_VERSION",
        message: expect.stringMatching(message),
      });
    }
  });

  it("with a right checksum is still read with suspicion", async () => {
    await importSession(memoryStorage(), forge(parts));
    for (const [content, message] of [
      [{ ...parts, commits: [] }, /no commit/],
      [{ ...parts, commits: [commit, { ...commit, n: 3 }] }, /commit 2 is missing/],
      [{ ...parts, commits: [{ ...commit, facts: [{ type: "timer.fired", timerId: 5 }] }] }, /timerId/],
      [{ ...parts, blobs: new Map([["0".repeat(64), new Uint8Array(3)]]) }, /hash/],
      [{ ...parts, extra: 1 }, /extra/],
      [5, /expected object/],
    ] as const) {
      await expect(importSession(memoryStorage(), forge(content))).rejects.toMatchObject({
        code: "ORCH_STORE_CORRUPT",
        message: expect.stringMatching(message),
      });
    }
    await expect(
      importSession(memoryStorage(), forge({ ...parts, entry: { ...entry, sessionId: "../x" } })),
    ).rejects.toMatchObject({ code: "ORCH_BAD_OPTION" });
  });
});
