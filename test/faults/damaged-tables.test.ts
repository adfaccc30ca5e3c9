import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { seededRandom } from "../../src/base/random.ts";
import { repairFolder, type RepairReport } from "../../src/runtime/folder-repair.ts";
import { verifyFolder } from "../../src/state/folder-verify.ts";
import {
  blockEntries,
  contentOf,
  handleIn,
  TRAILER_BYTES,
  versioned,
  type Handle,
} from "../../src/state/leveldb-block.ts";
import { ByteReader } from "../../src/state/leveldb-varint.ts";
import { keys } from "../../src/state/level-keys.ts";
import { LevelStorage } from "../../src/state/level-store.ts";
import type { Commit } from "../../src/state/ports.ts";
import { temporaryFolder } from "../state/temporary-folder.ts";
import { copied, filesOf, fingerprint, flipBit, logsOf, tableFolder } from "./folders.ts";

const REGIONS = ["data", "filter", "index of filters", "index of blocks", "footer"] as const;
type Region = (typeof REGIONS)[number];
const FOOTER_BYTES = 48;

const NAMES = ["ada", "bob", "cyd", "dan", "eve", "fay", "gus", "hal"];

interface Whole {
  readonly folder: string;
  readonly table: string;
  readonly bytes: Buffer;
  readonly logs: ReadonlyMap<string, readonly Commit[]>;
  readonly regions: ReadonlyMap<Region, readonly Handle[]>;
}

/** One table of several blocks, and nothing beside it. */
async function wholeFolder(): Promise<Whole> {
  const folder = await tableFolder(NAMES);
  const [table = "", ...others] = await filesOf(folder, /\.ldb$/);
  const bytes = await readFile(join(folder, table));
  const regions = regionsOf(bytes);
  expect(others).toEqual([]);
  expect(regions.get("data")?.length).toBeGreaterThan(4);
  return { folder, table, bytes, logs: await logsOf(await copied(folder)), regions };
}

/** Blocks with type and sum. */
function regionsOf(bytes: Buffer): ReadonlyMap<Region, readonly Handle[]> {
  const footer = new ByteReader(bytes, bytes.length - FOOTER_BYTES);
  const [filters, index] = [handleIn(footer), handleIn(footer)];
  const named = (handle: Handle): Handle[] =>
    [...blockEntries(contentOf(bytes, handle))].map(({ value }) => handleIn(new ByteReader(value)));
  const withTrailer = ({ offset, size }: Handle): Handle => ({ offset, size: size + TRAILER_BYTES });
  return new Map<Region, readonly Handle[]>([
    ["data", named(index).map(withTrailer)],
    ["filter", named(filters).map(withTrailer)],
    ["index of filters", [withTrailer(filters)]],
    ["index of blocks", [withTrailer(index)]],
    ["footer", [{ offset: bytes.length - FOOTER_BYTES, size: FOOTER_BYTES }]],
  ]);
}

function keysOf(table: Buffer, block: Handle): string[] {
  return [...blockEntries(contentOf(table, block))].map(({ key, value }) => versioned(key, value).key.toString());
}

/** Nothing opens it, and nothing in it is touched. */
async function refused(copy: string, table: string): Promise<Error> {
  const before = await fingerprint(copy);
  const store = new LevelStorage(copy);
  const error = await store.open().then(
    () => null,
    (reason: unknown) => reason as Error,
  );
  await store.close();
  expect(error).toMatchObject({
    code: "ORCH_STORE_CORRUPT",
    message: expect.stringMatching(new RegExp(`file ${table} at byte \\d+: .*"orchestra repair --copy"`)),
  });
  expect(await fingerprint(copy)).toBe(before);
  return error as Error;
}

async function repaired(copy: string): Promise<{ report: RepairReport; saved: Map<string, Commit[]> }> {
  const to = join(await temporaryFolder(), "repaired");
  const report = await repairFolder(copy, to);
  expect((await verifyFolder(to)).ok).toBe(true);
  return { report, saved: await logsOf(to) };
}

describe("a bit that flipped in a table", () => {
  it.each(REGIONS)("keeps the store closed, and is put right in a copy (%s)", async (region) => {
    const random = seededRandom(REGIONS.indexOf(region));
    const pick = (below: number): number => Math.floor(random.next() * below);
    const { folder, table, logs, regions } = await wholeFolder();
    const blocks = regions.get(region) ?? [];
    for (let i = 0; i < (region === "data" ? 20 : 6); i++) {
      const copy = await copied(folder);
      const { offset, size } = blocks[pick(blocks.length)] as Handle;
      await flipBit(join(copy, table), offset * 8 + pick(size * 8));
      await refused(copy, table);
      expect((await verifyFolder(copy)).ok).toBe(false);
      const { report, saved } = await repaired(copy);
      expect(saved).toEqual(logs);
      expect(report).toMatchObject({ whole: true, files: [{ file: table, losesData: false }] });
    }
  });
});

it("finds a bit that flips while the store is open, when it is verified", async () => {
  const { folder, table, regions } = await wholeFolder();
  const store = new LevelStorage(folder);
  expect((await store.verify()).problems).toEqual([]);
  const [{ offset } = { offset: 0 }] = regions.get("filter") ?? [];
  await flipBit(join(folder, table), offset * 8 + 3);
  expect((await store.verify()).problems).toMatchObject([{ key: table, message: expect.stringContaining("filter") }]);
  await store.close();
});

describe("a part of a table that was overwritten", () => {
  it("keeps the store closed; every session that lost something by it is named, and what can be proved is kept", async () => {
    const { folder, table, bytes, logs, regions } = await wholeFolder();
    let [kept, keptWithoutBlocks] = [0, 0];
    for (const { offset, size } of regions.get("data") ?? []) {
      const stoodThere = new Set(keysOf(bytes, { offset, size: size - TRAILER_BYTES }));
      const copy = await copied(folder);
      const damaged = Buffer.from(bytes);
      const length = Math.min(64, size - TRAILER_BYTES);
      damaged.fill(0xa5, offset + ((size - length) >> 1), offset + ((size + length) >> 1));
      await writeFile(join(copy, table), damaged);
      await refused(copy, table);
      const { report, saved } = await repaired(copy);
      expect(report.whole).toBe(false);
      for (const [sessionId, commits] of logs) {
        const left = saved.get(sessionId) ?? [];
        expect(left).toEqual(commits.slice(0, left.length));
        kept += left.length;
        const gap = commits.findIndex(({ n }) => stoodThere.has(keys.commit(sessionId, n)));
        keptWithoutBlocks += gap < 0 ? commits.length : gap;
        if (left.length === commits.length) continue;
        const told = report.sessions.find((one) => one.sessionId === sessionId);
        expect(report.files[0]?.between).toBeDefined();
        const behind = told?.lostCommits.find(({ from }) => from === left.length + 1);
        expect(behind?.to === commits.length || told?.mayHaveHadMore).toBe(true);
      }
    }
    expect(kept).toBeGreaterThan(keptWithoutBlocks);
  });
});
