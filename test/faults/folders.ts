// Folders of stores with real sessions in them, to be damaged.

import { createHash } from "node:crypto";
import { cp, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { LevelStorage } from "../../src/state/level-store.ts";
import type { Commit } from "../../src/state/ports.ts";
import { request, topology, world } from "../runtime/world.ts";
import { temporaryFolder } from "../state/temporary-folder.ts";

export const SESSIONS = ["ada", "bob"];

/** Each session runs three steps, with a checkpoint at its end and a value that is kept as a blob. */
export async function runSessions(store: LevelStorage, names: readonly string[] = SESSIONS): Promise<void> {
  const { engine } = world({ store });
  const agents = { A: () => "a", B: () => "b".repeat(20_000), C: () => "done" };
  for (const sessionId of names) {
    const handle = await engine.start(request(sessionId, topology("A -> B -> C"), agents, { sessionId }));
    await handle.outcome;
    await engine.createCheckpoint(sessionId, "end");
  }
  await engine.close();
}

/** Closed, with its last sessions in the log and those before in a table. */
export async function closedFolder(): Promise<string> {
  const folder = await temporaryFolder();
  for (let round = 0; round < 2; round++) {
    const store = new LevelStorage(folder, { durability: "disk" });
    await runSessions(
      store,
      SESSIONS.map((name) => `${name}${round}`),
    );
    await store.close();
  }
  return folder;
}

/** Closed, with everything in one table. */
export async function tableFolder(names: readonly string[]): Promise<string> {
  const folder = await temporaryFolder();
  const store = new LevelStorage(folder, { durability: "disk" });
  await runSessions(store, names);
  await store.close();
  // A log becomes a table when it is opened again.
  const again = new LevelStorage(folder, { durability: "disk" });
  await again.open();
  await again.close();
  return folder;
}

/** As a killed process leaves it: what was acknowledged last stands in a write-ahead file. */
export async function killedFolder(): Promise<string> {
  const folder = await temporaryFolder();
  const store = new LevelStorage(folder, { durability: "process" });
  await runSessions(store);
  const copy = await copied(folder);
  await store.close();
  return copy;
}

export async function copied(folder: string): Promise<string> {
  const copy = join(await temporaryFolder(), "copy");
  await cp(folder, copy, { recursive: true });
  return copy;
}

/** Names of files, largest first. */
export async function filesOf(folder: string, ending: RegExp): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => ending.test(name));
  const sized = await Promise.all(names.map(async (name) => ({ name, size: (await stat(join(folder, name))).size })));
  return sized.sort((a, b) => b.size - a.size).map(({ name }) => name);
}

export async function flipBit(file: string, bit: number): Promise<void> {
  const bytes = await readFile(file);
  bytes[bit >> 3]! ^= 1 << (bit & 7);
  await writeFile(file, bytes);
}

/** Changes when anything in the folder does. */
export async function fingerprint(folder: string): Promise<string> {
  const hash = createHash("sha256");
  for (const name of (await readdir(folder)).sort()) hash.update(name).update(await readFile(join(folder, name)));
  return hash.digest("hex");
}

export async function commitsOf(store: LevelStorage, sessionId: string): Promise<Commit[]> {
  const commits: Commit[] = [];
  for await (const commit of store.read(sessionId)) commits.push(commit);
  return commits;
}

/** Every session's commits. */
export async function logsOf(folder: string): Promise<Map<string, Commit[]>> {
  const store = new LevelStorage(folder, { durability: "disk" });
  const logs = new Map<string, Commit[]>();
  for (const { sessionId } of await store.listSessions()) logs.set(sessionId, await commitsOf(store, sessionId));
  await store.close();
  return logs;
}
