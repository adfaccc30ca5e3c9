import { cp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { hashBytes } from "../../src/base/crc.ts";
import { LevelStorage } from "../../src/state/level-store.ts";
import { memoryStorage } from "../../src/state/memory-store.ts";
import type { SessionStore } from "../../src/state/ports.ts";
import { importSession } from "../../src/state/transfer.ts";
import { collect, fillRepresentative } from "./representative-session.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const FIXTURES = fileURLToPath(new URL("../fixtures/store/", import.meta.url));

async function contents(store: SessionStore, sessionId: string, blob: string): Promise<unknown> {
  return {
    commits: await collect(store.read(sessionId)),
    entry: await store.getSession(sessionId),
    snapshots: [await store.latestSnapshot(sessionId), await store.latestSnapshot(sessionId, 7)],
    checkpoints: await store.listCheckpoints(sessionId),
    blob: hashBytes(await store.getBlob(blob)),
  };
}

// Each released format is read back for ever. What they hold is in representative-session.ts, which only grows.
describe.each(["v1", "v2"])("a store written in format %s", (version) => {
  it("is read back from its folder", async () => {
    const folder = join(await temporaryFolder(), "store");
    await cp(join(FIXTURES, version, "folder"), folder, { recursive: true });
    const store = new LevelStorage(folder);
    onTestFinished(() => store.close());
    const expected = memoryStorage();
    const { sessionId, blob } = await fillRepresentative(expected);
    expect(await store.verify()).toMatchObject({ ok: true, sessions: 1, blobs: 1 });
    expect(await contents(store, sessionId, blob)).toEqual(await contents(expected, sessionId, blob));
    const last = (await store.last(sessionId))?.n ?? 0;
    expect(
      await store.append({
        sessionId,
        expected: last,
        commit: { v: 1, n: last + 1, epoch: 5, id: "next", host: "h", atMs: 1_800_000_000_000, facts: [] },
      }),
    ).toEqual({ ok: true });
  });

  it("is read back from an export", async () => {
    const [store, expected] = [memoryStorage(), memoryStorage()];
    const { sessionId, blob } = await fillRepresentative(expected);
    await importSession(store, await readFile(join(FIXTURES, version, "session.export")));
    expect(await contents(store, sessionId, blob)).toEqual(await contents(expected, sessionId, blob));
  });
});
