// Writes the golden histories of this version: `node --import jiti/register scripts/golden-histories.ts`, once, at its release.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeHistories } from "../test/upgrade/golden.ts";
import { HISTORIES } from "../test/upgrade/histories.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { version: string };
const folder = join(root, "test/fixtures/histories", version);
await writeHistories(folder, HISTORIES);
process.stdout.write(`${HISTORIES.length} histories in ${folder}\n`);
