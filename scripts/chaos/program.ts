// The program of the storm's processes, bundled into one file of JavaScript: dozens of them are started, and each must be
// up in a fraction of a second.

import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "rolldown";

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Resolves with its path: below `node_modules`, from where it finds the packages it loads. */
export async function buildProgram(name: string): Promise<string> {
  const file = at(`../../node_modules/.cache/orchestra-chaos/${name}-${process.pid}.mjs`);
  mkdirSync(dirname(file), { recursive: true });
  await build({
    input: at("main.ts"),
    platform: "node",
    external: (id: string) => !id.startsWith(".") && !id.startsWith("/"),
    tsconfig: false,
    logLevel: "warn",
    output: { file, format: "esm", codeSplitting: false },
  });
  return file;
}
