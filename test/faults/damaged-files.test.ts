import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { repairFolder } from "../../src/runtime/folder-repair.ts";
import { verifyFolder } from "../../src/state/folder-verify.ts";
import { openLevelFolder } from "../../src/state/level-folder.ts";
import { LevelStorage } from "../../src/state/level-store.ts";
import type { Commit } from "../../src/state/ports.ts";
import { world } from "../runtime/world.ts";
import { temporaryFolder } from "../state/temporary-folder.ts";
import { closedFolder, copied, filesOf, fingerprint, flipBit, killedFolder, logsOf } from "./folders.ts";

type Logs = ReadonlyMap<string, readonly Commit[]>;

/** What a user does about a damaged folder: it is reported, and the copy that is made of it is good. */
async function repaired(folder: string, whole: Logs): Promise<void> {
  const before = await fingerprint(folder);
  const report = await verifyFolder(folder);
  expect(report.ok).toBe(false);
  const to = join(await temporaryFolder(), "repaired");
  const repair = await repairFolder(folder, to);
  expect(await fingerprint(folder)).toBe(before);
  const saved = await logsOf(to);
  for (const [sessionId, commits] of whole) {
    const kept = saved.get(sessionId) ?? [];
    // What is in the copy is what was stored, from the first on; what is not is named.
    expect(kept).toEqual(commits.slice(0, kept.length));
    const told = repair.sessions.find((one) => one.sessionId === sessionId);
    expect(told?.commits ?? 0).toBe(kept.length);
    const namesIt = (told?.lostCommits ?? []).some(({ to: last }) => last === commits.length);
    // Where the damage is in the one place that knew of a commit, the damaged file is what can be named.
    if (kept.length < commits.length) expect(namesIt || report.files.some(({ losesData }) => losesData)).toBe(true);
  }
  const lost = [...whole.values()].flat().length - [...saved.values()].flat().length;
  expect(repair.whole).toBe(repair.whole && lost === 0);
  expect((await verifyFolder(to)).ok).toBe(true);
}

describe("a store with a flipped bit", () => {
  it.each([
    ["a table", closedFolder, /\.ldb$/],
    ["LevelDB's log", closedFolder, /\.log$/],
    ["LevelDB's manifest", closedFolder, /^MANIFEST/],
    ["a write-ahead file", killedFolder, /\.wal$/],
  ] as const)("in %s: 20 of 20 are found, and what is left opens after a repair", async (_, make, ending) => {
    const folder = await make();
    const whole = await logsOf(await copied(folder));
    const [name = ""] = await filesOf(folder, ending);
    const { size } = await stat(join(folder, name));
    for (let i = 0; i < 20; i++) {
      const copy = await copied(folder);
      // The last is the last bit of the file.
      await flipBit(join(copy, name), i === 19 ? size * 8 - 1 : Math.floor((size * 8 * (i + 0.5)) / 19));
      await repaired(copy, whole);
      const store = new LevelStorage(await copied(copy), { durability: "disk" });
      await expect(store.open()).rejects.toMatchObject({ code: "ORCH_STORE_CORRUPT" });
      await store.close();
    }
  });
});

describe("a store that lost a file", () => {
  it.each([
    ["closed", closedFolder],
    ["killed", killedFolder],
  ] as const)("says which one it misses (%s)", async (_, make) => {
    const folder = await make();
    const whole = await logsOf(await copied(folder));
    for (const name of await filesOf(folder, /./)) {
      const copy = await copied(folder);
      await rm(join(copy, name));
      if (/^(LOG|LOG\.old|LOCK|orchestra\.pid)$/.test(name)) {
        expect(await logsOf(copy)).toEqual(whole);
        continue;
      }
      const before = await fingerprint(copy);
      const store = new LevelStorage(copy);
      await expect(store.open()).rejects.toMatchObject({
        code: "ORCH_STORE_CORRUPT",
        message: expect.stringContaining(name.endsWith(".wal") ? "ahead-*.wal: it is missing" : name),
      });
      await store.close();
      // That a write-ahead file is missing is known once LevelDB is open, which is then closed again.
      if (!name.endsWith(".wal")) expect(await fingerprint(copy)).toBe(before);
      await repaired(copy, whole);
    }
  });
});

describe("a session that is damaged", () => {
  it("is refused with its name, while all others open, run and are found", async () => {
    const folder = await closedFolder();
    const whole = await logsOf(await copied(folder));
    // Of the ways to hit one session, the one that LevelDB itself cannot see: a record of ours that was changed.
    const database = await openLevelFolder(folder);
    const record = Uint8Array.from((await database.get("c/bob1/000000000003")) ?? []);
    record[8]! ^= 1;
    await database.write([{ type: "put", key: "c/bob1/000000000003", value: record }], true);
    await database.close();
    const store = new LevelStorage(folder, { durability: "disk" });
    const { engine } = world({ store });
    await expect(engine.state("bob1")).rejects.toMatchObject({
      code: "ORCH_STORE_CORRUPT",
      message: expect.stringContaining("c/bob1/000000000003"),
    });
    for (const sessionId of whole.keys())
      if (sessionId !== "bob1") expect((await engine.outcome(sessionId)).finalResponse).toBe("done");
    expect(await engine.listSessions()).toHaveLength(whole.size);
    expect((await store.verify()).problems).toMatchObject([
      { sessionId: "bob1", lastGoodN: 2, lastN: whole.get("bob1")?.length },
    ]);
    await engine.close();
    await store.close();
  });
});
