// Programs that tests start as processes of their own, each bundled with our sources into one file of JavaScript. Such a process is up within a
// fraction of a second, where translating every source takes it ten seconds of a processor on a fresh clone, and one from then on.

import { createHash } from "node:crypto";
import { mkdirSync, renameSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "rolldown";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** From here the packages are found. */
const FOLDER = join(ROOT, "node_modules/.cache/orchestra-children");

/** The path of a JavaScript file that does what the TypeScript program at `source` does, packages as they are. */
export async function childProgram(source: URL): Promise<string> {
  const path = fileURLToPath(source);
  const name = `${basename(path, ".ts")}-${createHash("sha256").update(path).digest("hex").slice(0, 8)}`;
  const file = join(FOLDER, `${name}-${process.pid}.mjs`);
  mkdirSync(FOLDER, { recursive: true });
  await build({
    input: path,
    platform: "node",
    // What `await using` becomes is in no package of ours.
    external: (id) => !id.startsWith(".") && !id.startsWith("/") && !id.startsWith("@oxc-project/"),
    tsconfig: false,
    transform: { target: "node20.19" },
    output: { file, format: "esm", codeSplitting: false },
    logLevel: "warn",
  });
  const ready = join(FOLDER, `${name}.mjs`);
  // Several files of tests may need it at the same time: each sees a whole one.
  renameSync(file, ready);
  return ready;
}
