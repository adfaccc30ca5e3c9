// Makes the fixture of a store's format, once: `node --import jiti/register scripts/make-store-fixture.ts v2`.
// A fixture is read back by every later version, so one that exists is never written again.

import { existsSync } from "node:fs";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { LevelStorage } from "../src/state/level-store.ts";
import { exportSession } from "../src/state/transfer.ts";
import { fillRepresentative } from "../test/state/representative-session.ts";

const version = process.argv[2];
if (version === undefined || !/^v\d+$/.test(version)) throw new Error("usage: make-store-fixture.ts v<number>");
const root = join("test", "fixtures", "store", version);
const folder = join(root, "folder");
if (existsSync(folder)) throw new Error(`${folder} exists; fixtures are never rewritten`);
await mkdir(root, { recursive: true });

const store = new LevelStorage(folder, { compression: true });
const { sessionId } = await fillRepresentative(store);
await writeFile(join(root, "session.export"), await exportSession(store, sessionId, { compression: true }));
await store.close();
// Opened again, LevelDB moves what is in its log into a table; the log is then empty.
const again = new LevelStorage(folder);
await again.open();
await again.close();
for (const name of await readdir(folder)) if (/^LO(G|CK)$/.test(name)) await rm(join(folder, name));
