import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as vitest from "vitest";
import { LevelStorage } from "../../src/state/level-store.ts";
import { sessionStoreContract } from "../../src/testing/session-store-contract.ts";

const folders: string[] = [];
const fresh = async (): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), "orchestra-"));
  folders.push(folder);
  return folder;
};
vitest.afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

sessionStoreContract("LevelStorage (disk)", async () => new LevelStorage(await fresh()), vitest);
sessionStoreContract(
  "LevelStorage (process, compressed)",
  async () => new LevelStorage(await fresh(), { durability: "process", compression: true }),
  vitest,
);
